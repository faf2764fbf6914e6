/** From a source to a model that runs, with its tokenizer. */

import { withAdapter } from "../engine/adapter.ts";
import { ModelError, TokenizerError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { Tokenizer } from "../engine/text/tokenizer.ts";
import { Transformer } from "../engine/transformer.ts";
import { loadLora } from "../engine/weights/lora.ts";
import { parseAdapterConfig } from "../engine/weights/lora_config.ts";
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
  const spec = parseConfig(await source.readJson("config.json"), source.ref);
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
 * @throws {ModelError} when the adapter does not fit the base, or the checkpoint has other sizes
 */
export async function loadFinetuned(
  gpu: Gpu,
  base: LoadedModel,
  source: ModelSource,
  progress?: LoadProgress,
): Promise<LoadedModel> {
  if (source.kind === "model") {
    const tuned = await loadModel(gpu, source, progress);
    try {
      checkSameSizes(base, tuned);
    } catch (error) {
      tuned.transformer.destroy();
      throw error;
    }
    return tuned;
  }
  try {
    const config = parseAdapterConfig(await source.readJson("adapter_config.json"), source.ref);
    const adapter = loadLora(config, await openCheckpoint(source), base.transformer.spec);
    return { source, transformer: await withAdapter(base.transformer, adapter) };
  } finally {
    source.close();
  }
}

/**
 * The tokenizer beside a model.
 *
 * @throws {TokenizerError} when there is none, or it has tokens that the model lacks
 */
export async function loadTokenizer({ source, transformer }: LoadedModel): Promise<Tokenizer> {
  const read = async (file: string) => await source.has(file) ? await source.readJson(file) : null;
  const tokenizer = Tokenizer.fromJson(
    await read("tokenizer.json"),
    await read("tokenizer_config.json"),
    source.ref,
  );
  const { vocabSize } = transformer.spec;
  if (tokenizer.vocabSize > vocabSize) {
    throw new TokenizerError(
      `The tokenizer of "${source.ref}" has ${tokenizer.vocabSize} tokens, its model only ${vocabSize}: ` +
        "they do not belong together",
    );
  }
  return tokenizer;
}

const SIZES = ["layers", "hiddenSize", "vocabSize"] as const satisfies (keyof ModelSpec)[];

function checkSameSizes(base: LoadedModel, tuned: LoadedModel): void {
  for (const size of SIZES) {
    const [expected, found] = [base, tuned].map(({ transformer }) => transformer.spec[size]);
    if (expected === found) continue;
    throw new ModelError(
      `Cannot compare "${tuned.source.ref}" with "${base.source.ref}": it has ${size} ${found}, the base ${expected}`,
    );
  }
}

/** SHA-256 of the files that {@link loadModel} or {@link loadFinetuned} would read, without loading them. */
export async function hashModel(source: ModelSource): Promise<Record<string, string>> {
  try {
    await source.readJson(source.kind === "adapter" ? "adapter_config.json" : "config.json");
    await openCheckpoint(source);
    return await source.sha256();
  } finally {
    source.close();
  }
}
