import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../errors.ts";
import { drawAll, draws } from "../../tests/sampling_draws.ts";
import {
  closeTestGpus,
  input,
  normals,
  poisonPool,
  PROFILES,
  run,
  testGpu,
  U,
} from "../../tests/test_gpu.ts";
import {
  argmax,
  checkSampling,
  keptFloors,
  NO_TOKEN,
  type Sampling,
  uploadRows,
} from "./sampling.ts";
import {
  drawReference,
  floorReference,
  massesReference,
  penaliseReference,
  sharesReference,
  slotOrder,
} from "./sampling_reference.ts";

Deno.test.afterAll(closeTestGpus);

const NaN_ROW = (width: number) => new Float32Array(width).fill(NaN);

const GREEDY: Sampling = { temperature: 0, seed: 0 };

/** Rows and the token that is the first of the largest. */
const ARGMAX_ROWS: Record<string, [Float32Array, number]> = {
  "one": [Float32Array.of(-3), 0],
  "the last": [Float32Array.from({ length: 1000 }, (_, i) => i / 7), 999],
  "ties": [Float32Array.from({ length: 700 }, (_, i) => i % 300 === 299 ? 5 : i % 5), 299],
  "equal": [new Float32Array(513).fill(-0.25), 0],
  "both zeros": [Float32Array.of(-1, -0, 0, 0), 1],
  "an infinity": [Float32Array.of(1, 3e38, Infinity, Infinity), 2],
  "NaN of either sign": [Float32Array.of(NaN, -NaN, -3e38, NaN, -Infinity), 2],
  "a negative NaN first": [new Float32Array(Uint32Array.of(0xffc00000, 0x7f800001, 0).buffer), 2],
  "nothing but NaN": [NaN_ROW(300), NO_TOKEN],
  "nothing but −∞ and NaN": [Float32Array.of(-Infinity, NaN, -Infinity), NO_TOKEN],
};

/** The penalty at a vocabulary's size: 4 tokens a thread, and one. */
async function checkPenalty(profile: typeof PROFILES[number], width: number): Promise<void> {
  const special = [NaN, Infinity, -Infinity, -0, 3e38, -3e38];
  const rows = [normals(3, width), normals(4, width)];
  for (const row of rows) row.set(special, 31);
  const seen = [[0, 31, 32, 33, 34, 36, 63, 64, 99], [1, 2, 35, 95, 98]];
  const sampling = { ...GREEDY, repetitionPenalty: 1.3 };
  const result = await draws(profile, { rows, sampling, seen });
  rows.forEach((row, r) => {
    const expected = penaliseReference(row, new Set(seen[r]), 1.3);
    result.logits[r].forEach((actual, id) => {
      const bound = seen[r].includes(id) ? 6 * U * Math.abs(expected[id]) : 0;
      const error = actual === expected[id] ? 0 : Math.abs(actual - expected[id]);
      assert(error <= bound, `row ${r}, token ${id}: ${actual}, expected ${expected[id]}`);
      assert(!Object.is(actual, -0), `row ${r}, token ${id} is −0`);
    });
    const chosen = expected.indexOf(Math.max(...expected));
    assertEquals(result.ids[r], chosen);
    const bits = [...result.seen[r]].flatMap((word, at) =>
      Array.from({ length: 32 }, (_, b) => word >>> b & 1 ? 32 * at + b : -1)
    );
    assertEquals(
      new Set(bits.filter((id) => id >= 0)),
      new Set([...seen[r], chosen]),
      `row ${r}: seen`,
    );
  });
}

