import { assert, assertEquals } from "@std/assert";
import { type Batch, packBatch } from "../batch.ts";
import type { Gpu } from "../gpu/gpu.ts";
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
import { allRuns } from "../query_runs.ts";
import { attention, rope } from "./attention.ts";
import { attentionReference, type AttentionShape, ropeReference } from "./attention_reference.ts";

Deno.test.afterAll(closeTestGpus);

type Floats = Float32Array<ArrayBuffer>;

interface Case extends AttentionShape {
  name: string;
  q: Floats;
  k: Floats;
  v: Floats;
  info: Uint32Array<ArrayBuffer>;
  offsets: Uint32Array;
}

const limits = { vocabSize: 1, maxPositions: 2000 };

/** Sequences of these lengths, packed end to end. */
const ragged = (...lengths: number[]) =>
  packBatch(lengths.map((length) => new Uint8Array(length)), limits);

interface Options {
  rows?: number;
  outlier?: boolean;
  window?: number;
  softcap?: number;
  /** What the queries are multiplied by; large ones make large scores. */
  size?: number;
}

function makeCase(
  name: string,
  { info, offsets }: Batch,
  [heads, kvHeads, headDim]: number[],
  options: Options = {},
): Case {
  const tokens = info.length / 4;
  const rows = options.rows ?? tokens;
  const spread = (x: Floats) => options.outlier ? withOutlier(x, headDim, 1) : x;
  return {
    name,
    q: normals(1, tokens * heads * headDim).map((value) => value * (options.size ?? 1)),
    k: spread(normals(2, rows * kvHeads * headDim)),
    v: spread(normals(3, rows * kvHeads * headDim)),
    info,
    offsets,
    heads,
    kvHeads,
    headDim,
    scale: 1 / Math.sqrt(headDim),
    window: options.window ?? null,
    softcap: options.softcap ?? null,
  };
}

/** Two sequences on one prefix of 66 rows, and one that stands alone; keys lie in no order that a batch would have. */
const shared = packBatch([new Uint8Array(3), new Uint8Array(70), new Uint8Array(2)], limits, [
  { prefixStart: 90, prefixLength: 66, ownStart: 0, ownLength: 0 },
  { prefixStart: 90, prefixLength: 66, ownStart: 10, ownLength: 5 },
  { prefixStart: 0, prefixLength: 0, ownStart: 5, ownLength: 0 },
]);

/** The last tokens of a sequence whose other keys are there. */
function lastOf(length: number, count: number): Batch {
  const before = { prefixStart: 0, prefixLength: 0, ownStart: 0, ownLength: length - count };
  return packBatch([new Uint8Array(count)], limits, [before]);
}

/** Windows about the edges of chunks. */
const WINDOWS = [1, 5, 63, 64, 65, 200];

const CASES: Case[] = [
  makeCase("one token", ragged(1), [1, 1, 4]),
  makeCase("a ragged batch", ragged(1, 70, 5, 2), [4, 4, 4]),
  makeCase("three query heads a key head", ragged(3, 5), [6, 2, 24]),
  makeCase("four query heads a key head", ragged(5, 150), [8, 2, 36]),
  makeCase("one key head", ragged(64, 65), [3, 1, 32]),
  makeCase("several chunks of keys", ragged(150), [2, 1, 32]),
  makeCase("large outliers", ragged(70, 3), [4, 2, 64], { outlier: true }),
  makeCase("a shared prefix", shared, [4, 2, 24], { rows: 156 }),
  makeCase("more than one chunk of dimensions", ragged(9, 66), [2, 2, 96]),
  makeCase("two chunks of dimensions", ragged(9, 3), [2, 1, 128]),
  // Where a thread of llvmpipe would stop amid its keys.
  makeCase("long sequences", lastOf(1100, 3), [2, 1, 128], { rows: 1100 }),
  makeCase("the widest head", ragged(6, 66), [2, 1, 256]),
  ...WINDOWS.map((window) =>
    makeCase(`a window of ${window}`, ragged(300, 3), [2, 1, 8], { window })
  ),
  makeCase("a window in a shared prefix", shared, [4, 2, 24], { rows: 156, window: 20 }),
  makeCase("small scores, capped", ragged(70, 3), [4, 2, 24], { softcap: 50, size: 1e-3 }),
  makeCase("scores about the cap", ragged(70, 3), [4, 2, 24], { softcap: 1 }),
  makeCase("scores far over the cap", ragged(70, 3), [4, 2, 24], { softcap: 20, size: 1e4 }),
  makeCase("scores that would overflow exp", ragged(70), [2, 1, 8], { softcap: 30, size: 1e30 }),
  makeCase("a window and a cap", ragged(5, 150), [2, 1, 96], { softcap: 5, window: 70, size: 4 }),
];

