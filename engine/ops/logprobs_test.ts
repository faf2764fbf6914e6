import { assertEquals } from "@std/assert";
import type { DeviceProfile } from "../gpu/profile.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  PROFILES,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { recordLogprobs, unpackLogprobs } from "./logprobs.ts";
import { tokenLossReference } from "./token_loss_reference.ts";

Deno.test.afterAll(closeTestGpus);

const ROWS = 4;

/** Rows that are flat but for one value, spread, far from zero and all equal; widths about the number of slots. */
const cases = [1, 2, 255, 257, 2048].map((width, i) => {
  const normal = normals(i, ROWS * width);
  const x = withOutlier(normal, width).map((value, at) => {
    const row = Math.floor(at / width);
    return [value, 10 * normal[at], normal[at] - 1e4, 2.5][row];
  });
  // Rows 3, 0, 2 and 1 of the ids.
  const ids = Uint32Array.of(width >> 1, width >> 2, 0, width - 1);
  return { width, x, ids, places: Uint32Array.of(3, 0, 2, 1), top: Math.min(3, width) };
});

/** Words of the second of two steps. */
async function logprobs(profile: DeviceProfile, top?: number) {
  const gpu = await testGpu(profile);
  const data = await compute(
    gpu,
    (recorder) =>
      cases.map(({ width, x, ids, places, top: most }) => {
        const k = top ?? most;
        const out = output(gpu, [2, ROWS, k + 1, 2]);
        recordLogprobs(recorder, {
          logits: input(gpu, x, [ROWS, width]),
          ids: input(gpu, ids).buffer,
          places: input(gpu, places).buffer,
          top: k,
          out: out.buffer,
          step: 1,
        });
        return out;
      }),
  );
  return data.map((words) => words.slice(words.length / 2));
}

for (const profile of PROFILES) {
  Deno.test(`log-probabilities are within their bound, the likeliest first (${profile})`, async () => {
    const [found, chosenOnly] = [await logprobs(profile), await logprobs(profile, 0)];
    cases.forEach(({ width, x, ids, places, top }, c) => {
      const [rows] = unpackLogprobs(found[c].slice().buffer, 1, ROWS, top);
      const expected = (tokens: number[]) => {
        const { expected, bound } = tokenLossReference(x, tokens, width);
        return { expected: expected.map((loss) => -loss), bound };
      };
      const chosen = Array.from(places, (place) => ids[place]);
      assertWithin(rows.map(({ logprob }) => logprob), expected(chosen), `width ${width}`);
      for (let j = 0; j < top; j++) {
        const tokens = rows.map(({ top }) => top[j].id);
        tokens.forEach((token, r) => {
          const row = [...x.subarray(r * width, (r + 1) * width)];
          const order = [...row.keys()].sort((a, b) => row[b] - row[a] || a - b);
          assertEquals(token, order[j], `width ${width}, row ${r}, place ${j}`);
        });
        assertWithin(rows.map(({ top }) => top[j].value), expected(tokens), `width ${width}`);
      }
      const [alone] = unpackLogprobs(chosenOnly[c].slice().buffer, 1, ROWS, 0);
      assertEquals(alone, rows.map(({ logprob }) => ({ logprob, top: [] })));
    });
  });
}

Deno.test("both variants of logprobs give the same bits", async () => {
  // In rising order of ids on the device, whatever the variant.
  const [software, gpu] = [await logprobs("software"), await logprobs("discrete")];
  cases.forEach(({ width }, c) => assertSameBits(gpu[c], software[c], `width ${width}`));
});
