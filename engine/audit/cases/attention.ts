/**
 * Every variant of attention: queries at any place of sequences that share a prefix or stand alone. A query's row holds
 * whatever others are in the batch, so that rows are prefill and cached decoding at once.
 */

import { attention } from "../../ops/attention.ts";
import { attentionReference } from "../../ops/attention_reference.ts";
import { allRuns } from "../../query_runs.ts";
import { allRows, kernelCase } from "../case.ts";
import { type Distribution, type Draw, rowsOf } from "../inputs.ts";

interface Sizes {
  heads: number;
  kvHeads: number;
  headDim: number;
  window?: number;
  softcap?: number;
  /** The length of the prefix that every other sequence shares. */
  prefix?: number;
  /** Whether several tokens of a sequence are taken at a time. */
  runs?: boolean;
  distributions?: readonly Distribution[];
}

function shape(lengths: readonly number[], sizes: Sizes) {
  const { heads, kvHeads, headDim, window = null, softcap = null, prefix = 0, runs = false } =
    sizes;
  const notes = [
    `sequences of ${lengths}`,
    `${heads}/${kvHeads} heads of ${headDim}`,
    ...(prefix ? [`prefix ${prefix}`] : []),
    ...(window ? [`window ${window}`] : []),
    ...(softcap ? [`cap ${softcap}`] : []),
    ...(runs ? ["in runs"] : []),
  ];
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const { distributions } = sizes;
  return {
    label: notes.join(", "),
    rows,
    lengths,
    heads,
    kvHeads,
    headDim,
    window,
    softcap,
    prefix,
    runs,
    distributions,
  };
}

/** Keys of the longest sequence: a query at the end of a context of 4,096 tokens. */
const FAR = 4095;

export const attentionCase = kernelCase({
  op: "attention",
  shapes: [
    shape([3, 70, 1], { heads: 4, kvHeads: 2, headDim: 12 }),
    shape([5, 66], { heads: 3, kvHeads: 1, headDim: 8, window: 63, softcap: 30, prefix: 67 }),
    shape([71, 3], { heads: 4, kvHeads: 2, headDim: 12, prefix: 67, runs: true }),
    shape([1], { heads: 1, kvHeads: 1, headDim: 4 }),
    shape([70, 9], { heads: 2, kvHeads: 1, headDim: 96, window: 65, softcap: 30, runs: true }),
    shape([130], { heads: 2, kvHeads: 2, headDim: 128, runs: true }),
    shape([66], { heads: 2, kvHeads: 1, headDim: 16, softcap: 20, runs: true }),
    shape([131, 2], { heads: 2, kvHeads: 2, headDim: 68, window: 65 }),
    shape([9, 64, 65], { heads: 6, kvHeads: 2, headDim: 64, prefix: 129 }),
    shape([17], { heads: 2, kvHeads: 1, headDim: 256, softcap: 50 }),
    shape([1], {
      heads: 2,
      kvHeads: 1,
      headDim: 128,
      prefix: FAR,
      distributions: ["normal", "outliers"],
    }),
  ],
  quick: 3,
  random(draw) {
    const kvHeads = 1 + draw.below(3);
    return shape([1 + draw.below(80), 1 + draw.below(80)], {
      heads: kvHeads * (1 + draw.below(3)),
      kvHeads,
      headDim: 4 * (1 + draw.below(32)),
      window: draw.below(2) ? 1 + draw.below(100) : undefined,
      softcap: draw.below(2) ? 20 : undefined,
      prefix: draw.below(100),
      runs: draw.below(2) === 1,
    });
  },
  make(sizes, draw, picked = allRows(sizes.rows)) {
    const { heads, kvHeads, headDim, window, softcap } = sizes;
    const scale = 1 / Math.sqrt(headDim);
    const q = rowsOf(draw.normals(sizes.rows * heads * headDim), heads * headDim, picked);
    const { info: all, rows } = places(sizes.lengths, sizes.prefix);
    const info = rowsOf(all, 4, picked);
    const k = keys(draw, rows * kvHeads * headDim, headDim);
    const v = draw.values(rows * kvHeads * headDim, headDim, 100);
    return {
      buffers: { q, k, v, info, out: { words: q.length } },
      record: (recorder, at) =>
        attention(recorder, {
          q: at.q.buffer,
          k: at.k.buffer,
          v: at.v.buffer,
          info: at.info.buffer,
          out: at.out.buffer,
          tokens: picked.length,
          keys: sizes.prefix + Math.max(...sizes.lengths),
          heads,
          kvHeads,
          headDim,
          scale,
          window,
          softcap,
          runs: sizes.runs ? allRuns(recorder, runsOf(info), info) : undefined,
        }),
      expect: {
        out: {
          rowWords: heads * headDim,
          reference: () =>
            attentionReference(q, k, v, info, { heads, kvHeads, headDim, scale, window, softcap }),
        },
      },
    };
  },
});

/** Scores must be such that softmax has more than one term: keys of the size that keys have. */
function keys(draw: Draw, count: number, headDim: number): Float32Array<ArrayBuffer> {
  return draw.distribution === "large" ? draw.normals(count) : draw.values(count, headDim);
}

/** Where tokens begin that do not follow the one before in its sequence, and the end. */
function runsOf(info: Uint32Array): Uint32Array<ArrayBuffer> {
  const follows = (i: number) =>
    [0, 1, 2].every((j) => info[i + j] === info[i + j - 4]) && info[i + 3] === info[i - 1] + 1;
  const offsets: number[] = [];
  for (let i = 0; i < info.length; i += 4) if (i === 0 || !follows(i)) offsets.push(i / 4);
  return Uint32Array.from([...offsets, info.length / 4]);
}

/** Token info of the sequences, and the rows of keys in all: own rows in falling order of sequences, then the prefix. */
function places(lengths: readonly number[], prefix: number) {
  const info: number[] = [];
  const own = lengths.reduce((sum, length) => sum + length, 0);
  let end = own;
  lengths.forEach((length, s) => {
    end -= length;
    const shared = s % 2 === 0 ? prefix : 0;
    for (let i = 0; i < length; i++) info.push(own, shared, end, shared + i);
  });
  return { info: Uint32Array.from(info), rows: own + prefix };
}
