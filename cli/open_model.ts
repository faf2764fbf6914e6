/** The one model of a command, with an adapter on it where one is named. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import {
  type LoadedModel,
  loadFinetuned,
  loadModel,
  type LoadOptions,
} from "../models/load_model.ts";
import { resolveSource, type SourceOptions } from "../models/source.ts";
import { showLoading } from "./open_pair.ts";

/**
 * Loads both; `model` is the base where there is no adapter.
 *
 * @param options `planned` is told of `model` only: with an adapter the base by itself needs other kernels
 */
export async function openModel(
  gpu: Gpu,
  flags: { model: string; adapter: string | undefined },
  options: SourceOptions & Pick<LoadOptions, "planned">,
): Promise<{ base: LoadedModel; model: LoadedModel }> {
  const { signal, planned } = options;
  const source = await resolveSource(flags.model, options);
  const adapter = flags.adapter === undefined
    ? undefined
    : await resolveSource(flags.adapter, options);
  const shown = showLoading(source.name);
  const watch = { ...shown, planned: adapter ? undefined : planned };
  const base = await loadModel(gpu, source, { ...watch, signal }).finally(() => shown.done());
  if (!adapter) return { base, model: base };
  const model = await loadFinetuned(gpu, base, adapter, { signal });
  planned?.(model.transformer);
  return { base, model };
}
