/** logprobs.wgsl: of the chosen token, and of the likeliest ones, which top_k.wgsl finds. */

import { DeviceTensor } from "../../gpu/tensor.ts";
import { recordLogprobs } from "../../ops/logprobs.ts";
import { tokenLossReference } from "../../ops/token_loss_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";

const shape = (rows: number, width: number, top: number) => ({
  label: `[${rows}, ${width}], top ${top}`,
  rows,
  width,
  top,
});

export const logprobsCase = kernelCase({
  op: "logprobs",
  shapes: [
    shape(5, 257, 3),
    shape(1, 1, 0),
    shape(3, 255, 1),
    shape(9, 5003, 20),
    shape(2, 151936, 20),
  ],
  random: (draw) => shape(1 + draw.below(9), 20 + draw.below(1500), 5),
  make({ rows, width, top }, draw, picked = allRows(rows)) {
    const x = rowsOf(draw.values(rows * width, width, 120), width, picked);
    const all = Uint32Array.from({ length: rows }, () => draw.below(width));
    const ids = rowsOf(all, 1, picked);
    // Places in falling order, so that none is its row.
    const places = Uint32Array.from(picked, (_, i) => picked.length - 1 - i);
    const turned = Uint32Array.from(places, (place) => ids[place]);
    const each = top + 1;
    return {
      buffers: { x, ids: turned, places, out: { words: 2 * picked.length * each } },
      record: (recorder, at) =>
        recordLogprobs(recorder, {
          logits: new DeviceTensor(at.x.gpu, at.x.buffer, [picked.length, width]),
          ids: at.ids.buffer,
          places: at.places.buffer,
          top,
          out: at.out.buffer,
          step: 0,
        }),
      expect: {
        out: {
          rowWords: 2 * each,
          reference() {
            const { expected, bound } = tokenLossReference(x, ids, width);
            return { expected: expected.map((loss) => -loss), bound };
          },
          decode: (found) => {
            const values = new Float32Array(found.buffer, found.byteOffset, found.length);
            return picked.map((_, r) => values[2 * r * each + 1]);
          },
        },
      },
    };
  },
});
