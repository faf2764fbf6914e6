import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openBoth } from "../../tests/fast_gpu.ts";
import { DEFAULTS, Tuning } from "../gpu/tuning.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { DeviceProfile } from "../gpu/profile.ts";
import { f32, u32 } from "../gpu/uniforms.ts";
import { elementGrid } from "../ops/grid.ts";
import { type AuditDevice, auditKernels, type AuditPlan, keyOf } from "./audit_kernels.ts";
import { allRows, type KernelCase, kernelCase } from "./case.ts";
import { KERNEL_CASES, SHAPED_OPS, TUNED_PRODUCTS } from "./cases.ts";
import { Draw, rowsOf } from "./inputs.ts";
import { runJob } from "./run_job.ts";

const opened = new Map<string, Promise<Gpu>>();

function testGpu(profile: DeviceProfile): Promise<Gpu> {
  return opened.getOrInsertComputed(profile, () => openBoth(profile));
}

/** A device for GPUs' kernels, with one variant of products for all sizes. */
function tunedGpu(choice: typeof TUNED_PRODUCTS[number]): Promise<Gpu> {
  return opened.getOrInsertComputed(choice, async () => {
    const gpu = await openBoth("discrete");
    gpu.tuning = Tuning.always("matmul", choice);
    return gpu;
  });
}

Deno.test.afterAll(async () => {
  for (const gpu of opened.values()) (await gpu).close();
});

/** All classes of adapters; Apple's has the shapes of the discrete ones. */
const CLASSES = ["software", "discrete", "integrated"] as const;

const devices = async () => {
  const found: AuditDevice[] = await Promise.all(CLASSES.map(async (name) => ({
    name,
    gpu: await testGpu(name),
    ops: name === "integrated" ? SHAPED_OPS : undefined,
  })));
  for (const name of TUNED_PRODUCTS) {
    if (name === "subgroups" && found[0].gpu.subgroupSize === 0) continue;
    found.push({ name, gpu: await tunedGpu(name), ops: ["matmul"] });
  }
  return found;
};

/** Every case on its small shapes, normal inputs and those with outliers. */
const PLAN: Omit<AuditPlan, "cases"> = {
  quick: true,
  repeats: 10,
  randomShapes: 0,
  randomBatches: 1,
};

const software = await testGpu("software");

/** Whether the adapter has what a case takes. */
function runs({ runsOn }: KernelCase): boolean {
  return !runsOn || runsOn(software);
}

/** The ops, named as their kernels are, that the adapter has not what it takes for. */
function leftOut(): string[] {
  return KERNEL_CASES.filter((one) => !runs(one)).map(({ op }) => op);
}

/** The kernels that the tests have run. */
const ran = new Set<string>();

for (const one of KERNEL_CASES) {
  Deno.test(`audit: ${one.op}`, { ignore: !runs(one) }, async () => {
    const shapes = one.shapes.slice(0, one.quick ?? 2)
      .map((shape) => ({ ...shape, distributions: ["normal", "outliers"] as const }));
    const plan = { ...PLAN, cases: [{ ...one, shapes }] };
    const { results, kernels } = await auditKernels(await devices(), plan);
    assertEquals(results.flatMap(({ faults }) => faults), []);
    for (const { name } of kernels) ran.add(name);
  });
}

Deno.test("what is not audited on every class of GPUs has the same kernels on all of them", async () => {
  assertEquals(DEFAULTS.apple, DEFAULTS.discrete);
  const [discrete, integrated] = [await testGpu("discrete"), await testGpu("integrated")];
  const shaped: string[] = [];
  for (const { op, shapes, make, quick = 2 } of KERNEL_CASES.filter(runs)) {
    const kernelsOf = async (gpu: Gpu) => {
      const all: string[] = [];
      for (const shape of shapes.slice(0, quick)) {
        const { kernels } = await runJob(gpu, make(shape, new Draw("normal", 1)));
        all.push(...kernels.map(keyOf));
      }
      return all.join();
    };
    if (await kernelsOf(discrete) !== await kernelsOf(integrated)) shaped.push(op);
  }
  const left = leftOut();
  assertEquals(shaped, SHAPED_OPS.filter((op) => !left.includes(op)));
});

// Comes after the others, and fails where they were filtered.
Deno.test("every .wgsl file is audited", () => {
  const left = [...leftOut(), ...(software.subgroupSize > 0 ? [] : ["matvec_subgroup"])];
  const files = [...Deno.readDirSync(`${import.meta.dirname}/../../shaders`)];
  const shaders = files.map(({ name }) => name.replace(/\.wgsl$/, ""))
    .filter((name) => !left.includes(name)).sort();
  assertEquals([...ran].sort(), shaders);
});

