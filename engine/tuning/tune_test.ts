import { assert, assertEquals } from "@std/assert";
import { closeTestGpus, run, testGpu } from "../../tests/test_gpu.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Clock } from "../gpu/measure.ts";
import { DEVICE_PROFILES } from "../gpu/profile.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { classKey, KNOBS, Tuning } from "../gpu/tuning.ts";
import { choicesOf, tune } from "./tune.ts";
import { type Workload, workloads } from "./workloads.ts";

Deno.test.afterAll(closeTestGpus);

const KEY = "attention/max";

/** Does its work, and takes as long as it is told to. */
function fakeClock(gpu: Gpu, milliseconds: (choice: string | undefined) => number): Clock {
  return {
    subject: (record: (recorder: Recorder) => void) => ({
      run: async (repeats: number) => {
        await run(gpu, record);
        return repeats * milliseconds(gpu.tuning.choice("attention", 1000));
      },
    }),
  } as unknown as Clock;
}

/** Writes a number that may depend on the choice. */
function job(result: (choice: string | undefined) => number): Workload {
  return {
    knob: "attention",
    key: KEY,
    label: "a test",
    prepare(gpu) {
      const out = gpu.tensor([1]);
      return Promise.resolve({
        record(recorder) {
          const value = result(gpu.tuning.choice("attention", 1000));
          recorder.copy(recorder.upload(Float32Array.of(value)), 0, out.buffer, 0, 4);
        },
        results: [out],
        release: () => out.release(),
      });
    },
  };
}

async function trialOf(
  result: (choice: string | undefined) => number,
  milliseconds: (choice: string | undefined) => number,
) {
  const gpu = await testGpu("software");
  const clock = fakeClock(gpu, milliseconds);
  const how = { clock, effort: { turns: 1, least: 1 }, goOn: () => true };
  const [trial] = await tune(gpu, [job(result)], how);
  assertEquals(gpu.tuning, Tuning.none);
  return trial;
}

Deno.test("the fastest choice is taken where it is clearly faster", async () => {
  const trial = await trialOf(() => 1, (choice) => choice === "blocks" ? 4 : 5);
  assertEquals(choicesOf([trial]), { [KEY]: "blocks" });
  assertEquals(trial.times, { blocks: 4, tokens: 5 });
  const close = await trialOf(() => 1, (choice) => choice === "blocks" ? 4.9 : 5);
  assertEquals(choicesOf([close]), {});
});

Deno.test("a choice that gives other bits is not taken, however fast", async () => {
  const trial = await trialOf(
    (choice) => choice === "blocks" ? -0 : 0,
    (choice) => choice === "blocks" ? 1 : 5,
  );
  assertEquals(trial.failed, { blocks: "it gives other bits" });
  assertEquals(choicesOf([trial]), {});
});

Deno.test("the tuning ends when it is told to, with what there is", async () => {
  const gpu = await testGpu("software");
  const clock = fakeClock(gpu, () => 1);
  const how = { clock, effort: { turns: 1, least: 1 }, goOn: (done: number) => done < 2 };
  const trials = await tune(gpu, [1, 2, 3].map(() => job(() => 1)), how);
  assertEquals(trials.length, 2);
});

Deno.test("every class of every knob has a workload, on each kind of adapter its own", async () => {
  const { limits } = await testGpu("software");
  for (const profile of DEVICE_PROFILES) {
    const keys = workloads({ profile, limits }).map(({ key }) => key);
    assertEquals(new Set(keys).size, keys.length);
    const less = workloads({ profile, limits: { ...limits, maxStorageBuffersPerShaderStage: 8 } });
    assert(less.every(({ knob }) => knob !== "sublayer_norm"));
    const classes = Object.entries(KNOBS).flatMap(([knob, { sizes }]) =>
      Object.values<readonly number[]>(sizes).reduce(
        (keys, ends) => keys.flatMap((key) => [...ends, "max"].map((end) => `${key}/${end}`)),
        [knob],
      )
    );
    const wanted = classes.filter((key) => profile !== "software" || !key.startsWith("sublayer"));
    assertEquals(keys.toSorted(), wanted.toSorted());
  }
  assertEquals(classKey("matmul", 24, 1), "matmul/31/1048576");
});
