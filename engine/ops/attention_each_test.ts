import { assert, assertEquals } from "@std/assert";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  input,
  normals,
  output,
  testGpu,
  withOutlier,
} from "../../tests/test_gpu.ts";
import { readTexels } from "../audit/read_texels.ts";
import { packBatch } from "../batch.ts";
import { Gpu } from "../gpu/gpu.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { prefixGroups, sharedPrefixes } from "../prefix_groups.ts";
import { ropeTable } from "../rope.ts";
import { attentionDecode, keysToTexels } from "./attention_decode.ts";
import { attentionDecodeReference } from "./attention_decode_reference.ts";
import { attentionEach, fitsEach } from "./attention_each.ts";

Deno.test.afterAll(closeTestGpus);

const ROWS = 700;
const place = (
  prefixStart: number,
  prefixLength: number,
  ownStart: number,
  ownLength: number,
) => ({ prefixStart, prefixLength, ownStart, ownLength });

/** Ten share a prefix, three another one; one is alone with two chunks and a part, one at its first token. */
const PLACES = [
  ...Array.from({ length: 10 }, (_, s) => place(560, 130, 10 * s, s)),
  ...Array.from({ length: 3 }, (_, s) => place(480, 64, 120 + 70 * s, 30 * s)),
  place(0, 0, 340, 133),
  place(0, 0, 330, 0),
];
const { tokens, info } = packBatch(PLACES.map(() => [0]), {
  vocabSize: 1,
  maxPositions: 300,
}, PLACES);

/** With how many heads a thread takes, and how many lanes turn a token. */
const CASES = [
  {
    heads: 6,
    kvHeads: 2,
    headDim: 32,
    rotaryDim: 32,
    window: null,
    norm: false,
    together: 3,
    lanes: 4,
  },
  {
    heads: 4,
    kvHeads: 4,
    headDim: 80,
    rotaryDim: 80,
    window: null,
    norm: true,
    softcap: 5,
    together: 1,
    lanes: 16,
  },
  {
    heads: 8,
    kvHeads: 2,
    headDim: 68,
    rotaryDim: 24,
    window: 65,
    norm: true,
    together: 4,
    lanes: 4,
  },
  {
    heads: 5,
    kvHeads: 1,
    headDim: 64,
    rotaryDim: 64,
    window: 3,
    norm: false,
    softcap: 20,
    together: 1,
    lanes: 8,
  },
  {
    heads: 2,
    kvHeads: 2,
    headDim: 8,
    rotaryDim: 8,
    window: null,
    norm: true,
    together: 1,
    lanes: 4,
  },
  {
    heads: 2,
    kvHeads: 1,
    headDim: 256,
    rotaryDim: 256,
    window: null,
    norm: true,
    together: 2,
    lanes: 16,
  },
];

Deno.test("attention of many sequences has the bits of each by itself, shared prefixes or not", async () => {
  const gpu = await testGpu("software");
  for (const one of CASES) {
    const { heads, kvHeads, headDim, rotaryDim, window, norm, softcap = null } = one;
    const width = kvHeads * headDim;
    const stride = heads * headDim + 2 * width;
    const qkv = withOutlier(normals(1, tokens * stride), stride, 5);
    const cache = [2, 3].map((seed) => normals(seed, ROWS * width));
    const weights = [4, 5].map((seed) => normals(seed, headDim));
    const tables = ropeTable({ theta: 1e4, rotaryDim, scaling: { kind: "none" } }, 256);
    const scale = 1 / Math.sqrt(headDim);
    const sizes = { tokens, heads, kvHeads, headDim, keys: 200, scale, window, softcap };
    assert(fitsEach(gpu, { ...sizes, rotaryDim }));
    const textures: GPUTexture[] = [];
    const chosen = new Map<string, Kernel["constants"]>();
    const computed = await compute(gpu, (recorder) => {
      const [qNorm, kNorm] = weights.map((weight) => input(gpu, weight).buffer);
      const args = {
        ...sizes,
        rotaryDim,
        tables: input(gpu, tables).buffer,
        info: recorder.upload(info),
        norms: norm ? { q: qNorm, k: kNorm, eps: 1e-5 } : undefined,
      };
      const projected = input(gpu, qkv).buffer;
      const shared = sharedPrefixes(recorder, info, heads / kvHeads);
      const texture = (rows: number, width: number) => {
        textures.push(gpu.texels.create(rows * width * 4)!);
        return textures.at(-1)!;
      };
      const results = ["alone", "each", "shared"].flatMap((way) => {
        const [k, v] = cache.map((rows) => input(gpu, rows, [ROWS, width]));
        const out = output(gpu, [tokens, heads * headDim]);
        const buffers = { k: k.buffer, v: v.buffer };
        if (way === "alone") {
          attentionDecode(recorder, { ...args, qkv: projected, ...buffers, out: out.buffer });
        } else {
          const texels = { k: texture(ROWS, width), v: texture(ROWS, width) };
          const rows = Uint32Array.from({ length: ROWS }, (_, row) => row);
          keysToTexels(recorder, { rows, ...buffers, texels, width });
          const inTexels = texture(tokens, stride);
          const bytes = qkv.byteLength;
          recorder.copyToTexels({ buffer: projected, offset: 0, bytes, texture: inTexels });
          // With what is shared the result goes to a texture too.
          const end = way === "shared" ? texture(tokens, heads * headDim) : undefined;
          attentionEach(recorder, {
            ...args,
            ...buffers,
            out: out.buffer,
            texels: { qkv: inTexels, q: texture(tokens, heads * headDim), ...texels, out: end },
            shared: way === "shared" ? shared : undefined,
            state: way === "shared" ? output(gpu, [tokens, heads, 2]).buffer : undefined,
          });
          if (end) readTexels(recorder, end, out.length / 4, out);
        }
        return [k, v, out];
      });
      for (const { name, constants } of recorder.kernels) chosen.set(name, constants);
      return results;
    });
    assertEquals(chosen.get("attention_each_texel")!.HEADS, one.together);
    assertEquals(chosen.get("turn_texel")!.LANES, one.lanes);
    for (const texture of textures) gpu.texels.destroy(texture);
    const names = ["keys", "values", "heads"];
    const name = JSON.stringify(one);
    for (const [w, way] of ["each", "shared"].entries()) {
      names.forEach((what, i) =>
        assertSameBits(computed[3 + 3 * w + i], computed[i], `${what}, ${way}, ${name}`)
      );
    }
    const norms = norm ? { q: weights[0], k: weights[1], eps: 1e-5 } : undefined;
    const inputs = { qkv, norms, tables, info, k: cache[0], v: cache[1] };
    const expected = attentionDecodeReference(inputs, { ...sizes, rotaryDim });
    assertWithin(computed[6], expected.k, `keys, ${name}`);
    assertWithin(computed[7], expected.v, `values, ${name}`);
    assertWithin(computed[8], expected.out, `heads, ${name}`);
  }
});

