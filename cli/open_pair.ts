/** The two models of a command, found and checked. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { knownAudits } from "./audits.ts";
import { kernelHashes } from "../lens/provenance.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { type LoadOptions, loadTokenizer } from "../models/load_model.ts";
import { type LoadWatch, type ModelPair, ModelShelf } from "../models/model_shelf.ts";
import { type ModelSource, resolveSource, type SourceOptions } from "../models/source.ts";
import { precisionJson } from "./precision.ts";
import { type Progress, startProgress } from "./progress.ts";
import { visible } from "./visible.ts";

/** Two models that are loaded when they are asked for. Dispose of the shelf when done. */
export interface OpenedPair {
  shelf: ModelShelf;
  models: ModelPair;
  base: ModelSource;
  finetuned: ModelSource;
  spec: ModelSpec;
  tokenizer: Tokenizer;
}

/**
 * Finds both models; nothing is loaded yet.
 *
 * @param refs for `resolveSource`
 * @param watch shows how a model is loaded
 * @throws {ModelError} if one is not there, or they do not belong together
 */
export async function openPair(
  gpu: Gpu,
  refs: { base: string; finetuned: string },
  options: SourceOptions & Pick<LoadOptions, "planned">,
  watch: LoadWatch = (name) => showLoading(name),
): Promise<OpenedPair> {
  const shelf = new ModelShelf(gpu, watch, options);
  const base = await resolveSource(refs.base, options);
  const finetuned = await resolveSource(refs.finetuned, options);
  await shelf.add("base", base);
  await shelf.add("finetuned", finetuned, "base");
  const spec = shelf.spec("base");
  const tokenizer = await loadTokenizer(base, spec);
  return { shelf, models: shelf.pair("base", "finetuned"), base, finetuned, spec, tokenizer };
}

/** What tells one model's files from another's, for a run's fingerprint. */
export async function identity(source: ModelSource): Promise<{ [key: string]: JsonValue }> {
  const { name, revision } = source;
  return { name, ...(revision && { revision }), files: await source.sha256() };
}

/** Shows how a model is being loaded, or says that it will be read again and again. */
export function showLoading(name: string, quiet = false) {
  const mb = (bytes: number) => Math.round(bytes / 1e6);
  let bar: Progress | undefined;
  return {
    progress(done: number, total: number) {
      bar ??= startProgress({ label: `Loading ${name}`, total: mb(total), unit: "MB", quiet });
      bar.update(mb(done));
    },
    streaming(bytes: number) {
      if (quiet) return;
      console.error(
        `${visible(name)} (${
          mb(bytes)
        } MB) does not fit: its weights are read layer by layer as they are needed`,
      );
    },
    done: () => bar?.done(),
  };
}

/** Shows how far a piece of work has come, of which an earlier, interrupted run did the first `begun`. */
export function showProgress(label: string, total: number, unit: string, begun?: number): Progress {
  return startProgress({ label, total, unit, begun });
}

/** What the manifest says of each step: with what it was made. */
export function provenanceOf(gpu: Gpu): () => Promise<Record<string, JsonValue>> {
  return async () => ({
    kernels: await kernelHashes(gpu, await knownAudits()),
    deno: Deno.version.deno,
    ...precisionJson(gpu),
    device_bytes: gpu.buffers.peakBytes,
  });
}
