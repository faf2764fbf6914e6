/** Rows alone, in batches of many sizes, at other places and more than once: each must have the bits that it has among all. */

import type { Gpu } from "../gpu/gpu.ts";
import type { KernelCase, Shape } from "./case.ts";
import { type Distribution, Draw } from "./inputs.ts";
import { runJob } from "./run_job.ts";
import { sameWords } from "./repeat.ts";

/** Batches of `count` rows: some rows alone, the neighbours, all in falling order, and rows drawn at random. */
export function batchesOf(count: number, draw: Draw, random: number): number[][] {
  const all = Array.from({ length: count }, (_, i) => i);
  const batches = [[0], [count - 1], [count >> 1], all.toReversed(), all.slice(count >> 1)];
  for (let i = 0; i < random; i++) {
    const size = 1 + draw.below(count + 3);
    batches.push(Array.from({ length: size }, () => draw.below(count)));
  }
  return batches;
}

/**
 * Compares rows in batches with those of `whole`, the outputs of the job on all rows.
 *
 * @returns how many rows were compared, and what was not the same
 */
export async function compareBatches(
  gpu: Gpu,
  one: KernelCase,
  input: { shape: Shape; distribution: Distribution; seed: number },
  whole: Record<string, Uint32Array>,
  random: number,
): Promise<{ compared: number; faults: string[] }> {
  const { shape, distribution, seed } = input;
  let compared = 0;
  const faults: string[] = [];
  for (const rows of batchesOf(shape.rows, new Draw("normal", seed + 1), random)) {
    const job = one.make(shape, new Draw(distribution, seed), rows);
    const run = await runJob(gpu, job);
    faults.push(...run.faults.map((fault) => `${fault} (rows ${rows})`));
    for (const [name, { rowWords }] of Object.entries(job.expect)) {
      if (rowWords === 0) continue;
      const row = (words: Uint32Array, i: number) =>
        words.subarray(i * rowWords, (i + 1) * rowWords);
      const other = rows.findIndex((from, i) =>
        !sameWords(row(run.outputs[name], i), row(whole[name], from))
      );
      compared += rows.length;
      if (other < 0) continue;
      faults.push(`row ${rows[other]} of "${name}" has other bits in the batch of rows ${rows}`);
    }
  }
  return { compared, faults };
}
