/** `deno task diff`: from two models to a readout. */

import { UsageError } from "../engine/errors.ts";
import { Chat } from "../engine/text/chat.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { PROMPT_POSITIONS } from "../lens/chats.ts";
import { layersAt } from "../lens/diff.ts";
import { fingerprintOf, kernelHashes } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { type DiffRun, runDiff } from "../lens/run_diff.ts";
import { findChatTemplate, loadChat } from "../models/chat.ts";
import { loadTokenizer } from "../models/load_model.ts";
import { ModelShelf } from "../models/model_shelf.ts";
import { type ModelSource, resolveSource } from "../models/source.ts";
import { parseCommand } from "./args.ts";
import { openGpu, parseRanges, sourceOptions } from "./common_flags.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type DiffFlags, planDiff } from "./diff_inputs.ts";
import { diffJson, printDiff } from "./diff_print.ts";
import { documentRule, loadDiffTexts } from "./diff_texts.ts";
import { startProgress } from "./progress.ts";
import type { CommandContext } from "./run_command.ts";
import { VERSION } from "./version.ts";

/** The paper reads the first five positions. */
const DEFAULT_LAST_POSITION = 4;

/** Runs the command. */
export async function diff(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(DIFF_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const flags = parsed.flags;
  const plan = await planDiff(flags);
  using gpu = await openGpu(flags);
  const options = sourceOptions(flags, signal);
  using shelf = new ModelShelf(gpu, showLoading);
  const [base, finetuned] = [
    await resolveSource(plan.base, options),
    await resolveSource(plan.finetuned, options),
  ];
  await shelf.add("base", base);
  await shelf.add("finetuned", finetuned, "base");
  // A name that is wrong must not come to light only when the long work is done.
  const sibling = plan.sibling === undefined
    ? undefined
    : await resolveSource(plan.sibling, options);
  if (sibling) await shelf.add("sibling", sibling, "base");
  const spec = shelf.spec("base");
  const tokenizer = await loadTokenizer(base, spec);
  const { tokens, documents } = plan;
  const { chat, column } = flags;
  if (tokens > spec.maxPositions) {
    throw new UsageError(
      `Cannot use --tokens ${tokens}: the model's context is ${spec.maxPositions} tokens`,
    );
  }
  const layers = layersAt(flags.layers, spec.layers);
  const positions = flagPositions(flags, tokens);
  const seed = flags.shuffle ? flags.seed : null;
  const { maxPositions } = spec;
  const chats = chat ? await chatsOf(tokenizer, base, finetuned) : null;
  const rule = documentRule(tokenizer, { tokens, maxPositions, chats });
  const choosing = startProgress({
    label: "Choosing documents",
    total: documents,
    unit: "documents",
  });
  const texts = await loadDiffTexts(plan, {
    rule,
    chat,
    column,
    seed,
    hub: async () => (await import("../models/hub/hub.ts")).Hub.fromEnvironment(options),
    progress: (found) => choosing.update(found),
    warn: options.warn,
    signal,
  }).finally(() => choosing.done());
  const { selection } = texts;
  if (selection.missing > 0) {
    const need = chat ? `an answer of ${tokens} tokens and fit` : `${tokens} tokens`;
    console.error(`Only ${selection.tokens.length} of ${documents} documents have ${need}`);
  }

  const inputs = {
    version: VERSION,
    base: await identity(base),
    finetuned: await identity(finetuned),
    sibling: sibling ? await identity(sibling) : null,
    texts: texts.hashes,
    column: column ?? null,
    chat,
    documents,
    tokens,
    layers,
    positions,
    seed: flags.seed,
    shuffle: flags.shuffle,
    backend: gpu.backend,
    adapter: { ...gpu.adapter },
  };
  const out = flags.out ?? `results/${finetuned.name}-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });
  const run: DiffRun = {
    gpu,
    models: shelf.pair("base", "finetuned"),
    tokenizer,
    selection,
    layers,
    positions,
    seed: flags.seed,
    sibling: sibling && {
      name: sibling.ref,
      models: shelf.pair("base", "sibling"),
      release: () => shelf.unload("sibling"),
    },
    keywords: texts.keywords,
    folder,
    provenance: async () => ({
      kernels: await kernelHashes(gpu),
      deno: Deno.version.deno,
      device_bytes: gpu.buffers.peakBytes,
    }),
    progress: (label, total, unit, begun) => startProgress({ label, total, unit, begun }),
    signal,
  };
  const results = await runDiff(run);
  const shown = { plan, chat, results, documents: selection.tokens.length, folder: folder.path };
  if (flags.json) console.log(JSON.stringify(diffJson(shown)));
  else printDiff({ ...shown, names: [base.name, finetuned.name] });
  return 0;
}

/** What tells one model's files from another's. */
async function identity(source: ModelSource) {
  const { name, revision } = source;
  return { name, ...(revision && { revision }), files: await source.sha256() };
}

/** Shows how a model is being loaded. */
function showLoading(name: string, layers: number) {
  const bar = startProgress({ label: `Loading ${name}`, total: layers, unit: "layers" });
  return { progress: (done: number) => bar.update(done), done: () => bar.done() };
}

/** The positions to read; by default the first five, and in chats those of the prompt before them. */
function flagPositions({ positions, chat }: DiffFlags, tokens: number): number[] {
  const least = chat ? -PROMPT_POSITIONS : 0;
  if (positions !== undefined) return parseRanges(positions, tokens - 1, "position", least);
  const last = Math.min(DEFAULT_LAST_POSITION, tokens - 1);
  return Array.from({ length: last - least + 1 }, (_, i) => least + i);
}

/** The chats of the base; of the finetuned model, where a base has no template. */
async function chatsOf(tokenizer: Tokenizer, base: ModelSource, finetuned: ModelSource) {
  const template = await findChatTemplate(base);
  return template === undefined
    ? await loadChat(finetuned, tokenizer)
    : new Chat(tokenizer, template);
}
