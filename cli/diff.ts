/** `deno task diff`: from two models to a readout. */

import { UsageError } from "../engine/errors.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { bosRule } from "../lens/bos_rule.ts";
import { PROMPT_POSITIONS } from "../lens/chats.ts";
import { layersAt } from "../lens/diff.ts";
import { warmUpDiff } from "../lens/diff_batch.ts";
import { KeptGrades } from "../lens/graders/kept_grades.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { type DiffRun, runDiff } from "../lens/run_diff.ts";
import { findChat, loadChat } from "../models/chat.ts";
import type { ModelShelf } from "../models/model_shelf.ts";
import { type ModelSource, resolveSource } from "../models/source.ts";
import { parseCommand } from "./args.ts";
import { hubOf, openGpu, parseRanges, sourceOptions } from "./common_flags.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type DiffFlags, parseStrengths, planDiff } from "./diff_inputs.ts";
import { diffJson, type DiffShown, printDiff } from "./diff_print.ts";
import { documentRule, loadDiffTexts } from "./diff_texts.ts";
import { checkGrader } from "./grader_flags.ts";
import { graderFor, gradingShown } from "./graders.ts";
import { identity, openPair, provenanceOf, showProgress } from "./open_pair.ts";
import { bothOf, measurePrecision, precisionJson, precisionSetting } from "./precision.ts";
import { startProgress } from "./progress.ts";
import type { CommandContext } from "./run_command.ts";
import { Timing } from "./timing.ts";
import { VERSION } from "./version.ts";

/** The paper reads the first five positions. */
const DEFAULT_LAST_POSITION = 4;

/** Runs the command. */
export async function diff(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(DIFF_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { shown, names, timing, precision } = await diffResults(parsed.flags, context);
  if (parsed.flags.json) {
    console.log(JSON.stringify({ ...diffJson(shown), ...timing.json(), ...precision }));
  } else {
    printDiff({ ...shown, names });
    timing.print();
  }
  return 0;
}

/** Does what is not done yet, and returns it all. */
export async function diffResults(
  flags: DiffFlags,
  { signal }: CommandContext,
): Promise<{
  shown: DiffShown;
  names: [string, string];
  timing: Timing;
  precision: ReturnType<typeof precisionJson>;
}> {
  const plan = await planDiff(flags);
  checkGrader(flags);
  using gpu = await openGpu(flags);
  const timing = new Timing(gpu, "first batch", flags.timing);
  const options = sourceOptions(flags, signal);
  const pair = await openPair(gpu, plan, {
    ...options,
    planned: (model) => warmUpDiff(model, layersAt(flags.layers, model.spec.layers)),
  });
  using shelf = pair.shelf;
  const { base, finetuned, spec, tokenizer } = pair;
  // A name that is wrong must not come to light only when the long work is done.
  const sibling = plan.sibling === undefined
    ? undefined
    : await resolveSource(plan.sibling, options);
  if (sibling) await shelf.add("sibling", sibling, "base");
  const { documents } = plan;
  const { chat, column } = flags;
  if (plan.tokens > spec.maxPositions) {
    throw new UsageError(
      `Cannot use --tokens ${plan.tokens}: the model's context is ${spec.maxPositions} tokens`,
    );
  }
  const layers = layersAt(flags.layers, spec.layers);
  const { positions, tokens } = positionsAndTokens(flags, plan.tokens, spec.maxPositions);
  const seed = flags.shuffle ? flags.seed : null;
  const { maxPositions } = spec;
  const chats = chat
    ? await findChat([base, finetuned], tokenizer) ?? await loadChat(finetuned, tokenizer)
    : null;
  const rule = flags.bosOnly
    ? bosRule(bosOf(tokenizer, base))
    : documentRule(tokenizer, { tokens, maxPositions, chats });
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
    hub: hubOf(options),
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
    bos_only: flags.bosOnly,
    read_through: flags.readThrough,
    backend: gpu.backend,
    adapter: { ...gpu.adapter },
    ...precisionSetting(gpu),
  };
  const out = flags.out ?? `results/${finetuned.name}-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite: flags.overwrite });
  const deepest = `blocks.${Math.max(...layers)}.hook_resid_post`;
  await measurePrecision(gpu, bothOf(pair.models), selection.tokens, { hook: deepest });
  const grades = await KeptGrades.open(folder);
  const grading = graderFor(flags, { pair, grades, seed: flags.seed, signal });
  const run: DiffRun = {
    gpu,
    models: pair.models,
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
    readThrough: flags.readThrough,
    spectrum: flags.spectrum,
    stability: flags.stability,
    interpolation: interpolationOf(flags, shelf, finetuned),
    grading,
    keywords: texts.keywords,
    folder,
    provenance: provenanceOf(gpu),
    progress(...work) {
      const shown = showProgress(...work);
      return {
        update(done) {
          timing.result();
          shown.update(done);
        },
        done: () => shown.done(),
      };
    },
    signal,
  };
  const { layers: results, interpolation } = await runDiff(run);
  const { bosOnly, readThrough } = flags;
  const shown = {
    plan,
    chat,
    bosOnly,
    readThrough,
    results,
    interpolation,
    documents: selection.tokens.length,
    grading: gradingShown(flags, grading),
    folder: folder.path,
  };
  const names: [string, string] = [base.name, finetuned.name];
  return { shown, names, timing, precision: precisionJson(gpu) };
}

/** The token that begins a text. */
function bosOf({ bosId }: Tokenizer, base: ModelSource): number {
  if (bosId !== undefined) return bosId;
  throw new UsageError(
    `Cannot use --bos-only: the tokenizer of "${base.ref}" has no token that begins a text`,
  );
}

/** The models of `--interpolate`, which are on the shelf while they are compared. */
function interpolationOf(
  { interpolate }: DiffFlags,
  shelf: ModelShelf,
  finetuned: ModelSource,
): DiffRun["interpolation"] {
  if (interpolate === undefined) return undefined;
  return {
    strengths: parseStrengths(interpolate),
    async at(strength) {
      const name = `finetuned at ${strength}`;
      await shelf.add(name, finetuned, "base", strength);
      return { models: shelf.pair("base", name), release: () => shelf.unload(name) };
    },
  };
}

/**
 * Which positions are read (by default the first five, and in chats those of the prompt before them), and how many tokens each
 * document must have: where that was left open, as many as the positions need.
 */
function positionsAndTokens(
  { positions: asked, chat, tokens: given, bosOnly }: DiffFlags,
  usual: number,
  context: number,
): { positions: number[]; tokens: number } {
  const least = chat ? -PROMPT_POSITIONS : 0;
  if (asked === undefined) {
    const last = Math.min(DEFAULT_LAST_POSITION, usual - 1);
    const positions = Array.from({ length: last - least + 1 }, (_, i) => least + i);
    return { positions, tokens: usual };
  }
  const open = given === undefined && !bosOnly;
  const positions = parseRanges(asked, (open ? context : usual) - 1, "position", least);
  return { positions, tokens: Math.max(usual, positions.at(-1)! + 1) };
}