function record(
  gpu: Gpu,
  recorder: Parameters<typeof attention>[0],
  one: Case,
  inRuns = false,
) {
  const { q, k, v, info, heads, kvHeads, headDim, scale, window, softcap } = one;
  const out = output(gpu, [q.length]);
  attention(recorder, {
    q: input(gpu, q).buffer,
    k: input(gpu, k).buffer,
    v: input(gpu, v).buffer,
    info: input(gpu, info).buffer,
    out: out.buffer,
    tokens: info.length / 4,
    keys: info.reduce((most, word, i) => i % 4 === 3 ? Math.max(most, word + 1) : most, 0),
    heads,
    kvHeads,
    headDim,
    scale,
    window,
    softcap,
    runs: inRuns ? allRuns(recorder, one.offsets, info) : undefined,
  });
  return out;
}

async function attend(
  profile: DeviceProfile,
  cases: readonly Case[],
  inRuns = false,
): Promise<Floats[]> {
  const gpu = await testGpu(profile);
  return await compute(gpu, (recorder) => cases.map((one) => record(gpu, recorder, one, inRuns)));
}

Deno.test("attention is within its bound, and all variants give the same bits", async () => {
  const actual = await attend("software", CASES);
  const workgroup = await attend("discrete", CASES);
  const inRuns = await attend("software", CASES, true);
  const tiled = await attend("discrete", CASES, true);
  CASES.forEach((one, i) => {
    assertWithin(actual[i], attentionReference(one.q, one.k, one.v, one.info, one), one.name);
    assertSameBits(workgroup[i], actual[i], `the workgroup variant, ${one.name}`);
    assertSameBits(inRuns[i], actual[i], `four queries at a time, ${one.name}`);
    assertSameBits(tiled[i], actual[i], `four queries of some heads at a time, ${one.name}`);
  });
});

for (const profile of PROFILES) {
  for (const options of [{}, { window: 67 }, { window: 3, softcap: 2 }]) {
    const how = `${JSON.stringify(options)}, ${profile}`;
    Deno.test(`tokens give the same bits one by one from a cache (${how})`, async () => {
      const whole = makeCase("whole", ragged(140), [2, 1, 24], options);
      const size = whole.headDim;
      // The first 70 keys become a prefix at row 100, those after it the sequence's own at row 7.
      const row = (j: number) => j < 70 ? 100 + j : 7 + j - 70;
      const place = (x: Floats) => {
        const cache = new Float32Array(170 * size).fill(NaN);
        for (let j = 0; j < 140; j++) {
          cache.set(x.subarray(j * size, (j + 1) * size), row(j) * size);
        }
        return cache;
      };
      const cached = { k: place(whole.k), v: place(whole.v) };
      const positions = [0, 1, 2, 3, 62, 63, 64, 66, 67, 69, 70, 71, 127, 128, 139];
      const [all, ...one] = await attend(profile, [
        whole,
        ...positions.map((position) => ({
          ...whole,
          ...cached,
          q: whole.q.slice(position * 2 * size, (position + 1) * 2 * size),
          info: Uint32Array.of(100, 70, 7, position),
        })),
      ]);
      positions.forEach((position, i) =>
        assertSameBits(
          one[i],
          all.slice(position * 2 * size, (position + 1) * 2 * size),
          `position ${position}`,
        )
      );
    });
  }

  Deno.test(`a window that no sequence fills changes no bit (${profile})`, async () => {
    const open = makeCase("open", ragged(3, 150), [2, 1, 24]);
    const [all, ...wide] = await attend(
      profile,
      [open, ...[150, 151, 2 ** 32 - 1, 2 ** 32 + 5].map((window) => ({ ...open, window }))],
    );
    for (const one of wide) assertSameBits(one, all);
  });

  Deno.test(`keys before the window are not touched (${profile})`, async () => {
    const [heads, headDim, keys, window] = [2, 8, 300, 70];
    const kept = makeCase("kept", ragged(keys), [heads, 1, headDim], { window });
    const last = {
      ...kept,
      q: kept.q.slice(-heads * headDim),
      info: kept.info.slice(-4),
    };
    const spoil = (x: Floats) => x.slice().fill(NaN, 0, (keys - window) * headDim);
    const [all, clean, spoilt] = await attend(profile, [
      kept,
      last,
      { ...last, k: spoil(kept.k), v: spoil(kept.v) },
    ]);
    assertSameBits(clean, all.slice(-heads * headDim));
    assertSameBits(spoilt, clean);
    // Of tokens that are taken together, each sees its own keys only.
    const four = {
      ...kept,
      q: kept.q.slice(-4 * heads * headDim),
      info: kept.info.slice(-16),
      offsets: Uint32Array.of(0, 4),
    };
    const cases = [four, { ...four, k: spoil(kept.k), v: spoil(kept.v) }];
    const [together, spoiltOfOthers] = await attend(profile, cases, true);
    assertSameBits(together, all.slice(-4 * heads * headDim));
    assertSameBits(spoiltOfOthers.slice(-heads * headDim), clean);
    assert(spoiltOfOthers.subarray(0, 3 * heads * headDim).every(Number.isNaN));
  });

  Deno.test(`a sequence gives the same bits alone and in a batch (${profile})`, async () => {
    const batch = makeCase("batch", ragged(5, 80, 3), [4, 2, 64], { outlier: true });
    const tokens = (x: Floats, perToken: number) => x.slice(5 * perToken, 85 * perToken);
    const alone = {
      ...batch,
      q: tokens(batch.q, 256),
      k: tokens(batch.k, 128),
      v: tokens(batch.v, 128),
      info: ragged(80).info,
    };
    const [all, one] = await attend(profile, [batch, alone]);
    assertSameBits(one, tokens(all, 256));
  });
}

