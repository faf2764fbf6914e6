import {
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import addCode from "../../shaders/add.wgsl" with { type: "text" };
import editCode from "../../shaders/edit.wgsl" with { type: "text" };
import { DeviceError } from "../errors.ts";
import { Gpu } from "./gpu.ts";
import { withConstants } from "./kernel.ts";

Deno.test("a specialisation is compiled once", async () => {
  using gpu = await Gpu.open();
  const kernel = gpu.kernels.get("edit", editCode, { MODE: 0 });
  assertStrictEquals(gpu.kernels.get("edit", editCode, { MODE: 0 }), kernel);
  const other = gpu.kernels.get("edit", editCode, { MODE: 1 });
  assertNotStrictEquals(other, kernel);
  assertNotStrictEquals(other.id, kernel.id);
  gpu.kernels.get("add", addCode);
  assertEquals(gpu.kernels.list().map(({ name }) => name), ["edit", "edit", "add"]);
  await Promise.all(gpu.kernels.list().map(({ pipeline }) => pipeline));
  gpu.check();
});

Deno.test("a shader that does not compile is named, with the line", async () => {
  const lines = addCode.split("\n");
  const line = lines.findIndex((text) => text.includes("x[i] = x[i] + y[i];")) + 1;
  const broken = addCode.replace("x[i] + y[i];", "x[i] + nonsense[i];");
  using gpu = await Gpu.open();
  const { pipeline } = gpu.kernels.get("broken_add", broken);
  const error = await assertRejects(() => pipeline, DeviceError);
  assertMatch(error.message, /^Cannot compile kernel "broken_add" on this adapter: /);
  assertMatch(error.message, new RegExp(`line ${line}\\b[^]*nonsense`));
});

Deno.test("a constant that the shader does not have is refused", async () => {
  using gpu = await Gpu.open();
  const { pipeline } = gpu.kernels.get("add", addCode, { LANES: 8 });
  await assertRejects(() => pipeline, DeviceError, 'Cannot compile kernel "add"');
});

Deno.test("values of consts are written into the source, others are left for overrides", async () => {
  const source =
    "const A = 1u; const AB = 2u; // const A = 1u;\nconst B = 3u;\noverride C: u32 = 4u;";
  assertEquals(withConstants(source, { B: 30, A: 10, C: 40 }), {
    code: "const A = 10u; const AB = 2u; // const A = 1u;\nconst B = 30u;\noverride C: u32 = 4u;",
    overrides: { C: 40 },
  });
  const broken = addCode.replace("@group", "const SIZE = 1u;\nconst_assert SIZE == 2u;\n@group");
  using gpu = await Gpu.open();
  await assertRejects(() => gpu.kernels.get("odd", broken, { SIZE: 3 }).pipeline, DeviceError);
  await gpu.kernels.get("even", broken, { SIZE: 2 }).pipeline;
  assertEquals(gpu.kernels.list().map(({ code }) => code), [broken, broken]);
});
