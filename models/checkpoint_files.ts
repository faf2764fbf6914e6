/** Which files of a source hold its weights. */

import { ModelError } from "../engine/errors.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { quote } from "../engine/weights/names.ts";
import type { ModelSource } from "./source.ts";

const INDEX = "model.safetensors.index.json";

/** Weights in other formats: Python pickles, which can run code when they are opened. */
const PICKLES = {
  model: ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"],
  adapter: ["adapter_model.bin"],
};

/**
 * Opens the weights of a model (`model.safetensors`, or the shards of its index) or of an adapter
 * (`adapter_model.safetensors`). The files stay open until the checkpoint is closed.
 *
 * @throws {ModelError} if there are none, or only in a format other than safetensors
 * @throws {WeightsError} if a file is malformed
 */
export async function openCheckpoint(source: ModelSource): Promise<Checkpoint> {
  const single = source.kind === "adapter" ? "adapter_model.safetensors" : "model.safetensors";
  if (await source.has(single)) return await Checkpoint.open(await source.open(single));
  if (source.kind === "model" && await source.has(INDEX)) {
    const index = await source.readJson(INDEX);
    return await Checkpoint.openSharded(index, INDEX, (file) => source.open(file));
  }
  for (const pickle of PICKLES[source.kind]) {
    if (await source.has(pickle)) {
      throw new ModelError(
        `Cannot load model ${
          quote(source.ref)
        }: its weights are in ${pickle}, which is not safetensors ` +
          "(convert them: load the model in Hugging Face transformers or PEFT and save it again)",
      );
    }
  }
  const expected = source.kind === "adapter" ? single : `${single} or ${INDEX}`;
  throw source.lacking(expected);
}
