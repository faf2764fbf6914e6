/** A norm after a sublayer goes with the next product of few rows, or is a dispatch of its own: the bits are the same, under an adapter too. */

import { assertEquals } from "@std/assert";
import { Gpu } from "../engine/gpu/gpu.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import type { Transformer } from "../engine/transformer.ts";
import { assertSameRun, fixtureModel, type Run, run } from "./helpers.ts";
import { recorded } from "./hooks_helpers.ts";
import { randomPair } from "./random_pair.ts";

for (const profile of ["software", "discrete"] as const) {
  Deno.test(`a norm after a sublayer costs no dispatch, and changes no bit by where it is done (${profile})`, async () => {
    using gpu = await Gpu.open({ profile });
    // Those of four are few for software adapters, those of eight for GPUs.
    const most = profile === "software" ? 4 : 8;
    for (const name of ["gemma2", "gemma3_text"]) {
      const [base, tuned] = await randomPair(gpu, name);
      const { layers } = base.spec;
      for (const model of [base, tuned]) {
        for (const sequences of [1, 3, most, most + 1]) {
          const [joined, apart] = await bothWays(gpu, model, sequences);
          const what = `${name}, ${model === tuned ? "adapted" : "base"}, ${sequences}`;
          assertSameRun(joined.results, apart.results, what);
          // All but the last, after which no product comes that takes it.
          const saved = sequences > most ? 0 : 2 * layers - 1;
          assertEquals(apart.dispatches - joined.dispatches, saved, what);
          if (sequences > most) continue;
          const each = model === tuned ? 13 : 5;
          assertEquals(apart.dispatches - outside(model), (each + 2) * layers, what);
        }
      }
      for (const model of [tuned, base]) model.destroy();
    }
  });
}

/** Embedding; final norm and head, and what caps logits. */
function outside({ spec: { finalSoftcap } }: Transformer): number {
  return finalSoftcap === null ? 3 : 4;
}

async function bothWays(gpu: Gpu, model: Transformer, sequences: number) {
  const texts = Array.from({ length: sequences }, (_, s) => [3 + s]);
  const request = { capture: ["logits"] };
  const ways: { dispatches: number; results: Run }[] = [];
  for (const choice of ["joined", "apart"] as const) {
    gpu.tuning = Tuning.always("sublayer_norm", choice);
    const { dispatches } = recorded(model, model.batch(texts), request);
    ways.push({ dispatches, results: await run(model, texts, request) });
  }
  gpu.tuning = Tuning.none;
  return ways;
}

Deno.test("an adapter that binds no more than WebGPU promises goes step by step, with the same bits", async () => {
  const results: Run[] = [];
  const kernels: string[][] = [];
  for (const maxStorageBuffersPerShaderStage of [8, 10]) {
    using gpu = await Gpu.open({
      profile: "discrete",
      limits: { maxStorageBuffersPerShaderStage },
    });
    const model = await fixtureModel(gpu, "gemma3_text");
    const request = { capture: ["logits"] };
    const texts = [[3], [7]];
    kernels.push(recorded(model, model.batch(texts), request).kernels);
    results.push(await run(model, texts, request));
    model.destroy();
  }
  assertSameRun(results[0], results[1], "8 and 10 buffers");
  assertEquals(kernels.map((names) => names.includes("matvec_fused")), [false, true]);
});

Deno.test("no other kernel binds more storage buffers than WebGPU promises", async () => {
  const folder = `${import.meta.dirname}/../shaders`;
  const over: string[] = [];
  for (const { name } of Deno.readDirSync(folder)) {
    const code = await Deno.readTextFile(`${folder}/${name}`);
    if (code.split("var<storage").length - 1 > 8) over.push(name);
  }
  assertEquals(over, ["matvec_fused.wgsl"]);
});
