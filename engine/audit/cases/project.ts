/** project.wgsl: the component of rows along vectors, set to a number or to that of another row. */

import { projectRows } from "../../ops/rows.ts";
import { componentReference, editReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { editInputs, editShape, entryWords } from "./edit_inputs.ts";

const OTHERS = 5;

export const project = kernelCase({
  op: "project",
  shapes: [
    editShape(10, 61, "project"),
    editShape(10, 61, "component"),
    editShape(1, 1, "project"),
    editShape(33, 64, "component"),
    editShape(20, 65, "project"),
    editShape(9, 16384, "component"),
  ],
  random: (draw) =>
    editShape(1 + draw.below(20), 1 + draw.below(400), draw.below(2) ? "project" : "component"),
  make({ rows, width, op }, draw, picked = allRows(rows)) {
    const { x, vectors, entries, words } = editInputs(draw, { rows, width, picked });
    const others = draw.values(OTHERS * width, width, 100);
    const component = op === "component";
    // In the coefficient's place the row of `others`, which is the row's own whatever stands beside it.
    const between = entries.map((entry) => ({ ...entry, coefficient: picked[entry.row] % OTHERS }));
    return {
      buffers: {
        x,
        vectors,
        others,
        entries: component ? entryWords(between, (row) => row) : words,
      },
      record: (recorder, at) =>
        projectRows(recorder, {
          x: at.x.buffer,
          vectors: at.vectors.buffer,
          entries: at.entries.buffer,
          others: component ? at.others.buffer : undefined,
          count: entries.length,
          width,
        }),
      expect: {
        x: {
          rowWords: width,
          reference: () =>
            component
              ? componentReference(x, vectors, others, between, width)
              : editReference("project", x, vectors, entries, width),
        },
      },
    };
  },
});
