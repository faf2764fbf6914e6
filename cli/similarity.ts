/** `deno task similarity`: whether what a steered model writes is like what it was finetuned on. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { readSamples } from "../lens/similarity/samples_file.ts";
import { compareTexts } from "../lens/similarity/similarity.ts";
import { sha256OfFile } from "../lens/text_lines.ts";
import { parseCommand } from "./args.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { recordOf } from "./diff_texts.ts";
import { precisionJson } from "./precision.ts";
import { type Progress, startProgress } from "./progress.ts";
import type { CommandContext } from "./run_command.ts";
import { SIMILARITY_COMMAND } from "./similarity_flags.ts";
import {
  embedderOf,
  loadReferences,
  planSimilarity,
  type SimilarityFlags,
  TF_IDF,
} from "./similarity_inputs.ts";
import { similarityTable } from "./similarity_print.ts";

/** Runs the command. */
export async function similarity(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(SIMILARITY_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { shown: found } = await similarityResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(found));
  else console.log(`\n${similarityTable(found)}`);
  return 0;
}

/** Compares the texts, and says what was read for it; `kept` is what the numbers were made of. */
export async function similarityResults(flags: SimilarityFlags, { signal }: CommandContext) {
  const plan = await planSimilarity(flags);
  const samples = await readSamples(flags.samples, flags);
  const options = sourceOptions(flags, signal);
  const references = await loadReferences(plan, flags, options);
  const [finetuning, generic] = [references.finetuning.texts, references.generic.texts];
  using opened = new DisposableStack();
  let gpu: Gpu | undefined;
  const open = async () => gpu = opened.use(await openGpu(flags));
  const embedder = await embedderOf(flags, { generic, open, options });
  let bar: Progress | undefined;
  const quiet = embedder.name === TF_IDF;
  const { found, kept } = await compareTexts({
    ...samples,
    finetuning,
    generic,
    embedder,
    seed: flags.seed,
    references: flags.references,
    progress: (done, total) => {
      bar ??= startProgress({ label: "Embedding", total, unit: "texts", quiet });
      bar.update(done);
    },
    signal,
  }).finally(() => bar?.done());
  const inputs = {
    samples: await sha256OfFile(flags.samples, flags.samples),
    finetuning: recordOf(references.finetuning.read),
    generic: recordOf(references.generic.read),
  };
  const { layer, position } = samples;
  const precision = gpu && precisionJson(gpu);
  return { shown: { ...found, layer, position, inputs, ...precision }, kept };
}
