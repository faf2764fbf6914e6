/** token_loss.wgsl. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { tokenLossRows } from "../../ops/token_loss.ts";
import { tokenLossReference } from "../../ops/token_loss_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number) => ({ label: `[${rows}, ${width}]`, rows, width });

export const tokenLossCase = kernelCase({
  op: "token_loss",
  shapes: [shape(5, 257), shape(1, 1), shape(3, 255), shape(9, 5003), shape(2, 262144)],
  random: (draw) => shape(1 + draw.below(9), 1 + draw.below(1500)),
  make({ rows, width }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 120), width, picked);
    const all = Uint32Array.from({ length: rows }, () => draw.below(width));
    const targets = rowsOf(all, 1, picked);
    return {
      buffers: { x, targets, losses: { words: picked.length } },
      record: (recorder, at) =>
        tokenLossRows(recorder, {
          logits: new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]),
          targets: at.targets.buffer,
          losses: at.losses.buffer,
          first: 0,
        }),
      expect: { losses: { rowWords: 1, reference: () => tokenLossReference(x, targets, width) } },
    };
  },
});