for (const profile of PROFILES) {
  Deno.test(`argmax takes the first of the largest numbers (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const cases = Object.entries(ARGMAX_ROWS);
    const tensors = await run(gpu, (recorder) =>
      cases.map(([, [row]]) => {
        // The row stands twice: the second shows that the first's end is found.
        const rows = input(gpu, Float32Array.from([...row, ...row]), [2, row.length]);
        return argmax(recorder, rows);
      }));
    const data = await gpu.read(tensors);
    cases.forEach(([name, [row, expected]], i) => {
      const words = new Uint32Array(data[i]);
      assertEquals([words[0], words[2]], [expected, expected], name);
      const value = expected === NO_TOKEN ? -Infinity : row[expected];
      assertEquals(new Float32Array(data[i])[3], value, name);
    });
  });

  Deno.test(`greedy ignores what only sampling needs, and says where nothing was found (${profile})`, async () => {
    const rows = [normals(1, 300), NaN_ROW(300), normals(2, 300)];
    const sampling = { ...GREEDY, topK: 5, topP: 0.1, minP: 0.5 };
    const { ids, history } = await draws(profile, { rows, sampling, step: 2 });
    const tops = rows.map((row) => row.indexOf(Math.max(...row)));
    assertEquals(ids, [tops[0], 0, tops[2]]);
    assertEquals(history, [tops[0], NO_TOKEN, tops[2]]);
    const drawn = await draws(profile, { rows, sampling: { temperature: 1, topP: 0.9, seed: 1 } });
    assertEquals([drawn.ids[1], drawn.history[1]], [0, NO_TOKEN]);
  });

  Deno.test(`the penalty acts on seen tokens, and the chosen one is seen then (${profile})`, async () => {
    for (const width of [100, 101]) await checkPenalty(profile, width);
  });

  Deno.test(`the draw is Philox's, for every seed, stream and step (${profile})`, async () => {
    // Equal logits: the sums are whole numbers, so the token at place ⌊u · width⌋ is drawn, exactly.
    const width = 4096;
    const streams = [0, 1, 2, 0xffffffff, 0x80000001, 77];
    const steps = [0, 1, 511, 65536, 0xfffffff0, 3];
    const rows = streams.map(() => new Float32Array(width).fill(-2.5));
    for (const seed of [0, 1, 2 ** 32, 0xdeadbeef1234, 2 ** 53 - 1]) {
      const sampling = { temperature: 0.7, seed };
      const { ids } = await draws(profile, { rows, sampling, streams, steps, step: 4 });
      const expected = streams.map((stream, r) =>
        slotOrder(width)[Math.floor(drawReference(seed, stream, steps[r] + 4) * width)]
      );
      assertEquals(ids, expected, `seed ${seed}`);
    }
  });
}

Deno.test("a draw or a share that falls on a bound between tokens takes what lies above it", async () => {
  const width = 256;
  // The first draws of this stream that are whole multiples of 1/256.
  const steps = [43176, 81943, 84310];
  const places = steps.map((step) => drawReference(0, 0, step) * width);
  assertEquals(places, [216, 66, 51]);
  // Different numbers, of which every one has the mass 1 at this temperature.
  const falling = Float32Array.from({ length: width }, (_, i) => -i);
  const hot = { temperature: 1e12, seed: 0 };
  for (const profile of PROFILES) {
    const rows = steps.map(() => falling);
    const streams = [0, 0, 0];
    assertEquals((await draws(profile, { rows, sampling: hot, streams, steps })).ids, places);
    const many = Array.from({ length: 300 }, () => falling);
    const { ids } = await draws(profile, { rows: many, sampling: { ...hot, topP: 1 / 64 } });
    assertEquals([...new Set(ids)].sort(), [0, 1, 2, 3], "exactly 1/64 of the mass");
  }
});

/** Settings one by one and together, on rows whose cumulative masses keep away from the share asked for. */
const SETTINGS: Sampling[] = [
  { temperature: 1, seed: 3 },
  { temperature: 0.3, seed: 4 },
  { temperature: 2.5, topK: 7, seed: 5 },
  { temperature: 1, topK: 1, seed: 6 },
  { temperature: 1, topK: 5000, seed: 6 },
  { temperature: 1, topP: 0.9, seed: 7 },
  { temperature: 1.7, topP: 0.31, seed: 8 },
  { temperature: 1, topP: 1e-40, seed: 8 },
  { temperature: 0.8, minP: 0.05, seed: 9 },
  { temperature: 1, minP: 1, seed: 9 },
  { temperature: 1.1, repetitionPenalty: 1.2, topK: 40, topP: 0.8, minP: 0.02, seed: 10 },
  { temperature: 1, repetitionPenalty: 0.7, topP: 0.999, seed: 11 },
];

const VOCABS = [1, 12, 257, 1500];

const SETTING_DRAWS = VOCABS.flatMap((width, v) => {
  const rows = Array.from({ length: 6 }, (_, r) => normals(10 * v + r, width).map((x) => 3 * x));
  const seen = rows.map((_, r) => [0, r % width, (37 * r) % width]);
  return SETTINGS.map((sampling) => ({ rows, seen, sampling }));
});

Deno.test("tokens are those of the reference, and both variants take the same", async () => {
  const software = await drawAll("software", SETTING_DRAWS);
  SETTING_DRAWS.forEach(({ sampling, rows, seen }, c) => {
    const { ids } = software[c];
    rows.forEach((row, r) => {
      const penalised = penaliseReference(row, new Set(seen[r]), sampling.repetitionPenalty);
      const shares = sharesReference(massesReference(penalised, sampling));
      const draw = drawReference(sampling.seed, r, 0);
      const [from, to] = shares[ids[r]];
      const what = `${JSON.stringify(sampling)}, row ${r} of ${row.length}: token ${ids[r]}`;
      assert(from < to, `${what} is left out`);
      // Twice the bound that sample.wgsl states: of the running sum, and of the total.
      const error = 2 * (row.length / 256 + 262 + 7 * Math.log(row.length)) * U;
      assert(from - error <= draw && draw <= to + error, `${what} is not at ${draw}`);
    });
  });
  const gpu = await drawAll("discrete", SETTING_DRAWS);
  assertEquals(gpu.map(({ ids }) => ids), software.map(({ ids }) => ids));
});

