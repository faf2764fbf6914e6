import { assertEquals } from "@std/assert";
import { MATRICES, matrixUnit } from "./matrix_unit.ts";
import { requestedFeatures } from "./gpu.ts";

const config = (componentType: string, resultComponentType: string, [M, N, K]: number[]) => ({
  componentType,
  resultComponentType,
  M,
  N,
  K,
});

const limits = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 32 << 10,
};

Deno.test("the largest matrices of f16 with sums of f32 are taken", () => {
  const subgroupMatrixConfigs = [
    config("f16", "f16", [16, 16, 16]),
    config("i8", "i32", [16, 16, 16]),
    config("f32", "f32", [8, 8, 8]),
    config("f16", "f32", [16, 8, 8]),
    config("f16", "f32", [16, 8, 16]),
    config("f16", "f32", [64, 64, 16]),
    config("f16", "f32", [16, 8, 12]),
  ];
  const info = { device: "a-card", subgroupMaxSize: 32, subgroupMatrixConfigs };
  assertEquals(matrixUnit({ info, limits }), { m: 16, n: 8, k: 16, subgroup: 32 });
  const others = { ...info, subgroupMatrixConfigs: subgroupMatrixConfigs.slice(0, 3) };
  assertEquals(matrixUnit({ info: others, limits }), undefined);
  const wide = { ...info, subgroupMaxSize: 64 };
  assertEquals(matrixUnit({ info: wide, limits }), undefined);
  const more = { ...limits, maxComputeInvocationsPerWorkgroup: 512 };
  assertEquals(matrixUnit({ info: wide, limits: more })?.subgroup, 64);
  const small = { ...limits, maxComputeWorkgroupStorageSize: 16 << 10 };
  assertEquals(matrixUnit({ info, limits: small }), undefined);
});

Deno.test("an adapter that tells nothing has none, nor has llvmpipe with sixteen threads a subgroup", () => {
  assertEquals(matrixUnit({ info: {}, limits }), undefined);
  const subgroupMatrixConfigs = [config("f16", "f32", [8, 8, 8])];
  const unitOf = (device: string | undefined, subgroupMaxSize?: number) =>
    matrixUnit({ info: { device, subgroupMaxSize, subgroupMatrixConfigs }, limits });
  assertEquals(unitOf("a-card"), undefined);
  assertEquals(unitOf("llvmpipe-llvm-19-1-7-512-bits-", 16), undefined);
  const unit = { m: 8, n: 8, k: 8, subgroup: 8 };
  assertEquals(unitOf("llvmpipe-llvm-19-1-7-256-bits-", 8), unit);
  assertEquals(unitOf(undefined, 16), { ...unit, subgroup: 16 });
});

Deno.test("subgroup matrices are asked for where fast mode may be wanted, and not otherwise", () => {
  const features = new Set(["shader-f16", "subgroups", MATRICES as string]);
  const adapter = { backend: "dawn", name: "a card", features } as const;
  assertEquals(requestedFeatures(adapter, {}), ["subgroups"]);
  for (const options of [{ precision: "fast" }, { both: true }] as const) {
    assertEquals(requestedFeatures(adapter, options), ["subgroups", "shader-f16", MATRICES]);
  }
});
