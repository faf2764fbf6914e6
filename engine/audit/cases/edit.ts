/** edit.wgsl: vectors added to rows, or put in their place. */

import { editRows } from "../../ops/rows.ts";
import { editReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { editInputs, editShape } from "./edit_inputs.ts";

export const edit = kernelCase({
  op: "edit",
  shapes: [
    editShape(7, 13, "add"),
    editShape(7, 13, "replace"),
    editShape(1, 1, "add"),
    editShape(31, 67, "replace"),
    editShape(16, 8192, "add"),
  ],
  random: (draw) =>
    editShape(1 + draw.below(20), 1 + draw.below(400), draw.below(2) ? "add" : "replace"),
  make({ rows, width, op }, draw, picked = allRows(rows)) {
    const { x, vectors, entries, words } = editInputs(draw, { rows, width, picked });
    const change = op === "replace" ? op : "add";
    return {
      buffers: { x, vectors, entries: words },
      record: (recorder, at) =>
        editRows(recorder, change, {
          x: at.x.buffer,
          vectors: at.vectors.buffer,
          entries: at.entries.buffer,
          count: entries.length,
          width,
        }),
      expect: {
        x: {
          rowWords: width,
          reference: () => editReference(change, x, vectors, entries, width),
        },
      },
    };
  },
});
