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
import { tokenLossRows } from "./token_loss.ts";
import { tokenLossReference } from "./token_loss_reference.ts";

Deno.test.afterAll(closeTestGpus);

/** Widths about the number of slots. */
const WIDTHS = [1, 2, 255, 256, 257, 2048, 5000];
const ROWS = 5;

/** Rows that are flat, spread, peaked, far from zero and all equal. */
const cases = WIDTHS.map((width, i) => {
  const normal = normals(i, ROWS * width);
  const x = withOutlier(normal, width).map((value, at) => {
    const row = Math.floor(at / width);
    return row === 0 ? value : [0, 10 * normal[at], normal[at], normal[at] - 1e4, 2.5][row];
  });
  // The likeliest token, the last, the first, one in the middle, and any.
  const targets = Uint32Array.of(0, width - 1, 0, width >> 1, width >> 2);
  return { width, x, targets };
});

async function losses(profile: DeviceProfile, first = 0) {
  const gpu = await testGpu(profile);
  return await compute(gpu, (recorder) =>
    cases.map(({ width, x, targets }) => {
      const out = output(gpu, [first + ROWS]);
      tokenLossRows(recorder, {
        logits: input(gpu, x, [ROWS, width]),
        targets: input(gpu, targets).buffer,
        losses: out.buffer,
        first,
      });
      return out;
    }));
}

for (const profile of PROFILES) {
  Deno.test(`token_loss is within its bound, and goes to its place (${profile})`, async () => {
    const [here, further] = [await losses(profile), await losses(profile, 3)];
    cases.forEach(({ width, x, targets }, i) => {
      assertWithin(here[i], tokenLossReference(x, targets, width), `width ${width}`);
      assertSameBits(further[i].slice(3), here[i], `width ${width}, three places on`);
      assertEquals(further[i].slice(0, 3).every(Number.isNaN), true, "nothing before its place");
    });
  });
}

Deno.test("both variants of token_loss give the same bits, a row alone too", async () => {
  const [software, gpu] = [await losses("software"), await losses("discrete")];
  cases.forEach(({ width }, i) => assertSameBits(gpu[i], software[i], `width ${width}`));
  const device = await testGpu("software");
  const { width, x, targets } = cases[5];
  const [alone] = await compute(device, (recorder) => {
    const out = output(device, [1]);
    tokenLossRows(recorder, {
      logits: input(device, x.slice(2 * width, 3 * width), [1, width]),
      targets: input(device, targets.slice(2, 3)).buffer,
      losses: out.buffer,
      first: 0,
    });
    return [out];
  });
  assertSameBits(alone, software[5].slice(2, 3));
});