/** The value that an ordered key stands for. */
function keyValue(key: number): number {
  const bits = key >>> 31 === 1 ? key ^ 0x80000000 : ~key;
  return new Float32Array(Uint32Array.of(bits >>> 0).buffer)[0];
}

/** Rows with ties, in which the shares that are asked for fall between cumulative masses. */
const FLOOR_ROWS: Record<string, Float32Array> = {
  "halves": Float32Array.from({ length: 20 }, (_, i) => -Math.LN2 * ((7 * i) % 20)),
  "ties": Float32Array.from({ length: 300 }, (_, i) => -((i * 17) % 6)),
  "equal": new Float32Array(40).fill(1.5),
  "normal": normals(20, 2000),
  "peaked": normals(21, 700).map((x) => 20 * x),
  "neighbours": Float32Array.from({ length: 64 }, (_, i) => 1 + ((i * 5) % 64) * 2 ** -23),
  "far below": Float32Array.of(-200, 0, -150, -1, -100, -Infinity, NaN),
};

for (const profile of PROFILES) {
  Deno.test(`top-k and top-p keep what they say, to the bit (${profile})`, async () => {
    const gpu = await testGpu(profile);
    const cases = Object.entries(FLOOR_ROWS).flatMap(([name, row]) =>
      [undefined, 1, 3, 15, row.length].flatMap((topK) =>
        [1e-6, 0.3, 0.51, 0.77, 0.93, 1].map((topP) => {
          const scores = penaliseReference(row, new Set());
          return { name, scores, sampling: { temperature: 1, topP, topK, seed: 0 } };
        })
      )
    );
    poisonPool(gpu, 4, 8);
    const tensors = await run(gpu, (recorder) =>
      cases.map(({ scores, sampling }) => {
        const x = input(gpu, Float32Array.from([...scores, ...scores]), [2, scores.length]);
        const best = argmax(recorder, x);
        const rows = [0, 1].map((slot) => ({ slot, stream: 0, step: 0, sampling }));
        const floors = keptFloors(recorder, x, best, uploadRows(recorder, rows));
        best.release();
        return floors;
      }));
    const data = await gpu.read(tensors);
    tensors.forEach((tensor) => tensor.release());
    cases.forEach(({ name, scores, sampling }, c) => {
      const keys = new Uint32Array(data[c]);
      const floor = floorReference(scores, sampling);
      const kept = scores.filter((score) => score >= floor).length;
      for (const key of [keys[0], keys[2]]) {
        // Without top-k and top-p the key is 0, which no number has.
        const found = scores.filter((score) => key === 0 || score >= keyValue(key)).length;
        assertEquals(found, kept, `${name}, k ${sampling.topK}, p ${sampling.topP}`);
      }
    });
  });
}

/** χ² of counts against expected shares, for shares over 0; fails where a token without a share came up. */
function chiSquare(counts: readonly number[], shares: readonly number[], draws: number): number {
  let sum = 0;
  counts.forEach((count, id) => {
    if (shares[id] === 0) return assertEquals(count, 0, `token ${id} has no share`);
    sum += (count - draws * shares[id]) ** 2 / (draws * shares[id]);
  });
  return sum;
}

Deno.test("many draws come in the shares of the probabilities", async () => {
  const logits = normals(40, 24).map((x) => 1.2 * x);
  logits[5] = NaN;
  const N = 1500;
  const rows = Array.from({ length: N }, () => logits);
  const cases = [
    { temperature: 1, seed: 100 },
    { temperature: 1.4, topP: 0.85, seed: 101 },
    { temperature: 0.9, topK: 6, minP: 0.1, seed: 102 },
    { temperature: 1e9, topK: 5, seed: 103 },
  ].map((sampling) => ({ rows, sampling }));
  const drawn = await drawAll("software", cases);
  cases.forEach(({ sampling }, c) => {
    const counts = new Array(logits.length).fill(0);
    for (const id of drawn[c].ids) counts[id]++;
    const masses = massesReference(penaliseReference(logits, new Set()), sampling);
    const total = masses.reduce((sum, mass) => sum + mass, 0);
    const shares = masses.map((mass) => mass / total);
    const freedom = shares.filter((share) => share > 0).length - 1;
    const found = chiSquare(counts, shares, N);
    // About the one in ten thousand point of the distribution.
    const most = freedom + 3.7 * Math.sqrt(2 * freedom) + 9;
    assert(found < most, `${JSON.stringify(sampling)}: χ² is ${found} at ${freedom} degrees`);
  });
});