Deno.test("the soft caps of all kernels are one text", () => {
  const texts = ["softcap", "attention", "attention_workgroup"].map((name) => {
    const code = Deno.readTextFileSync(new URL(`../../shaders/${name}.wgsl`, import.meta.url));
    return code.match(/fn soft_tanh[^]*?\n}/)?.[0];
  });
  assert(texts[0]);
  assertEquals(texts, texts.map(() => texts[0]));
});

Deno.test("rope is within its bound, and finds its rows in a cache", async () => {
  const gpu = await testGpu("software");
  const shapes = [[1, 2, 2], [3, 24, 24], [2, 128, 128], [3, 24, 18], [2, 96, 72], [3, 16, 2]];
  for (const [heads, headDim, rotaryDim] of shapes) {
    const positions = [0, 1, 5, 2, 3, 90];
    const tables = Float32Array.from(
      { length: 91 * rotaryDim },
      (_, i) => i % 2 ? Math.sin(i) : Math.cos(i + 1),
    );
    // (prefixStart, prefixLength, ownStart, position): token t goes to row ownStart + position − prefixLength.
    const places = [[0, 0, 8, 0], [0, 0, 8, 1], [3, 4, 0, 5], [0, 0, 4, 2], [9, 3, 0, 3], [
      0,
      80,
      2,
      90,
    ]];
    const cacheRows = [8, 9, 1, 6, 0, 12];
    const x = withOutlier(normals(1, positions.length * heads * headDim), headDim, 0);
    const [own, cache] = await compute(gpu, (recorder) => {
      const args = {
        x: input(gpu, x).buffer,
        tables: input(gpu, tables).buffer,
        info: input(gpu, Uint32Array.from(places.flat())).buffer,
        tokens: positions.length,
        heads,
        headDim,
        rotaryDim,
      };
      const own = output(gpu, [x.length]);
      const cache = output(gpu, [13 * heads * headDim]);
      rope(recorder, { ...args, out: own.buffer, toCache: false });
      rope(recorder, { ...args, out: cache.buffer, toCache: true });
      return [own, cache];
    });
    const shape = { heads, headDim, rotaryDim };
    assertWithin(own, ropeReference(x, tables, positions, shape), JSON.stringify(shape));
    const size = heads * headDim;
    for (let row = 0; row < 13; row++) {
      const token = cacheRows.indexOf(row);
      const values = cache.slice(row * size, (row + 1) * size);
      if (token < 0) assertEquals(values.findIndex((value) => !Number.isNaN(value)), -1);
      else assertSameBits(values, own.slice(token * size, (token + 1) * size), `row ${row}`);
    }
  }
});

Deno.test("rope goes by four pairs at a time where halves of heads are whole vec4s", async () => {
  const gpu = await testGpu("software");
  for (const [headDim, rotaryDim, kernel] of [[24, 18, "rope"], [96, 72, "rope_vec4"]] as const) {
    const recorder = gpu.record();
    const some = recorder.upload(new Float32Array(headDim));
    const args = { x: some, tables: some, info: some, out: some, tokens: 1, heads: 1 };
    rope(recorder, { ...args, headDim, rotaryDim, toCache: false });
    const names = recorder.kernels.map(({ name }) => name);
    recorder.close();
    assertEquals(names, [kernel], `${rotaryDim} of ${headDim}`);
  }
});
