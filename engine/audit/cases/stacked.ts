/** What the audits of products with what stands around them in a block share: their shapes, and the job of any of the kernels. */

import type { Recorder } from "../../gpu/recorder.ts";
import { ROW_TEXELS, TEXEL_BYTES } from "../../gpu/texels.ts";
import { type FewRowsArgs, type Form, isGated, type Join } from "../../ops/few_rows.ts";
import {
  editEntries,
  fewRowsReference,
  joinedReference,
  normedReference,
} from "../../ops/few_rows_reference.ts";
import type { Share } from "../../ops/many_rows.ts";
import type { WeightMatrix } from "../../weights/matrix.ts";
import { packedRows, planPacked, recordPacking } from "../../weights/packed.ts";
import type { Job } from "../case.ts";
import { type Distribution, type Draw, rowsOf } from "../inputs.ts";
import { asStored, largestExponent, type StoredDtype } from "../stored.ts";

interface Choices {
  norm?: boolean;
  /** What is joined to the rows before their norm, if anything is; the sum is a result too. */
  join?: Join["kind"];
  bias?: boolean;
  /** Of an adapter on it, and how its factors are stored (default: not at all). */
  rank?: number;
  factors?: StoredDtype;
  /** Whether the result goes to a texture. */
  texels?: boolean;
  /** Whether the result goes through a norm, which is a result too. */
  after?: boolean;
  distributions?: readonly Distribution[];
}

/** A product of `n` columns of `k` numbers with `rows` rows, and what is done with it. */
export function shape(
  [rows, n, k]: readonly [number, number, number],
  dtype: StoredDtype,
  form: Form,
  choices: Choices = {},
) {
  const { norm = false, join, bias = false, rank = 0, factors = "BF16" } = choices;
  const { texels = false, after = false, distributions } = choices;
  const size = `[${rows}, ${k}] · [${n}, ${k}]ᵀ, ${dtype.toLowerCase()}, ${form}`;
  const adapter = `an adapter of rank ${rank}, ${factors.toLowerCase()}`;
  const label = [
    size,
    ...(join ? [JOINED[join]] : []),
    ...(norm ? ["normed"] : []),
    ...(bias ? ["with bias"] : []),
    ...(rank > 0 ? [adapter] : []),
    ...(texels ? ["to texels"] : []),
    ...(after ? ["then normed"] : []),
  ].join(", ");
  return {
    label,
    rows,
    n,
    k,
    dtype,
    form,
    norm,
    join,
    bias,
    rank,
    factors,
    texels,
    after,
    distributions,
  };
}

/** How labels tell what is joined to the rows. */
const JOINED: Record<Join["kind"], string> = { normed: "joined", vector: "edited" };
/** What may be joined to them, or nothing. */
export const JOINS: readonly (Join["kind"] | undefined)[] = [undefined, "normed", "vector"];

/** What large shapes are tried on. */
export const LARGE = ["normal", "outliers"] as const;
/** All that may become of a product. */
export const FORMS: readonly Form[] = ["store", "add", "silu", "gelu_tanh"];

/** Columns of the result. */
export function widthOf({ n, form }: Pick<ReturnType<typeof shape>, "n" | "form">): number {
  return isGated(form) ? n / 2 : n;
}

/** A product of matrices that are stacked. */
export type Op = (
  recorder: Recorder,
  matrices: readonly WeightMatrix[],
  args: Omit<FewRowsArgs, "weight"> & { bias?: GPUBuffer; lora?: Lora; after?: After },
) => void;

/** A norm of the result, and where that goes. */
interface After {
  weight: GPUBuffer;
  eps: number;
  normed: GPUBuffer;
}

/** An adapter's factors of each matrix. */
interface Lora {
  a: readonly WeightMatrix[];
  b: readonly WeightMatrix[];
}

/** By what adapters' shares are multiplied. */
export const SCALE = 0.75;

/** One that takes them from a texture. */
export function packed(
  op: (recorder: Recorder, args: FewRowsArgs & { share?: Share; after?: After }) => void,
): Op {
  return (recorder, matrices, { bias, lora, ...args }) => {
    const { texels } = recorder.gpu;
    // What is larger than scratch is made as a model's is, and stays as long as the device.
    const fits = (bytes: number) => bytes <= texels.largest;
    const make = (bytes: number) => fits(bytes) ? texels.acquire(bytes) : texels.create(bytes);
    const pack = (parts: readonly WeightMatrix[], padded = false) => {
      const made = planPacked(parts, make, padded)!;
      recordPacking(recorder, made);
      return made;
    };
    const weight = pack(matrices);
    const share = lora &&
      { lows: pack(lora.a, true), firsts: packedRows(lora.a), b: pack(lora.b), scale: SCALE };
    op(recorder, { ...args, weight: { ...weight, bias }, share });
    for (const { texture } of [weight, ...(share ? [share.lows, share.b] : [])]) {
      if (fits(TEXEL_BYTES * ROW_TEXELS * texture.height)) texels.release(texture);
    }
  };
}

