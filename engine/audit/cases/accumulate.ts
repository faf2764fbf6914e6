/** accumulate.wgsl: compensated sums over documents, of which the audit reads sum + compensation. */

import { accumulate } from "../../ops/accumulate.ts";
import { sumReference } from "../../ops/accumulate_reference.ts";
import { kernelCase } from "../case.ts";

const shape = (documents: number, positions: number, width: number) => ({
  label: `${documents} documents of [${positions}, ${width}]`,
  rows: 0, // documents are summed: tests/ has batches of many sizes
  documents,
  positions,
  width,
});

export const accumulateCase = kernelCase({
  op: "accumulate",
  shapes: [shape(11, 3, 17), shape(1, 1, 1), shape(1009, 1, 61), shape(64, 5, 8192)],
  make({ documents, positions, width }, draw) {
    const size = positions * width;
    const x = draw.values(documents * size, width, 115);
    return {
      buffers: { x, state: new Float32Array(2 * size) },
      record: (recorder, { x, state }) =>
        accumulate(recorder, { x, state, documents, positions, width }),
      expect: {
        state: {
          rowWords: 0,
          reference: () => sumReference(x, documents, size),
          decode(words) {
            const pairs = new Float32Array(words.buffer, words.byteOffset, words.length);
            return Float64Array.from({ length: size }, (_, i) => pairs[2 * i] + pairs[2 * i + 1]);
          },
        },
      },
    };
  },
});
