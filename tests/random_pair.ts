/** A fixture's model, and that under an adapter of random numbers. */

import { writeRandomAdapter } from "../bench/large/random_model.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import { loadFinetuned, loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { FIXTURES, readJson } from "./helpers.ts";

/** A whole eight, so that an adapted product is three dispatches. */
const RANK = 8;

/** The model, and with an adapter on all its linear layers. */
export async function randomPair(gpu: Gpu, name: string): Promise<[Transformer, Transformer]> {
  const folder = await Deno.makeTempDir();
  try {
    const source = await resolveSource(`${FIXTURES}/${name}`);
    const base = await loadModel(gpu, source);
    await writeRandomAdapter(folder, await readJson(`${FIXTURES}/${name}/config.json`), RANK, 1);
    const tuned = await loadFinetuned(gpu, base, await resolveSource(folder));
    return [base.transformer, tuned.transformer];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
