/** From a source to a model that runs, with its tokenizer. */

import { withAdapter } from "../engine/adapter.ts";
import { ModelError, OutOfMemoryError, TokenizerError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { Transformer } from "../engine/transformer.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { loadLora } from "../engine/weights/lora.ts";
import { parseAdapterConfig } from "../engine/weights/lora_config.ts";
import { mixedSource } from "../engine/weights/mixed_source.ts";
import {
  type LoadProgress,
  loadWeights,
  type ModelWeights,
} from "../engine/weights/model_weights.ts";
import { streamWeights } from "../engine/weights/streamed_weights.ts";
import { openCheckpoint } from "./checkpoint_files.ts";
import { parseConfig } from "./config.ts";
import { roomForWeights, weightBytes, workingBytes } from "./memory.ts";
import type { ModelSource } from "./source.ts";

/** A model on the device and where it came from. */
export interface LoadedModel {
  source: ModelSource;
  transformer: Transformer;
}

/** How a model is loaded. */
export interface LoadOptions {
  /** Told of the bytes that are on the device. */
  progress?: LoadProgress;
  /** Ends the loading, and the reading of weights that are brought later. */
  signal?: AbortSignal;
  /** Whether weights are brought layer by layer, each time when a pass comes to them (default: when they do not fit). */
  stream?: boolean;
  /** Called instead of any progress when the weights are brought later, with the bytes that did not fit. */
  streaming?: (bytes: number) => void;
  /** Called when the model is laid out and its weights are still to come: what it records then compiles meanwhile. */
  planned?: (model: Transformer) => void;
}

/** Loads a whole checkpoint; one that does not fit on the device is read layer by layer when it is run. */
export async function loadModel(
  gpu: Gpu,
  source: ModelSource,
  options: LoadOptions = {},
): Promise<LoadedModel> {
  if (source.kind === "adapter") {
    throw new ModelError(
      `Cannot load "${source.ref}" as a model: it is a LoRA adapter; name its base model too`,
    );
  }
  const spec = await readSpec(source);
  return { source, transformer: await bring(gpu, spec, await openCheckpoint(source), options) };
}

/**
 * Loads the other side of a pair: a LoRA adapter, which shares the base's weights, or a whole checkpoint of the same
 * sizes.
 *
 * @param options `strength`: how far the model is from the base: 0 is the base, 1 (the default) the finetuned model
 * @throws {ModelError} when the adapter does not fit the base, or the checkpoint has other sizes
 */
export async function loadFinetuned(
  gpu: Gpu,
  base: LoadedModel,
  source: ModelSource,
  options: LoadOptions & { strength?: number } = {},
): Promise<LoadedModel> {
  const { strength = 1, signal } = options;
  if (source.kind === "model") {
    const tuned = strength === 1
      ? await loadModel(gpu, source, options)
      : await loadMixed(gpu, base.source, source, strength, options);
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
  const config = parseAdapterConfig(await source.readJson("adapter_config.json"), source.ref);
  const checkpoint = await openCheckpoint(source);
  return await closing(checkpoint, async () => {
    const adapter = loadLora(config, checkpoint, base.transformer.spec);
    const transformer = await withAdapter(base.transformer, adapter, strength, signal);
    return { source, transformer };
  });
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
  options: LoadOptions = {},
): Promise<LoadedModel> {
  const spec = await readSpec(base);
  const both = [await openCheckpoint(base), await openCheckpoint(finetuned)] as const;
  const mix = await Checkpoint.open(mixedSource(...both, strength));
  return { source: finetuned, transformer: await bring(gpu, spec, mix, options) };
}

/** Brings weights to the device, now or when they are needed, and closes the checkpoint when it has done its part. */
async function bring(
  gpu: Gpu,
  spec: ModelSpec,
  checkpoint: Checkpoint,
  options: LoadOptions,
): Promise<Transformer> {
  const made = closing(checkpoint, async () => {
    const bytes = weightBytes(checkpoint, spec);
    const fits = bytes + workingBytes(spec) <= roomForWeights(gpu);
    if (options.stream === false || options.stream === undefined && fits) {
      let transformer: Transformer | undefined;
      try {
        const planned = (weights: ModelWeights) => {
          transformer = new Transformer(gpu, spec, weights);
          options.planned?.(transformer);
        };
        await loadWeights(gpu, spec, checkpoint, { ...options, planned });
        return { transformer: transformer! };
      } catch (error) {
        transformer?.destroy();
        // How much a GPU has shows only when it is asked for.
        if (options.stream === false || !(error instanceof OutOfMemoryError)) throw error;
      }
    }
    options.streaming?.(bytes);
    const weights = await streamWeights(gpu, spec, checkpoint, options);
    return { transformer: new Transformer(gpu, spec, weights) };
  });
  return (await gpu.timings.during("load", made)).transformer;
}

/** Closes a checkpoint unless the model that was made of it goes on reading it. */
async function closing<Made extends { transformer: Transformer }>(
  checkpoint: Checkpoint,
  make: () => Promise<Made>,
): Promise<Made> {
  let streamed = false;
  try {
    const made = await make();
    streamed = made.transformer.weights.stream !== undefined;
    return made;
  } finally {
    if (!streamed) checkpoint.close();
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
