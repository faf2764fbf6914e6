/** `deno task diff`: from two models to a readout. */

import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { layersAt } from "../lens/diff.ts";
import { selectDocuments } from "../lens/documents.ts";
import { fingerprintOf, kernelHashes } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { type DiffRun, runDiff } from "../lens/run_diff.ts";
import { hashModel, loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { parseCommand } from "./args.ts";
import { openGpu, parseRanges } from "./common_flags.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type DiffFlags, type DiffPlan, loadDiffTexts, planDiff } from "./diff_inputs.ts";
import { diffJson, printDiff } from "./diff_print.ts";
import { startProgress } from "./progress.ts";
import type { CommandContext } from "./run_command.ts";
import { VERSION } from "./version.ts";

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
  const { base, finetuned, sibling, tokenizer, texts } = await loadAll(gpu, plan, flags.column);
  const { spec } = base.transformer;
  const { tokens, documents } = plan;
  if (tokens > spec.maxPositions) {
    throw new UsageError(
      `Cannot use --tokens ${tokens}: the model's context is ${spec.maxPositions} tokens`,
    );
  }
  const layers = layersAt(flags.layers, spec.layers);
  const positions = flagPositions(flags, tokens);
  const seed = flags.shuffle ? flags.seed : null;
  const lines = texts.unrelated.texts.map(({ text }) => text);
  const selection = selectDocuments(lines, tokenizer, { documents, tokens, seed });
  if (selection.missing > 0) {
    console.error(
      `Only ${selection.tokens.length} of ${documents} documents have ${tokens} tokens`,
    );
  }

  const inputs = {
    version: VERSION,
    base: { name: base.source.name, files: await base.source.sha256() },
    finetuned: { name: finetuned.source.name, files: await finetuned.source.sha256() },
    sibling: sibling ? { name: sibling.name, files: await hashModel(sibling) } : null,
    texts: texts.hashes,
    column: flags.column ?? null,
    documents,
    tokens,
    layers,
    positions,
    seed: flags.seed,
    shuffle: flags.shuffle,
    backend: gpu.backend,
    adapter: { ...gpu.adapter },
  };
  const out = flags.out ?? `results/${finetuned.source.name}-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });
  const run: DiffRun = {
    gpu,
    base: base.transformer,
    finetuned: finetuned.transformer,
    tokenizer,
    selection,
    layers,
    positions,
    seed: flags.seed,
    sibling: sibling && {
      name: sibling.ref,
      load: async () => (await loadFinetuned(gpu, base, sibling)).transformer,
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
  const shown = { plan, results, documents: selection.tokens.length, folder: folder.path };
  if (flags.json) console.log(JSON.stringify(diffJson(shown)));
  else printDiff({ ...shown, names: [base.source.name, finetuned.source.name] });
  return 0;
}

/** Loads what is compared, and what it is compared on. */
async function loadAll(gpu: Gpu, plan: DiffPlan, column: string | undefined) {
  const loading = startProgress({ label: "Loading models", total: 3, unit: "parts" });
  try {
    const base = await loadModel(gpu, await resolveSource(plan.base));
    loading.update(1);
    const finetuned = await loadFinetuned(gpu, base, await resolveSource(plan.finetuned));
    loading.update(2);
    // A name that is wrong must not come to light only when the long work is done.
    const sibling = plan.sibling === undefined ? undefined : await resolveSource(plan.sibling);
    const tokenizer = await loadTokenizer(base);
    const texts = await loadDiffTexts(plan, column);
    loading.update(3);
    return { base, finetuned, sibling, tokenizer, texts };
  } finally {
    loading.done();
  }
}

/** The positions to read; the default is cut to what the documents have. */
function flagPositions(flags: DiffFlags, tokens: number): number[] {
  const isDefault = flags.positions.join() === DIFF_COMMAND.flags.positions.default.join();
  return isDefault && tokens < 5
    ? Array.from({ length: tokens }, (_, i) => i)
    : parseRanges(flags.positions, tokens - 1, "position");
}
