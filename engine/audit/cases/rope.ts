/** rope.wgsl and rope_vec4.wgsl, into rows of its own and into a key cache. */

import { rope } from "../../ops/attention.ts";
import { ropeReference } from "../../ops/attention_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { ropeTable } from "../../rope.ts";

const shape = (
  rows: number,
  heads: number,
  headDim: number,
  rotaryDim: number,
  toCache = false,
) => ({
  label: `[${rows}, ${heads}, ${headDim}], ${rotaryDim} turn${toCache ? ", to the cache" : ""}`,
  rows,
  heads,
  headDim,
  rotaryDim,
  toCache,
});

const POSITIONS = 512;

export const ropeCase = kernelCase({
  op: "rope",
  shapes: [
    shape(7, 3, 8, 8),
    shape(7, 3, 8, 4, true),
    shape(1, 1, 4, 2),
    shape(13, 5, 96, 72),
    shape(9, 3, 20, 12),
    shape(31, 8, 256, 256, true),
  ],
  random(draw) {
    const headDim = 4 * (1 + draw.below(32));
    const rotaryDim = 2 * (1 + draw.below(headDim / 2));
    return shape(1 + draw.below(20), 1 + draw.below(6), headDim, rotaryDim, draw.below(2) === 1);
  },
  make({ rows, heads, headDim, rotaryDim, toCache }, draw, picked = allRows(rows)) {
    const width = heads * headDim;
    const x = rowsOf(draw.values(rows * width, width, 120), width, picked);
    const tables = ropeTable(
      { theta: 10_000, rotaryDim, scaling: { kind: "none" } },
      POSITIONS,
    );
    const all = Array.from({ length: rows }, () => draw.below(POSITIONS));
    const positions = picked.map((row) => all[row]);
    // A token's place among the keys is own_start + position − prefix_length: here its own row.
    const info = Uint32Array.from(positions.flatMap((position, i) => [0, position, i, position]));
    return {
      buffers: { x, tables, info, out: { words: x.length } },
      record: (recorder, at) =>
        rope(recorder, {
          x: at.x.buffer,
          tables: at.tables.buffer,
          info: at.info.buffer,
          out: at.out.buffer,
          tokens: picked.length,
          heads,
          headDim,
          rotaryDim,
          toCache,
        }),
      expect: {
        out: {
          rowWords: width,
          reference: () => ropeReference(x, tables, positions, { heads, headDim, rotaryDim }),
        },
      },
    };
  },
});