/** The queries of the tokens, of which each has so many that read the same keys. */
const queriesOf = (tokens: readonly number[], share: number) =>
  tokens.flatMap((t) => Array.from({ length: share }, (_, i) => share * t + i));

Deno.test("groups hold the queries of those that share whole chunks of a prefix", () => {
  const { groups, passed } = prefixGroups(info, 2)!;
  const [first, second] = [[560, 128, 0, 0], [480, 64, 0, 0]];
  // Ten tokens' twenty queries make two groups; places that are left over repeat the last one.
  const ten = queriesOf([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 2);
  assertEquals([...groups], [
    ...[...ten.slice(0, 12), ...first],
    ...[...ten.slice(12), 19, 19, 19, 19, ...first],
    ...[...queriesOf([10, 11, 12], 2), 25, 25, 25, 25, 25, 25, ...second],
  ]);
  assertEquals([...passed], [...Array(10).fill(128), 64, 64, 64, 0, 0]);
  assertEquals(prefixGroups(info.slice(4 * 13), 2), undefined);
  // The same rows, but not as many of them: another prefix.
  const some = [place(560, 130, 0, 1), place(560, 70, 10, 1), place(560, 190, 20, 1)];
  const limits = { vocabSize: 1, maxPositions: 300 };
  assertEquals(prefixGroups(packBatch(some.map(() => [0]), limits, some).info, 1), undefined);
});

Deno.test("queries too few for a group are left out, as far as they are all of their tokens'", () => {
  const sharing = (count: number) => {
    const places = Array.from({ length: count }, (_, s) => place(560, 64, 10 * s, 0));
    return packBatch(places.map(() => [0]), { vocabSize: 1, maxPositions: 300 }, places).info;
  };
  const grouped = (count: number, share: number) => {
    const found = prefixGroups(sharing(count), share);
    return [found?.passed.filter((keys) => keys > 0).length ?? 0, (found?.groups.length ?? 0) / 16];
  };
  // Tokens in groups, and how many groups there are.
  assertEquals(grouped(4, 1), [0, 0]);
  assertEquals(grouped(5, 1), [5, 1]);
  assertEquals(grouped(16, 1), [12, 1]);
  assertEquals(grouped(17, 1), [17, 2]);
  assertEquals(grouped(5, 3), [4, 1]);
  assertEquals(grouped(1, 4), [0, 0]);
  assertEquals(grouped(1, 8), [1, 1]);
  // One query is left over, and its token's others are in a group.
  assertEquals(grouped(5, 5), [5, 3]);
});

Deno.test("attention goes another way where loops would not do, and on GPUs", async () => {
  using gpu = await Gpu.open({ profile: "software" });
  const shape = { headDim: 64, rotaryDim: 64, keys: 4096 };
  assert(fitsEach(gpu, shape));
  assert(!fitsEach(gpu, { ...shape, keys: 1 << 14 }));
  assert(!fitsEach(gpu, { ...shape, headDim: 256 }));
  assert(!fitsEach(gpu, { ...shape, rotaryDim: 20 }));
  assert(!fitsEach({ profile: "discrete" }, shape));
});
