/** From a source to a model that runs, with its tokenizer. */

import { withAdapter } from "../engine/adapter.ts";
import { ModelError, TokenizerError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { Transformer } from "../engine/transformer.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { loadLora } from "../engine/weights/lora.ts";
import { parseAdapterConfig } from "../engine/weights/lora_config.ts";
import { mixedSource } from "../engine/weights/mixed_source.ts";
import { type LoadProgress, loadWeights } from "../engine/weights/model_weights.ts";
import { openCheckpoint } from "./checkpoint_files.ts";
import { parseConfig } from "./config.ts";
import type { ModelSource } from "./source.ts";

/** A model on the device and where it came from. */
export interface LoadedModel {
  source: ModelSource;
  transformer: Transformer;
}

/** Loads a whole checkpoint. */
export async function loadModel(
  gpu: Gpu,
  source: ModelSource,
  progress?: LoadProgress,
): Promise<LoadedModel> {
  if (source.kind === "adapter") {
    throw new ModelError(
      `Cannot load "${source.ref}" as a model: it is a LoRA adapter; name its base model too`,
    );
  }
  const spec = await readSpec(source);
  try {
    const weights = await loadWeights(gpu, spec, await openCheckpoint(source), progress);
    return { source, transformer: new Transformer(gpu, spec, weights) };
  } finally {
    source.close();
  }
}

/**
 * Loads the other side of a pair: a LoRA adapter, which shares the base's weights, or a whole checkpoint of the same
 * sizes.
 *
 * @param strength how far the model is from the base: 0 is the base, 1 the finetuned model
 * @throws {ModelError} when the adapter does not fit the base, or the checkpoint has other sizes
 */
export async function loadFinetuned(
  gpu: Gpu,
  base: LoadedModel,
  source: ModelSource,
  progress?: LoadProgress,
  strength = 1,
): Promise<LoadedModel> {
  if (source.kind === "model") {
    const tuned = strength === 1
      ? await loadModel(gpu, source, progress)
      : await loadMixed(gpu, base.source, source, strength, progress);
    try {
      const sized = ({ source, transformer }: LoadedModel) => ({
        spec: transformer.spec,
        ref: source.ref,
      });
      checkSameSizes(sized(base), sized(tuned));
    } catch (error) {
      tuned.transformer.destroy();
      throw error;
    }
    return tuned;
  }
  try {
    const config = parseAdapterConfig(await source.readJson("adapter_config.json"), source.ref);
    const adapter = loadLora(config, await openCheckpoint(source), base.transformer.spec);
    return { source, transformer: await withAdapter(base.transformer, adapter, strength) };
  } finally {
    source.close();
  }
}

/**
 * Loads what lies between two whole checkpoints: (1 − strength)·base + strength·finetuned, in f32.
 *
 * @throws {WeightsError} if their tensors have not the same names and shapes
 */
export async function loadMixed(
  gpu: Gpu,
  base: ModelSource,
  finetuned: ModelSource,
  strength: number,
  progress?: LoadProgress,
): Promise<LoadedModel> {
  const spec = await readSpec(base);
  try {
    const both = [await openCheckpoint(base), await openCheckpoint(finetuned)] as const;
    const mix = await Checkpoint.open(mixedSource(...both, strength));
    const weights = await loadWeights(gpu, spec, mix, progress);
    return { source: finetuned, transformer: new Transformer(gpu, spec, weights) };
  } finally {
    base.close();
    finetuned.close();
  }
}

/**
 * The tokenizer beside a model.
 *
 * @throws {TokenizerError} when there is none, or it has tokens that the model lacks
 */
export async function loadTokenizer(
  source: ModelSource,
  { vocabSize }: Pick<ModelSpec, "vocabSize">,
): Promise<Tokenizer> {
  const read = async (file: string) => await source.has(file) ? await source.readJson(file) : null;
  const tokenizer = Tokenizer.fromJson(
    await read("tokenizer.json"),
    await read("tokenizer_config.json"),
    source.ref,
  );
  if (tokenizer.vocabSize > vocabSize) {
    throw new TokenizerError(
      `The tokenizer of "${source.ref}" has ${tokenizer.vocabSize} tokens, its model only ${vocabSize}: ` +
        "they do not belong together",
    );
  }
  return tokenizer;
}

const SIZES = ["layers", "hiddenSize", "vocabSize"] as const satisfies (keyof ModelSpec)[];

/** A model as messages about it need it. */
interface Sized {
  spec: ModelSpec;
  ref: string;
}

/**
 * Makes sure that two models can be compared.
 *
 * @throws {ModelError} when they have other sizes
 */
export function checkSameSizes(base: Sized, tuned: Sized): void {
  for (const size of SIZES) {
    const [expected, found] = [base, tuned].map(({ spec }) => spec[size]);
    if (expected === found) continue;
    throw new ModelError(
      `Cannot compare "${tuned.ref}" with "${base.ref}": it has ${size} ${found}, the base ${expected}`,
    );
  }
}

/** What config.json says. */
export async function readSpec(source: ModelSource): Promise<ModelSpec> {
  return parseConfig(await source.readJson("config.json"), source.ref);
}
