/** A model's activations as an audit compares them: hook by hook, sequences end to end. */

import type { KeyPlacement } from "../batch.ts";
import type { HookName } from "../hooks.ts";
import type { KvCache } from "../kv_cache.ts";
import type { Transformer } from "../transformer.ts";
import { sha256 } from "./checksum.ts";

type Floats = Float32Array<ArrayBuffer>;

/** At each hook the rows of each sequence. */
export type Activations = Map<HookName, Floats[]>;

/** The embedding, the residual stream after every block, and the logits. */
export function auditedHooks({ spec }: Pick<Transformer, "spec">): HookName[] {
  const blocks = Array.from({ length: spec.layers }, (_, i) => `blocks.${i}.hook_resid_post`);
  return ["hook_embed", ...blocks, "logits"];
}

/** Runs sequences as one batch. */
export async function activations(
  model: Transformer,
  sequences: readonly (readonly number[])[],
  options: { cache?: KvCache; placements?: readonly KeyPlacement[] } = {},
): Promise<Activations> {
  const { cache, placements } = options;
  const capture = auditedHooks(model);
  const captured = await model.forward(model.batch(sequences, placements), { capture, cache });
  const data = await model.gpu.read(capture.map((hook) => captured.get(hook)));
  const found: Activations = new Map(capture.map((hook, h) => {
    const values = new Float32Array(data[h]);
    const offsets = captured.offsets(hook);
    const width = captured.get(hook).shape[1];
    const rows = sequences.map((_, s) => values.slice(offsets[s] * width, offsets[s + 1] * width));
    return [hook, rows];
  }));
  captured.release();
  return found;
}

/** Runs one sequence in pieces of the given lengths through a cache, not at the cache's beginning. */
export async function inPieces(
  model: Transformer,
  cache: KvCache,
  text: readonly number[],
  lengths: readonly number[],
): Promise<Activations> {
  const ownStart = cache.reserve(text.length);
  const whole: Activations = new Map();
  let done = 0;
  for (const length of lengths) {
    const place = { prefixStart: 0, prefixLength: 0, ownStart, ownLength: done };
    const piece = text.slice(done, done + length);
    const part = await activations(model, [piece], { cache, placements: [place] });
    for (const [hook, [rows]] of part) {
      whole.set(hook, [joined([...whole.get(hook) ?? [], rows])]);
    }
    done += length;
  }
  return whole;
}

/** Arrays end to end. */
export function joined(parts: readonly Floats[]): Floats {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** One checksum of all that is at the hooks. */
export async function checksumOf(found: Activations): Promise<string> {
  return await sha256([...found.values()].flat(), 16);
}

/** One sequence of several, as a run of its own. */
export function sequenceOf(found: Activations, s: number): Activations {
  return new Map([...found].map(([hook, rows]) => [hook, [rows[s]]]));
}

/** The first hook whose bits differ, or undefined; both have the same hooks. */
export function firstDifference(a: Activations, b: Activations): HookName | undefined {
  const bits = (parts: Floats[]) => new Uint32Array(joined(parts).buffer);
  for (const [hook, rows] of a) {
    const [x, y] = [bits(rows), bits(b.get(hook)!)];
    if (x.length !== y.length || x.some((word, i) => word !== y[i])) return hook;
  }
  return undefined;
}

/** ‖a − b‖ / ‖b‖. */
export function relativeL2(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}
