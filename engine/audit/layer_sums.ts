/**
 * What two people exchange to see where their adapters part: checksums of a model's activations layer by layer, the first
 * rows of each as numbers, and the likeliest token at every position of a longer text.
 */

import { argmax } from "../ops/sampling.ts";
import type { Transformer } from "../transformer.ts";
import { sha256 } from "./checksum.ts";
import { activations, joined, relativeL2 } from "./model_run.ts";

/** One hook. */
export interface LayerSum {
  hook: string;
  /** SHA-256 of all values, its first digits. */
  sha256: string;
  /** The first values as f32, little-endian, in base64. */
  values: string;
}

/** A model's part of an audit. */
export interface ModelSums {
  model: string;
  layers: LayerSum[];
  /** Positions of the longer text. */
  tokens: number;
  /** The likeliest token at each, as u32, little-endian, in base64. */
  argmax: string;
}

/** Values of each hook that are kept. */
const KEPT = 3072;

/** Checksums of the activations of `texts`, and the argmax at every position of `long`. */
export async function modelSums(
  name: string,
  model: Transformer,
  texts: readonly (readonly number[])[],
  long: readonly (readonly number[])[],
  step: (tokens: number) => void = () => {},
): Promise<ModelSums> {
  const layers: LayerSum[] = [];
  for (const [hook, rows] of await activations(model, texts)) {
    const all = joined(rows);
    layers.push({ hook, sha256: await sha256([all], 16), values: toBase64(all.slice(0, KEPT)) });
  }
  const best: number[] = [];
  for (let s = 0; s < long.length; s += 8) {
    best.push(...await likeliest(model, long.slice(s, s + 8)));
    step(best.length);
  }
  return { model: name, layers, tokens: best.length, argmax: toBase64(Uint32Array.from(best)) };
}

async function likeliest(model: Transformer, texts: readonly (readonly number[])[]) {
  const recorder = model.gpu.record();
  try {
    const captured = model.record(recorder, model.batch(texts), { capture: ["logits"] });
    const best = argmax(recorder, captured.get("logits"));
    await recorder.submit();
    const words = new Uint32Array((await model.gpu.read([best]))[0]);
    captured.release();
    best.release();
    return words.filter((_, i) => i % 2 === 0);
  } finally {
    recorder.close();
  }
}

/** How two adapters' activations of one model agree. */
export interface SumsComparison {
  model: string;
  layers: { hook: string; same: boolean; relativeL2: number }[];
  /** The first hook whose bits differ. */
  parts: string | null;
  tokens: number;
  /** Positions with the same likeliest token. */
  agree: number;
}

/** Compares two; hooks that only one has are left out. */
export function compareSums(a: ModelSums, b: ModelSums): SumsComparison {
  const layers = a.layers.flatMap((layer) => {
    const other = b.layers.find(({ hook }) => hook === layer.hook);
    if (!other) return [];
    const [x, y] = [layer, other].map(({ values }) => new Float32Array(fromBase64(values)));
    const same = layer.sha256 === other.sha256;
    return [{ hook: layer.hook, same, relativeL2: relativeL2(x, y) }];
  });
  const [x, y] = [a, b].map(({ argmax }) => new Uint32Array(fromBase64(argmax)));
  const tokens = Math.min(x.length, y.length);
  return {
    model: a.model,
    layers,
    parts: layers.find(({ same }) => !same)?.hook ?? null,
    tokens,
    agree: x.slice(0, tokens).filter((token, i) => token === y[i]).length,
  };
}

function toBase64(values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): string {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).toBase64();
}

function fromBase64(text: string): ArrayBuffer {
  return Uint8Array.fromBase64(text).buffer as ArrayBuffer;
}
