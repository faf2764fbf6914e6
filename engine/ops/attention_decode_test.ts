import { assert, assertEquals } from "@std/assert";
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
import { packBatch } from "../batch.ts";
import { Gpu } from "../gpu/gpu.ts";
import { oneTokenEach } from "../query_runs.ts";
import { ropeTable } from "../rope.ts";
import { attention, rope } from "./attention.ts";
import {
  attentionDecode,
  fitsDecode,
  keysToTexels,
  sidesOf,
  withHeld,
} from "./attention_decode.ts";
import { attentionDecodeReference } from "./attention_decode_reference.ts";
import { copyRows, rmsnorm } from "./rows.ts";

Deno.test.afterAll(closeTestGpus);

/** Two that share a prefix, one of them at a place within a chunk; one alone; one at its first token. */
const PLACES = [
  { prefixStart: 210, prefixLength: 66, ownStart: 0, ownLength: 0 },
  { prefixStart: 210, prefixLength: 66, ownStart: 4, ownLength: 70 },
  { prefixStart: 0, prefixLength: 0, ownStart: 80, ownLength: 127 },
  { prefixStart: 0, prefixLength: 0, ownStart: 3, ownLength: 0 },
];
const ROWS = 276;
/** How many keys of each textures hold: all but its own, one chunk and a part, all but some, none. */
const HELD = Uint32Array.of(66, 70, 120, 0);
const { tokens, info } = packBatch(PLACES.map(() => [0]), {
  vocabSize: 1,
  maxPositions: 300,
}, PLACES);

const CASES = [
  { heads: 6, kvHeads: 2, headDim: 32, rotaryDim: 32, window: null, norm: false },
  { heads: 4, kvHeads: 2, headDim: 80, rotaryDim: 80, window: 67, norm: false, softcap: 5 },
  { heads: 8, kvHeads: 2, headDim: 68, rotaryDim: 24, window: 65, norm: true },
  { heads: 5, kvHeads: 1, headDim: 64, rotaryDim: 64, window: 3, norm: true },
  { heads: 2, kvHeads: 2, headDim: 8, rotaryDim: 8, window: null, norm: false },
  { heads: 2, kvHeads: 1, headDim: 256, rotaryDim: 256, window: null, norm: true },
];

for (const profile of PROFILES) {
  Deno.test(`attention at once is within its bound and has the bits of its steps (${profile})`, async () => {
    const gpu = await testGpu(profile);
    for (const one of CASES) {
      const { heads, kvHeads, headDim, rotaryDim, window, norm, softcap = null } = one;
      const widths = [heads, kvHeads, kvHeads].map((count) => count * headDim);
      const stride = widths[0] + 2 * widths[1];
      const qkv = withOutlier(normals(1, tokens * stride), stride, 5);
      const columns = (first: number, width: number) =>
        Float32Array.from(
          { length: tokens * width },
          (_, i) => qkv[Math.floor(i / width) * stride + first + i % width],
        );
      const cache = [2, 3].map((seed) => normals(seed, ROWS * widths[1]));
      const weights = [4, 5].map((seed) => normals(seed, headDim));
      const tables = ropeTable({ theta: 1e4, rotaryDim, scaling: { kind: "none" } }, 256);
      const scale = 1 / Math.sqrt(headDim);
      const sizes = { tokens, heads, kvHeads, headDim, keys: 200, scale, window, softcap };
      assert(fitsDecode(gpu, sizes));
      const textures: GPUTexture[] = [];
      const computed = await compute(gpu, (recorder) => {
        const upload = recorder.upload.bind(recorder);
        const kept = () => cache.map((rows) => input(gpu, rows, [ROWS, widths[1]]));
        const heads0 = () => output(gpu, [tokens, widths[0]]);
        const [k, v] = kept();
        const out = heads0();
        const turn = { tables: input(gpu, tables).buffer, info: upload(info), headDim, rotaryDim };
        const [qNorm, kNorm] = weights.map((weight) => input(gpu, weight).buffer);
        attentionDecode(recorder, {
          ...sizes,
          ...turn,
          qkv: input(gpu, qkv).buffer,
          norms: norm ? { q: qNorm, k: kNorm, eps: 1e-5 } : undefined,
          k: k.buffer,
          v: v.buffer,
          out: out.buffer,
        });

        const [stepK, stepV] = kept();
        const [q, stepOut] = [heads0(), heads0()];
        const normed = (first: number, width: number, weight: GPUBuffer) => {
          const x = input(gpu, columns(first, width)).buffer;
          if (!norm) return x;
          const y = output(gpu, [tokens, width]).buffer;
          const rows = tokens * width / headDim;
          rmsnorm(recorder, { x, weight, out: y, rows, width: headDim, eps: 1e-5 });
          return y;
        };
        const x = normed(0, widths[0], qNorm);
        rope(recorder, { ...turn, x, out: q.buffer, tokens, heads, toCache: false });
        const y = normed(widths[0], widths[1], kNorm);
        const toCache = { out: stepK.buffer, heads: kvHeads, toCache: true };
        rope(recorder, { ...turn, x: y, tokens, ...toCache });
        const pairs = PLACES.flatMap(({ ownStart, ownLength }, t) => [t, ownStart + ownLength]);
        copyRows(recorder, {
          pairs: upload(Uint32Array.from(pairs)),
          x: input(gpu, columns(widths[0] + widths[1], widths[1])).buffer,
          out: stepV.buffer,
          count: tokens,
          width: widths[1],
        });
        attention(recorder, {
          ...sizes,
          q: q.buffer,
          k: stepK.buffer,
          v: stepV.buffer,
          info: turn.info,
          out: stepOut.buffer,
        });
        if (profile !== "software") return [k, v, out, stepK, stepV, stepOut];
        const byTexture = ([8, 16] as const).flatMap((lanes) => {
          gpu.lanes = lanes;
          const [textureK, textureV] = kept();
          const textureOut = heads0();
          const texture = () => gpu.texels.create(ROWS * widths[1] * 4)!;
          const texels = { k: texture(), v: texture() };
          textures.push(texels.k, texels.v);
          const all = Uint32Array.from({ length: ROWS }, (_, row) => row);
          const buffers = { k: textureK.buffer, v: textureV.buffer };
          keysToTexels(recorder, { rows: all, ...buffers, texels, width: widths[1] });
          attentionDecode(recorder, {
            ...sizes,
            ...turn,
            info: upload(withHeld(info, HELD)),
            qkv: input(gpu, qkv).buffer,
            norms: norm ? { q: qNorm, k: kNorm, eps: 1e-5 } : undefined,
            ...buffers,
            texels,
            out: textureOut.buffer,
          });
          return [textureK, textureV, textureOut];
        });
        return [k, v, out, stepK, stepV, stepOut, ...byTexture];
      });
      for (const texture of textures) gpu.texels.destroy(texture);
      const [k, v, out, stepK, stepV, stepOut, ...byTexture] = computed;
      const name = JSON.stringify(one);
      assertSameBits(k, stepK, `keys, ${name}`);
      assertSameBits(v, stepV, `values, ${name}`);
      assertSameBits(out, stepOut, `heads, ${name}`);
      assertEquals(byTexture.length, profile === "software" ? 6 : 0);
      byTexture.forEach((found, i) => {
        const what = `${["keys", "values", "heads"][i % 3]} by textures`;
        assertSameBits(found, [k, v, out][i % 3], `${what}, ${i < 3 ? 8 : 16} lanes, ${name}`);
      });
      const norms = norm ? { q: weights[0], k: weights[1], eps: 1e-5 } : undefined;
      const inputs = { qkv, norms, tables, info, k: cache[0], v: cache[1] };
      const expected = attentionDecodeReference(inputs, { ...sizes, rotaryDim });
      assertWithin(k, expected.k, `keys, ${name}`);
      assertWithin(v, expected.v, `values, ${name}`);
      assertWithin(out, expected.out, `heads, ${name}`);
    }
  });
}