Deno.test("extreme temperatures: the likeliest alone, and all alike", async () => {
  const rows = Array.from({ length: 50 }, (_, r) => normals(r, 400));
  const tops = rows.map((row) => row.indexOf(Math.max(...row)));
  for (const temperature of [1e-5, 1e-30, 1e-300]) {
    const { ids } = await draws("software", { rows, sampling: { temperature, seed: 2 } });
    assertEquals(ids, tops, `temperature ${temperature}`);
  }
  for (const temperature of [1e12, 1e300]) {
    const width = 400;
    const { ids } = await draws("software", { rows, sampling: { temperature, seed: 2 } });
    const order = slotOrder(width);
    ids.forEach((id, r) => {
      const place = drawReference(2, r, 0) * width;
      assert(Math.abs(order.indexOf(id) + 0.5 - place) < 0.501, `temperature ${temperature}`);
    });
  }
  // Differences that overflow f32.
  const far = [Float32Array.of(-3e38, 3e38, -3e38, Infinity), Float32Array.of(-3e38, 3e38, 0, 0)];
  const { ids } = await draws("software", { rows: far, sampling: { temperature: 1, seed: 2 } });
  assertEquals(ids, [3, 1]);
});

Deno.test("a row's token does not depend on the rows about it", async () => {
  const rows = Array.from({ length: 7 }, (_, r) => normals(60 + r, 900));
  const streams = [9, 4, 4, 0, 2, 5, 5];
  const steps = [0, 1, 2, 3, 4, 5, 6];
  const sampling = { temperature: 1.2, topK: 300, topP: 0.95, minP: 0.001, seed: 77 };
  for (const profile of PROFILES) {
    const together = (await draws(profile, { rows, sampling, streams, steps })).ids;
    assert(new Set(together).size > 3, `${together}`);
    const alone = await drawAll(
      profile,
      rows.map((row, r) => ({ rows: [row], sampling, streams: [streams[r]], steps: [steps[r]] })),
    );
    assertEquals(alone.map(({ ids }) => ids[0]), together);
    const back = { rows: rows.toReversed(), sampling, streams: streams.toReversed() };
    const reversed = await draws(profile, { ...back, steps: steps.toReversed() });
    assertEquals(reversed.ids.toReversed(), together);
  }
});

Deno.test("a row's token does not depend on the settings of the rows about it", async () => {
  const settings = [...SETTINGS, GREEDY, { ...GREEDY, repetitionPenalty: 1.5 }];
  const rows = settings.map((_, r) => normals(90 + r, 1500).map((x) => 3 * x));
  const seen = rows.map((_, r) => [0, r, 37 * r]);
  const streams = settings.map((_, r) => r % 3);
  for (const profile of PROFILES) {
    const together = await draws(profile, { rows, sampling: settings, seen, streams });
    const alone = await drawAll(
      profile,
      rows.map((row, r) => ({
        rows: [row],
        sampling: settings[r],
        seen: [seen[r]],
        streams: [streams[r]],
      })),
    );
    assertEquals(together.ids, alone.map(({ ids }) => ids[0]));
    assert(new Set(together.ids).size > 7, `${together.ids}`);
  }
});

Deno.test("settings out of their range are refused by name", () => {
  const good: Sampling = { temperature: 1, seed: 0 };
  checkSampling(good);
  checkSampling({ temperature: 0, topK: 1, topP: 1, minP: 0, repetitionPenalty: 0.1, seed: 9 });
  const bad: [Partial<Sampling>, string][] = [
    [{ temperature: -1 }, "Cannot sample with temperature -1: it must be 0 or more"],
    [{ temperature: NaN }, "temperature NaN"],
    [{ temperature: Infinity }, "temperature Infinity"],
    [{ topK: 0 }, "topK 0"],
    [{ topK: 1.5 }, "topK 1.5"],
    [{ topP: 0 }, "topP 0"],
    [{ topP: 1.01 }, "topP 1.01"],
    [{ minP: -0.1 }, "minP -0.1"],
    [{ minP: 2 }, "minP 2"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty 0"],
    [{ seed: -1 }, "seed -1"],
    [{ seed: 2 ** 53 }, "seed 9007199254740992"],
  ];
  for (const [change, message] of bad) {
    assertThrows(() => checkSampling({ ...good, ...change }), UsageError, message);
  }
});
