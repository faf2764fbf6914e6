/** rmsnorm.wgsl, rmsnorm_vec4.wgsl and rmsnorm_texel.wgsl. */

import { normToTexels, rmsnorm } from "../../ops/rows.ts";
import { rmsnormReference } from "../../ops/rows_reference.ts";
import { allRows, kernelCase } from "../case.ts";
import { rowsOf } from "../inputs.ts";
import { readTexels } from "../read_texels.ts";

/** What becomes of it. */
type End = "stored" | "added" | "to texels" | "between texels";

const shape = (rows: number, width: number, eps = 1e-6, end: End = "stored") => ({
  label: `[${rows}, ${width}], eps ${eps}${end === "stored" ? "" : `, ${end}`}`,
  rows,
  width,
  eps,
  end,
});

export const rmsnormCase = kernelCase({
  op: "rmsnorm",
  quick: 5,
  shapes: [
    shape(9, 61),
    shape(33, 132),
    shape(11, 131, 1e-6, "added"),
    shape(9, 640, 1e-6, "added"),
    shape(19, 132, 1e-6, "to texels"),
    shape(9, 1152, 1e-5, "between texels"),
    shape(1, 1, 1e-5),
    shape(33, 64),
    shape(20, 65, 1e-5),
    shape(5, 1152),
    shape(17, 16384),
  ],
  random: (draw) => shape(1 + draw.below(20), 1 + draw.below(400)),
  make({ rows, width, eps, end }, draw, picked = allRows(rows)) {
    // Squares and their sum must stay finite.
    const x = rowsOf(draw.values(rows * width, width, 55), width, picked);
    const weight = draw.weights(width, width, 60);
    const sum = end === "added"
      ? rowsOf(draw.values(rows * width, width, 120), width, picked)
      : undefined;
    return {
      buffers: { x, weight, out: sum ?? { words: x.length } },
      record(recorder, { x, weight, out }) {
        const args = { x: x.buffer, weight: weight.buffer, rows: picked.length, width, eps };
        if (!end.endsWith("texels")) {
          return rmsnorm(recorder, { ...args, out: out.buffer, add: end === "added" });
        }
        const { texels } = recorder.gpu;
        const bytes = 4 * picked.length * width;
        const [from, to] = [0, 1].map(() => texels.acquire(bytes)!);
        const between = end === "between texels";
        if (between) recorder.copyToTexels({ buffer: x.buffer, offset: 0, bytes, texture: from });
        normToTexels(recorder, { ...args, x: between ? from : x.buffer, out: to });
        readTexels(recorder, to, picked.length * width / 4, out);
        for (const texture of [from, to]) texels.release(texture);
      },
      expect: {
        out: {
          rowWords: width,
          reference: () => rmsnormReference(x, weight, picked.length, width, Math.fround(eps), sum),
        },
      },
    };
  },
});
