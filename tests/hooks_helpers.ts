/** What the tests of hooks and of edits share: a small model, texts, and its hooks. */

import { BLOCK_HOOKS } from "../engine/hooks.ts";
import type { Batch, ForwardRequest, Transformer } from "../engine/transformer.ts";
import { fixtureModel, sharedGpu, someTokens } from "./helpers.ts";

export const NORMED = "ln_final.hook_normalized";
/** Tokens of the texts. */
export const LENGTHS = [7, 4, 9];

/** A model of five layers. */
export const openModel = async (name = "llama3_untied") =>
  await fixtureModel(await sharedGpu(), name);
export const texts = (model: Transformer) =>
  LENGTHS.map((length, s) => someTokens(model, length, s));

/** What a pass records: how many dispatches, and of which kernels. Nothing runs. */
export function recorded(model: Transformer, batch: Batch, request: ForwardRequest) {
  const recorder = model.gpu.record();
  model.record(recorder, batch, request).release();
  const { dispatches, kernels } = recorder;
  recorder.close();
  return { dispatches, kernels: kernels.map(({ name }) => name) };
}

/** Every hook of a model, in the order of a forward pass. */
export function allHooks({ spec }: Transformer): string[] {
  const blocks = Array.from(
    { length: spec.layers },
    (_, i) => BLOCK_HOOKS.map((hook) => `blocks.${i}.${hook}`),
  );
  return ["hook_embed", ...blocks.flat(), NORMED, "logits"];
}

/** One hook of every kind, in the middle of the model. */
export const hookKinds = () => [
  "hook_embed",
  ...BLOCK_HOOKS.map((hook) => `blocks.2.${hook}`),
  NORMED,
  "logits",
];
