/** Run by subgroups_test.ts on a driver that has subgroups: audits products by lanes of one subgroup, and prints what it found. */

import { auditKernels } from "../../engine/audit/audit_kernels.ts";
import { matmulCase } from "../../engine/audit/cases/matmul.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import { Tuning } from "../../engine/gpu/tuning.ts";

using plain = await Gpu.open({ backend: "dawn" });
using grouped = await Gpu.open({
  backend: "dawn",
  profile: "discrete",
  tuning: Tuning.always("matmul", "subgroups"),
});
const wanted = [
  "[6, 333] · [130, 333]ᵀ, bf16",
  "[1, 203] · [101, 203]ᵀ, bf16, added",
  "[3, 64] · [17, 64]ᵀ, f16",
  "[5, 65] · [33, 65]ᵀ, f32, added",
];
const shapes = matmulCase.shapes.filter(({ label }) => wanted.includes(label))
  .map((shape) => ({ ...shape, distributions: ["normal", "outliers"] as const }));
const { results } = await auditKernels(
  [{ name: "plain", gpu: plain }, { name: "subgroups", gpu: grouped }],
  {
    cases: [{ ...matmulCase, shapes }],
    quick: false,
    repeats: 3,
    randomShapes: 0,
    randomBatches: 1,
  },
);
console.log(JSON.stringify({
  subgroupSize: grouped.subgroupSize,
  shapes: shapes.length,
  kernels: results.filter(({ device }) => device === "subgroups").flatMap(({ kernels }) => kernels),
  faults: results.flatMap(({ faults }) => faults),
}));
Deno.exit(0);
