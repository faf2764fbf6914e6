/** Kernels whose sums may be in any order: the engine's own, changed in nothing else. */

/** A way to sum that depends on more than the length. */
export interface FreeOrder {
  name: string;
  /** The kernel with that order. */
  of(code: string): string;
}

/** Replaces parts of a text, each of which must be there once. */
function changed(kernel: string, ...changes: [string, string][]): (code: string) => string {
  return (code) =>
    changes.reduce((text, [from, to]) => {
      if (text.split(from).length !== 2) {
        throw new Error(`Cannot free the order of ${kernel}: "${from}" is not there once`);
      }
      return text.replace(from, () => to);
    }, code);
}

const oneAccumulator = (kernel: string): FreeOrder => ({
  name: "one accumulator, no chunks",
  of: changed(kernel, ["const CHUNK = 64u;", "const CHUNK = 0x40000000u;"]),
});

const chunksOf = (kernel: string, size: number): FreeOrder => ({
  name: `chunks of ${size}`,
  of: changed(kernel, ["const CHUNK = 64u;", `const CHUNK = ${size}u;`]),
});

const free = Deno.readTextFileSync(new URL("rmsnorm.wgsl", import.meta.url));

/** The exponentials of a chunk of keys: four sums that do not wait for one another. */
const FOUR_PARTS: [string, string][] = [
  ["var<private> part: vec4<f32>;", "var<private> part: array<vec4<f32>, 4>;"],
  [
    "part = select(part, part + e, seen(i));",
    "part[i % 4u] = select(part[i % 4u], part[i % 4u] + e, seen(i));",
  ],
  ["part = vec4<f32>();", "part = array<vec4<f32>, 4>();"],
  ["fma(total, shrink, part)", "fma(total, shrink, (part[0] + part[1]) + (part[2] + part[3]))"],
];

/** The weighted values: those of even and those of odd keys. */
const TWO_SUMS: [string, string][] = [
  ["var<private> sums: mat4x4<f32>;", "var<private> both: array<mat4x4<f32>, 2>;"],
  [
    "  sums = mat4x4(select(fma(e.xxxx, b, sums[0])",
    "  let sums = both[i % 2u];\n  both[i % 2u] = mat4x4(select(fma(e.xxxx, b, sums[0])",
  ],
  ["      sums = mat4x4<f32>();", "      var sums = mat4x4<f32>();"],
  [
    "      weigh16(0u, d); weigh16(16u, d);",
    "      both = array<mat4x4<f32>, 2>(sums, mat4x4<f32>());\n      weigh16(0u, d); weigh16(16u, d);",
  ],
  ["      let whole = select", "      sums = both[0] + both[1];\n      let whole = select"],
];

/** By the name of the kernel. */
export const FREE_ORDERS: Record<string, FreeOrder[]> = {
  matmul: [oneAccumulator("matmul"), chunksOf("matmul", 256)],
  matmul_blocked: [oneAccumulator("matmul_blocked"), chunksOf("matmul_blocked", 256)],
  matmul_texel: [oneAccumulator("matmul_texel"), chunksOf("matmul_texel", 256)],
  // Its chunks are what its groups of threads share out: there is no kernel with one of them.
  matmul_split: [chunksOf("matmul_split", 256)],
  matmul_staged: [oneAccumulator("matmul_staged"), chunksOf("matmul_staged", 256)],
  matmul_tiled: [oneAccumulator("matmul_tiled"), chunksOf("matmul_tiled", 256)],
  attention_texel: [
    { name: "four sums of exponentials", of: changed("attention_texel", ...FOUR_PARTS) },
    {
      name: "four sums of exponentials, two of values",
      of: changed("attention_texel", ...FOUR_PARTS, ...TWO_SUMS),
    },
  ],
  rmsnorm_vec4: [
    { name: "a vec4 of accumulators", of: () => free },
    {
      name: "one accumulator, no chunks",
      of: changed("rmsnorm_vec4", ["const CHUNK4 = 16u;", "const CHUNK4 = 0x10000000u;"]),
    },
  ],
};
