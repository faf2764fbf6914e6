import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { requestAdapter } from "../engine/gpu/backend.ts";
import { adviseOn, type BackendReport, formatReport } from "./doctor.ts";
import { checkAdapter } from "./doctor_check.ts";

const adapter = {
  vendor: "65541",
  architecture: "",
  device: "0",
  description: "llvm\x1bpipe",
  software: true,
};
const working: BackendReport = {
  backend: "deno",
  works: true,
  adapter,
  features: ["shader-f16"],
  limits: { maxBufferSize: 2 ** 31 - 1, maxComputeWorkgroupStorageSize: 32768 },
};
const broken: BackendReport = { backend: "dawn", works: false, problem: "it finds no adapter" };

Deno.test("adviseOn() names the ways out that fit the machine", () => {
  assertEquals(adviseOn([broken], undefined).length, 2);
  assertStringIncludes(adviseOn([broken], undefined)[0], "apt-get install");
  assertEquals(adviseOn([working, broken], undefined).length, 1);
  assertStringIncludes(adviseOn([working], "/cache/driver")[1], "apt-get install");
  const gpu = { ...working, adapter: { ...adapter, software: false } };
  assertEquals(adviseOn([gpu, broken], undefined), []);
});

Deno.test("formatReport() shows what works and why the rest does not", () => {
  const text = formatReport({
    deno: "2.9.6",
    os: "linux",
    backends: [working, broken],
    advice: ["Do this"],
  });
  for (
    const part of [
      "llvm\\x1bpipe (software)",
      "0x10005, 0x0",
      "shader-f16 yes, subgroups no",
      "2047 MiB",
      "32 KiB",
      "not told",
      "does not work: it finds no adapter",
      "\n\nDo this",
    ]
  ) assertStringIncludes(text, part);
});

Deno.test("formatReport() tells of a matrix unit where there is one", () => {
  const report = (backend: BackendReport) =>
    formatReport({ deno: "2.9.6", os: "linux", backends: [backend], advice: [] });
  const matrices = { m: 16, n: 8, k: 32, subgroup: 32 };
  assertStringIncludes(report({ ...working, matrices }), "[16, 32] · [32, 8] of f16");
  assert(!report(working).includes("matrix unit"));
});

Deno.test("checkAdapter() finds that the adapter of the tests computes", async () => {
  const found = await requestAdapter("deno");
  assert(found, "no adapter");
  assertEquals(await checkAdapter(found!), undefined);
});
