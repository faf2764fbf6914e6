/**
 * A LoRA adapter beside its base against the same adapter merged into the weights. Here bits differ, for the sums differ;
 * by how much at most is known for each linear layer:
 *
 *   shared  y = fl(W·x) + scale · fl(B·fl(A·x))        merged  z = fl(M·x),  M = fl(W + scale·B·A), f32
 *
 *   |y − z| ≤ γ(k)·|W||x| + γ(k)·|M||x| + u·|M||x|                        both products, and M's rounding
 *           + |scale|·(γ(r) + γ(k))·|B||A||x| + 2u·(|W||x| + |scale|·|B||A||x|)   the factors, and their addition
 *
 * with γ(n) = (64 + ⌈n/64⌉)·u, u = 2^-24, k columns and rank r, to first order.
 */

import type { Gpu } from "../gpu/gpu.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import { BLOCK_LINEARS } from "../model_spec.ts";
import { matmul } from "../ops/matmul.ts";
import { U } from "../ops/reference.ts";
import { Transformer } from "../transformer.ts";
import { toFloat32 } from "../weights/dtype.ts";
import { WEIGHT_DTYPES, type WeightMatrix } from "../weights/matrix.ts";
import type { BlockWeights, Linear, LowRank } from "../weights/model_weights.ts";
import { Draw } from "./inputs.ts";
import { measure } from "./measure.ts";
import { storedMatrix } from "./stored.ts";

type Floats = Float32Array<ArrayBuffer>;

/** Brings a matrix back as f32, `[rows, columns]`. */
export async function readMatrix(gpu: Gpu, matrix: WeightMatrix): Promise<Floats> {
  const { rows, columns, stride, rowBytes, windows, dtype } = matrix;
  const name = (Object.keys(WEIGHT_DTYPES) as (keyof typeof WEIGHT_DTYPES)[])
    .find((key) => WEIGHT_DTYPES[key] === dtype)!;
  const data = await gpu.read(
    windows.map(({ buffer, rows }) => new DeviceTensor(gpu, buffer, [rows * rowBytes / 4])),
  );
  const out = new Float32Array(rows * columns);
  windows.forEach(({ firstRow, rows }, w) => {
    const values = toFloat32(new Uint8Array(data[w]), name);
    for (let r = 0; r < rows; r++) {
      out.set(values.subarray(r * stride, r * stride + columns), (firstRow + r) * columns);
    }
  });
  return out;
}

/** `W + scale·B·A` in double, rounded to f32. */
async function mergedValues(gpu: Gpu, weight: WeightMatrix, lora: LowRank): Promise<Floats> {
  const [w, a, b] = await Promise.all([weight, lora.a, lora.b].map((m) => readMatrix(gpu, m)));
  const { rows, columns } = weight;
  const rank = lora.a.rows;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += b[row * rank + r] * a[r * columns + i];
      w[row * columns + i] += lora.scale * sum;
    }
  }
  return w;
}

/** The model with its blocks' and head's adapters merged into weights of its own; destroy it when done. */
export async function mergeAdapter(model: Transformer): Promise<Transformer> {
  const { gpu, spec, weights } = model;
  const owned: GPUBuffer[] = [];
  const merged = async (linear: Linear): Promise<Linear> => {
    const { weight, lora, bias } = linear;
    if (!lora) return linear;
    const values = await mergedValues(gpu, weight, lora);
    return {
      bias,
      weight: await storedMatrix(gpu, values, [weight.rows, weight.columns], "F32", owned),
    };
  };
  const blocks: BlockWeights[] = [];
  for (const block of weights.blocks) {
    const linears = { ...block.linears };
    for (const name of BLOCK_LINEARS) linears[name] = await merged(linears[name]);
    blocks.push({ ...block, linears });
  }
  return new Transformer(gpu, spec, {
    ...weights,
    blocks,
    head: await merged(weights.head),
    owned,
  });
}

/** How much of its bound the difference of each adapted linear layer takes, on rows of normal numbers; the largest. */
export async function mergedShare(
  shared: Transformer,
  merged: Transformer,
): Promise<{ linears: number; share: number; worstIn: string }> {
  const found = { linears: 0, share: 0, worstIn: "" };
  for (const [layer, block] of shared.weights.blocks.entries()) {
    for (const name of BLOCK_LINEARS) {
      const { weight, lora } = block.linears[name];
      if (!lora) continue;
      const other = merged.weights.blocks[layer].linears[name].weight;
      const share = await linearShare(shared.gpu, weight, lora, other);
      found.linears++;
      if (share > found.share) [found.share, found.worstIn] = [share, `blocks.${layer}.${name}`];
    }
  }
  return found;
}

const ROWS = 4;

async function linearShare(
  gpu: Gpu,
  weight: WeightMatrix,
  lora: LowRank,
  other: WeightMatrix,
): Promise<number> {
  const { rows: n, columns: k } = weight;
  const rank = lora.a.rows;
  const values = new Draw("normal", n + k).normals(ROWS * k);
  const x = gpu.tensorFrom(values, [ROWS, k]);
  const [y, z] = [gpu.tensor([ROWS, n]), gpu.tensor([ROWS, n])];
  const low = gpu.tensor([ROWS, rank]);
  const recorder = gpu.record();
  try {
    matmul(recorder, { x: x.buffer, weight, y: y.buffer, rows: ROWS });
    matmul(recorder, { x: x.buffer, weight: lora.a, y: low.buffer, rows: ROWS });
    const update = { x: low.buffer, weight: lora.b, y: y.buffer, rows: ROWS };
    matmul(recorder, { ...update, addScaled: lora.scale });
    matmul(recorder, { x: x.buffer, weight: other, y: z.buffer, rows: ROWS });
    await recorder.submit();
    const [actual, expected] = (await gpu.read([y, z])).map((data) => new Float32Array(data));
    const matrices = [weight, other, lora.a, lora.b].map((m) => readMatrix(gpu, m));
    const bound = boundOf(values, await Promise.all(matrices), { n, k, rank, scale: lora.scale });
    return measure(actual, { expected: Float64Array.from(expected), bound }).share;
  } finally {
    recorder.close();
    for (const tensor of [y, z, low]) tensor.release();
    gpu.buffers.destroy(x.buffer);
  }
}

/** The bound above, element by element. */
function boundOf(
  x: Floats,
  [w, m, a, b]: readonly Floats[],
  { n, k, rank, scale }: { n: number; k: number; rank: number; scale: number },
): Float64Array {
  const gamma = (terms: number) => (64 + Math.ceil(terms / 64)) * U;
  const size = (matrix: Floats, row: number, width: number, of: ArrayLike<number>, at: number) => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += Math.abs(matrix[row * width + i] * of[at + i]);
    return sum;
  };
  const bound = new Float64Array(ROWS * n);
  for (let row = 0; row < ROWS; row++) {
    const low = Float64Array.from({ length: rank }, (_, r) => size(a, r, k, x, row * k));
    for (let i = 0; i < n; i++) {
      const base = size(w, i, k, x, row * k);
      const update = Math.abs(scale) * size(b, i, rank, low, 0);
      bound[row * n + i] = gamma(k) * base + (gamma(k) + U) * size(m, i, k, x, row * k) +
        (gamma(rank) + gamma(k)) * update + 2 * U * (base + update);
    }
  }
  return bound;
}