/** A kernel for the tests below: doubles `x`, and does one thing wrong. */
function doubling(body: string) {
  const code = `
struct Params { count: u32, two: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  ${body}
}`;
  return kernelCase({
    op: "doubling",
    shapes: [{ label: "[5, 3]", rows: 5, distributions: ["normal"] as const }],
    make({ rows }, draw, picked = allRows(rows)) {
      const x = rowsOf(draw.values(rows * 3, 3), 3, picked);
      return {
        buffers: { x, out: { words: x.length } },
        record(recorder, at) {
          const kernel = recorder.gpu.kernels.get(`doubling ${body}`, code);
          const params = [u32(x.length), f32(2)];
          recorder.dispatch(kernel, [at.x.buffer, at.out.buffer], params, elementGrid(x.length));
        },
        expect: {
          out: {
            rowWords: 3,
            reference: () => ({
              expected: Float64Array.from(x, (value) => 2 * value),
              bound: new Float64Array(x.length),
            }),
          },
        },
      };
    },
  });
}

async function faultsOf(body: string): Promise<string[]> {
  const plan = { ...PLAN, cases: [doubling(body)] };
  const { results } = await auditKernels((await devices()).slice(0, 1), plan);
  return results.flatMap(({ faults }) => faults);
}

Deno.test("an audit finds what is wrong with a kernel, and nothing in a right one", async () => {
  const right = "if (i < params.count) { out[i] = params.two * x[i]; }";
  assertEquals(await faultsOf(right), []);
  const wrong: [string, RegExp][] = [
    ["if (i < params.count) { out[i] = 2.000001 * x[i]; }", /is .*, expected .* ± 0$/],
    ["if (i + 1u < params.count) { out[i] = params.two * x[i]; }", /word 14 of 15 .* not written/],
    ["if (i <= params.count) { out[i] = params.two * x[i]; }", /written 1 words past its end/],
    // Sixty-four to a workgroup, of which one is enough.
    [
      "if (i < params.count || (group.y == 1u && i == 64u)) { out[min(i, params.count)] = params.two * x[i % 64u]; }",
      /written 1 words past its end, with workgroups to spare/,
    ],
    // The last row of a batch, whichever it is.
    [
      "if (i < params.count) { out[i] = params.two * x[i] + select(0.0, 1.0, i / 3u + 1u == params.count / 3u); }",
      /row \d of "out" has other bits in the batch/,
    ],
  ];
  for (const [body, message] of wrong) {
    const faults = await faultsOf(body);
    assert(faults.some((fault) => message.test(fault)), `${body}: ${faults.join("; ")}`);
  }
});

Deno.test("variants must have the same bits, but for the sign of a zero among denormal numbers", async () => {
  const devices: AuditDevice[] = [];
  for (const name of ["software", "discrete"] as const) {
    devices.push({ name, gpu: await testGpu(name) });
  }
  const faultsOn = async (distribution: "normal" | "denormal", other: number) => {
    const one = doubling("if (i < params.count) { out[i] = params.two * x[i]; }");
    const shapes = one.shapes.map((shape) => ({ ...shape, distributions: [distribution] }));
    const make = (...args: Parameters<typeof one.make>) => {
      const job = one.make(...args);
      job.expect.out.reference = () => ({
        expected: new Float64Array(15),
        bound: new Float64Array(15).fill(1e-44),
      });
      return {
        ...job,
        record(...[recorder, at]: Parameters<typeof job.record>) {
          const word = recorder.gpu.profile === "software" ? 0 : other;
          const words = new Uint32Array(3 * (args[2]?.length ?? 5)).fill(word);
          recorder.copy(recorder.upload(words), 0, at.out.buffer, 0, words.byteLength);
        },
      };
    };
    const plan = { ...PLAN, cases: [{ ...one, shapes, make }] };
    const { results } = await auditKernels(devices, plan);
    return results.flatMap(({ faults }) => faults);
  };
  const message = '[5, 3], normal: "out" has other bits than with software variants';
  assertEquals(await faultsOn("normal", 0x80000000), [message]);
  assertEquals(await faultsOn("denormal", 0x80000000), []);
  assertEquals(await faultsOn("denormal", 1), [message.replace("normal", "denormal")]);
});

Deno.test("a kernel that does not give the same every time is found", async () => {
  // In the place of a race, which a software adapter may win every time: every seventh run differs.
  const gpu = await testGpu("discrete");
  const one = doubling("if (i < params.count) { out[i] = params.two * x[i]; }");
  let run = 0;
  const flaky = {
    ...one,
    make(...args: Parameters<typeof one.make>) {
      const job = one.make(...args);
      return {
        ...job,
        record(...at: Parameters<typeof job.record>) {
          job.record(...at);
          if (run++ % 7 === 6) at[0].copy(at[1].x.buffer, 0, at[1].out.buffer, 8, 4);
        },
      };
    },
  };
  const { results } = await auditKernels([{ name: "discrete", gpu }], {
    ...PLAN,
    repeats: 20,
    cases: [flaky],
  });
  assertStringIncludes(results[0].faults.join("; "), "20 runs gave 2 different results");
});