/** What is joined to the rows; its rows are those that are picked. */
function drawJoined(
  kind: Join["kind"],
  rows: number,
  k: number,
  draw: Draw,
  picked: readonly number[],
) {
  return kind === "normed"
    ? { kind, y: rowsOf(draw.values(rows * k, k, 20), k, picked), weight: draw.normals(k) }
    : { kind, vector: draw.values(k, k, 20), coefficients: rowsOf(draw.normals(rows), 1, picked) };
}

/** The job of any of the kernels. */
export function make(
  { rows, n, k, dtype, form, rank, factors, ...choices }: ReturnType<typeof shape>,
  draw: Draw,
  picked: readonly number[],
  op: Op,
  parts: readonly number[] = [n],
): Job {
  // What passes a gate is a product of two sums, and must stay finite.
  const x = rowsOf(draw.values(rows * k, k, 20), k, picked);
  const w = asStored(draw.weights(n * k, k, Math.min(20, largestExponent(dtype))), dtype);
  const gated = isGated(form);
  const wide = widthOf({ n, form });
  const before = form === "add" ? rowsOf(draw.values(rows * n, n, 60), n, picked) : undefined;
  const norm = choices.norm ? { weight: draw.normals(k), eps: 1e-5 } : undefined;
  const join = choices.join && drawJoined(choices.join, rows, k, draw, picked);
  const bias = choices.bias ? draw.normals(n) : undefined;
  const matrices: NonNullable<Job["matrices"]> = {};
  let first = 0;
  parts.forEach((rows, i) => {
    const values = w.subarray(first * k, (first + rows) * k);
    matrices[`w${i}`] = { values, rows, columns: k, dtype };
    first += rows;
  });
  // Gates and what they let pass are adapted each by itself.
  const adapted = rank === 0 ? [] : gated ? [n / 2, n / 2] : parts;
  let firstShare = 0;
  const shares = adapted.map((count, i) => {
    const drawn = (rows: number, columns: number, most: number) =>
      asStored(draw.weights(rows * columns, columns, most), factors);
    const [a, b] = [drawn(rank, k, 0), drawn(count, rank, 10)];
    matrices[`a${i}`] = { values: a, rows: rank, columns: k, dtype: factors };
    matrices[`b${i}`] = { values: b, rows: count, columns: rank, dtype: factors };
    const first = firstShare;
    firstShare += count;
    return { a, b, scale: SCALE, first, count };
  });
  const inputs = { x, join, norm, w, bias, shares, before };
  const sum = () => fewRowsReference(inputs, [picked.length, n, k], form);
  const after = choices.after ? { weight: draw.normals(n), eps: 1e-5 } : undefined;
  return {
    buffers: {
      x,
      norm: norm?.weight ?? new Float32Array(1),
      bias: bias ?? new Float32Array(1),
      out: before ?? { words: picked.length * wide },
      ...(join && {
        ...(join.kind === "normed"
          ? { joined: join.y, by: join.weight }
          : { joined: join.vector, by: editEntries(join.coefficients) }),
        sum: { words: picked.length * k },
      }),
      ...(after && { after: after.weight, normed: { words: picked.length * n } }),
    },
    matrices,
    record(recorder, at, matrices) {
      op(recorder, parts.map((_, i) => matrices[`w${i}`]), {
        x: at.x.buffer,
        join: join && {
          ...(join.kind === "normed"
            ? { kind: "normed", y: at.joined.buffer, weight: at.by.buffer }
            : { kind: "vector", vector: at.joined.buffer, entries: at.by.buffer }),
          sum: at.sum.buffer,
        },
        norm: norm && { weight: at.norm.buffer, eps: norm.eps },
        bias: bias && at.bias.buffer,
        out: at.out.buffer,
        rows: picked.length,
        form,
        after: after &&
          { weight: at.after.buffer, eps: after.eps, normed: at.normed.buffer },
        lora: rank === 0 ? undefined : {
          a: adapted.map((_, i) => matrices[`a${i}`]),
          b: adapted.map((_, i) => matrices[`b${i}`]),
        },
      });
    },
    expect: {
      out: { rowWords: wide, reference: sum },
      ...(join && {
        sum: { rowWords: k, reference: () => joinedReference(inputs, [picked.length, k]) },
      }),
      ...(after && {
        normed: {
          rowWords: n,
          reference: () => normedReference(sum(), after.weight, [picked.length, n], after.eps),
        },
      }),
    },
  };
}
