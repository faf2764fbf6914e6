import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../errors.ts";
import { DEVICE_PROFILES } from "../gpu/profile.ts";
import { foldGrid } from "../gpu/recorder.ts";
import { Tuning } from "../gpu/tuning.ts";
import { CHUNK, KEY_CHUNK, longRowLanes, MAX_PARTIALS, MOST_TURNS, rowBlock } from "./grid.ts";

const shaders = new URL("../../shaders/", import.meta.url);
const expected: Record<string, number> = {
  CHUNK,
  CHUNK4: CHUNK / 4,
  KEYS: KEY_CHUNK,
};

Deno.test("every shader has the chunk sizes of grid.ts", () => {
  const holders: string[] = [];
  for (const { name } of Deno.readDirSync(shaders)) {
    const code = Deno.readTextFileSync(new URL(name, shaders));
    for (const [, constant, value] of code.matchAll(/^const (\w+) = (\d+)u;/gm)) {
      if (!(constant in expected)) continue;
      assertEquals(Number(value), expected[constant], `${constant} of ${name}`);
      holders.push(`${name} ${constant}`);
    }
  }
  assertEquals(holders.sort(), [
    "add_shares.wgsl CHUNK",
    "attention.wgsl CHUNK4",
    "attention.wgsl KEYS",
    "attention_texel.wgsl CHUNK4",
    "attention_texel.wgsl KEYS",
    "attention_workgroup.wgsl CHUNK4",
    "attention_workgroup.wgsl KEYS",
    "matmul.wgsl CHUNK",
    "matmul_blocked.wgsl CHUNK",
    "matmul_half.wgsl CHUNK",
    "matmul_split.wgsl CHUNK",
    "matmul_staged.wgsl CHUNK",
    "matmul_texel.wgsl CHUNK",
    "matmul_tiled.wgsl CHUNK",
    "matvec.wgsl CHUNK",
    "matvec_fused.wgsl CHUNK",
    "matvec_subgroup.wgsl CHUNK",
    "project.wgsl CHUNK",
    "rmsnorm.wgsl CHUNK",
    "rmsnorm_vec4.wgsl CHUNK4",
    "row_norm.wgsl CHUNK",
    "row_norm_vec4.wgsl CHUNK4",
  ]);
});

Deno.test("the partial sums of a workgroup's rows fit, and too wide a row is refused", () => {
  for (const profile of DEVICE_PROFILES) {
    const gpu = { profile, tuning: Tuning.none };
    for (const width of [1, 64, 65, 768, 5120, 16384, 16385, 65536, 131072]) {
      const { ROWS, LANES, PARTIALS } = rowBlock(gpu, width);
      assert(ROWS >= 1 && PARTIALS <= MAX_PARTIALS, `width ${width}`);
      const used = ROWS * Math.ceil(width / CHUNK);
      assert(PARTIALS >= used && PARTIALS < 2 * used, `width ${width}`);
      assert(ROWS * LANES <= 256, "the least that an adapter allows");
    }
    assertThrows(
      () => rowBlock(gpu, 131073),
      UsageError,
      "Cannot reduce rows of 131073 values: the kernels take at most 131072",
    );
    for (const turns of [1, 1e5, 1e6, 16 * 262_144]) {
      const { LANES } = longRowLanes(gpu, turns);
      assert(LANES >= 8 && LANES <= 256 && turns / LANES <= MOST_TURNS, `${turns} turns`);
    }
  }
});

Deno.test("foldGrid covers every workgroup within the limits of a dimension", () => {
  for (const count of [0, 1, 65535, 65536, 70_000, 131_070, 131_071, 10_000_019]) {
    const [x, y, z] = foldGrid(count);
    assert(x <= 65535 && y <= 65535 && z === 1, `${count}: ${x} × ${y}`);
    assert(x * y >= count && x * y < count + y, `${count}: ${x} × ${y}`);
  }
});
