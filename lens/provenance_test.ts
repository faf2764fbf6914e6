import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { auditState, fingerprintOf, kernelHashes, sha256Of } from "./provenance.ts";

const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Deno.test("sha256Of() hashes the UTF-8 of a text", async () => {
  assertEquals(await sha256Of("abc"), ABC);
  assert(await sha256Of("é") !== await sha256Of("e\u0301"));
});

Deno.test("fingerprintOf() is short, and differs with every input but not with their order", async () => {
  const one = await fingerprintOf({ seed: 0, layers: [1, 2] });
  assertMatch(one, /^[0-9a-f]{8}$/);
  assertEquals(await fingerprintOf({ layers: [1, 2], seed: 0 }), one);
  for (const other of [{ seed: 1, layers: [1, 2] }, { seed: 0, layers: [2, 1] }, { seed: 0 }]) {
    assert(await fingerprintOf(other) !== one);
  }
});

Deno.test("kernelHashes() names every kernel with its constants, in an order of its own", async () => {
  const kernel = (name: string, width: number) => ({ name, code: "abc", constants: { width } });
  const list = [kernel("softmax", 8), kernel("matmul", 4), kernel("matmul", 2)];
  const hashesOf = (kernels: typeof list) =>
    kernelHashes({ kernels: { list: () => kernels } } as unknown as Gpu);
  const hashes = await hashesOf(list);
  assertEquals(hashes, [
    { name: "matmul", constants: { width: 2 }, sha256: ABC },
    { name: "matmul", constants: { width: 4 }, sha256: ABC },
    { name: "softmax", constants: { width: 8 }, sha256: ABC },
  ]);
  assertEquals(await hashesOf(list.toReversed()), hashes);
});

Deno.test("auditState() tells what was audited on this adapter, and how nearly as it ran", () => {
  const here = { backend: "deno", adapter: "llvmpipe" };
  const kernel = { name: "glu", constants: { ACTIVATION: 0, LANES: 8 }, sha256: ABC };
  const audit = { ...here, date: "2026-11-02", holds: true, kernels: [kernel] };
  const state = (of: Partial<typeof kernel>, ...audits: Partial<typeof audit>[]) =>
    auditState({ ...kernel, ...of }, here, audits.map((one) => ({ ...audit, ...one })));
  assertEquals(state({}, {}), { state: "audited", date: "2026-11-02" });
  const older = { date: "2026-11-01" };
  assertEquals(state({}, older, {}, older), { state: "audited", date: "2026-11-02" });
  const other = { constants: { LANES: 4, ACTIVATION: 0 } };
  assertEquals(state(other, {}), { state: "other constants", date: "2026-11-02" });
  const none = { state: "not audited" as const };
  assertEquals(state({}), none);
  assertEquals(state({ sha256: "0" }, {}), none);
  for (const change of [{ holds: false }, { backend: "dawn" }, { adapter: "SwiftShader" }]) {
    assertEquals(state({}, change), none);
  }
});
