/** What the tests of the sampling kernels share: draws from given logits, with all that the kernels leave. */

import type { DeviceProfile } from "../engine/gpu/profile.ts";
import { sampleTokens, type Sampling, seenWords, uploadRows } from "../engine/ops/sampling.ts";
import { input, output, poisonPool, results, run, testGpu } from "./test_gpu.ts";

/** Rows of logits from which one token each is drawn. */
export interface Draws {
  rows: readonly Float32Array[];
  /** One for all rows, or one for each. */
  sampling: Sampling | readonly Sampling[];
  /** Default: the row's index. */
  streams?: readonly number[];
  /** Default: 0. */
  steps?: readonly number[];
  /** Tokens that each row's sequence has. */
  seen?: readonly number[][];
  /** Added to every row's step, and the row of the history that is written. */
  step?: number;
}

/** What a case's buffers hold; `history` is the row that was written. */
export interface Drawn {
  ids: number[];
  history: number[];
  logits: Float32Array[];
  seen: Uint32Array[];
}

/** Draws once for each row of each case, all in one submit. */
export async function drawAll(profile: DeviceProfile, cases: readonly Draws[]): Promise<Drawn[]> {
  const gpu = await testGpu(profile);
  const buffers = cases.map(({ rows, sampling, streams, steps, seen, step = 0 }) => {
    const [R, width] = [rows.length, rows[0].length];
    const settings = rows.map((_, r) => settingsOf(sampling, r));
    const words = Math.max(...settings.map((one) => seenWords(one, width)));
    const bitmap = new Uint32Array(Math.max(1, R * words));
    seen?.forEach((tokens, r) => {
      for (const id of tokens) bitmap[slotOf(R, r) * words + (id >> 5)] |= 1 << (id & 31);
    });
    const sampled = rows.map((_, r) => ({
      slot: slotOf(R, r),
      stream: streams?.[r] ?? r,
      step: steps?.[r] ?? 0,
      sampling: settings[r],
    }));
    const flat = new Float32Array(R * width);
    rows.forEach((row, r) => flat.set(row, r * width));
    poisonPool(gpu, 2 * R, 4);
    return {
      ids: output(gpu, [R]),
      history: output(gpu, [step + 1, R]),
      logits: input(gpu, flat, [R, width]),
      seen: input(gpu, bitmap),
      sampled,
      words,
    };
  });
  await run(gpu, (recorder) =>
    cases.forEach(({ step = 0 }, c) => {
      const { ids, history, logits, seen, sampled, words } = buffers[c];
      sampleTokens(recorder, logits, uploadRows(recorder, sampled), {
        seen: seen.buffer,
        words,
        ids: ids.buffer,
        history: history.buffer,
      }, step);
    }));
  const found = await results(gpu, buffers.flatMap((b) => [b.ids, b.history, b.logits]));
  const bitmaps = await gpu.read(buffers.map(({ seen }) => seen));
  for (const { ids, history, logits, seen } of buffers) {
    for (const tensor of [ids, history, logits, seen]) tensor.release();
  }
  return cases.map(({ rows, step = 0 }, c) => {
    const [R, width, words] = [rows.length, rows[0].length, buffers[c].words];
    const [ids, history, logits] = found.slice(3 * c, 3 * c + 3);
    const seen = new Uint32Array(bitmaps[c]);
    return {
      ids: asWords(ids),
      history: asWords(history).slice(step * R),
      logits: rows.map((_, r) => logits.slice(r * width, r * width + width)),
      seen: rows.map((_, r) => seen.slice(slotOf(R, r) * words, slotOf(R, r) * words + words)),
    };
  });
}

/** {@link drawAll} of one case. */
export const draws = async (profile: DeviceProfile, one: Draws) =>
  (await drawAll(profile, [one]))[0];

const settingsOf = (sampling: Draws["sampling"], row: number): Sampling =>
  Array.isArray(sampling) ? sampling[row] : sampling as Sampling;

/** Slots in another order than rows, so that neither is taken for the other. */
const slotOf = (rows: number, row: number) => rows - 1 - row;

const asWords = (x: Float32Array) => [...new Uint32Array(x.buffer, x.byteOffset, x.length)];