Deno.test("two key heads go side by side where vectors are wide, there are some for every core, and there is room", async () => {
  using gpu = await Gpu.open({
    profile: "software",
    limits: { maxComputeWorkgroupStorageSize: 16_384 },
  });
  const shape = { tokens: 1, heads: 8, kvHeads: 4, headDim: 64, keys: 100, window: null };
  const sides = (lanes: 8 | 16, changed: Partial<typeof shape> = {}) => {
    gpu.lanes = lanes;
    return sidesOf(gpu, { ...shape, ...changed });
  };
  assertEquals([sides(8), sides(16)], [1, 2]);
  assertEquals(sides(16, { heads: 6, kvHeads: 3 }), 1);
  assertEquals(sides(16, { heads: 6, kvHeads: 2 }), 1);
  assertEquals(sides(16, { tokens: 2, heads: 6, kvHeads: 2 }), 2);
  assertEquals(sides(16, { heads: 32, kvHeads: 4, headDim: 256 }), 1, "18,760 bytes");
});

Deno.test("attention goes step by step where workgroup memory or loops would not do", async () => {
  using gpu = await Gpu.open({
    profile: "software",
    limits: { maxComputeWorkgroupStorageSize: 16_384 },
  });
  const shape = { heads: 8, kvHeads: 2, headDim: 64, keys: 4096, window: null };
  assert(fitsDecode(gpu, shape));
  assert(!fitsDecode(gpu, { ...shape, keys: 1 << 20 }));
  assert(fitsDecode(gpu, { ...shape, keys: 1 << 20, window: 64 }));
  assert(!fitsDecode(gpu, { ...shape, heads: 32, headDim: 256 }));
});

Deno.test("only tokens that see no other's key may write and read keys at once", () => {
  const limits = { vocabSize: 1, maxPositions: 100 };
  const place = (
    prefixStart: number,
    prefixLength: number,
    ownStart: number,
    ownLength: number,
  ) => ({
    prefixStart,
    prefixLength,
    ownStart,
    ownLength,
  });
  const batch = (lengths: number[], places?: ReturnType<typeof place>[]) =>
    oneTokenEach(packBatch(lengths.map((length) => new Uint8Array(length)), limits, places));
  assertEquals(batch([1]), true);
  assertEquals(batch([1, 1, 1]), true);
  assertEquals(batch([1, 2]), false);
  assertEquals(batch([1, 1], [place(9, 5, 0, 3), place(9, 5, 4, 0)]), true);
  // The second's prefix holds what the first brings; its own keys do; both bring the same row.
  assertEquals(batch([1, 1], [place(0, 0, 0, 3), place(0, 4, 10, 0)]), false);
  assertEquals(batch([1, 1], [place(0, 0, 0, 3), place(20, 1, 2, 4)]), false);
  assertEquals(batch([1, 1], [place(0, 0, 0, 3), place(20, 1, 3, 0)]), false);
});
