/**
 * Subgroup matrices for adapters that have none: matmul_matrix.wgsl with neighbouring threads for subgroups, each of which multiplies whole
 * matrices, as all others of its subgroup do, with fma in rising k. All but the four functions that touch a matrix, and the types of
 * these, is the kernel's own code.
 */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { MatrixUnit } from "../engine/gpu/matrix_unit.ts";

/** `item(0), item(1), …` */
function list(count: number, item: (i: number) => string, separator = ", "): string {
  return Array.from({ length: count }, (_, i) => item(i)).join(separator);
}

/**
 * What stands in the kernel, and what for it. Sides are not loaded but looked up where they lie, and sums are a WGSL matrix, of N columns. The
 * loop's end is not known when it is compiled: drivers would write all loops out, and take minutes for it.
 */
function replacements(
  { m, n }: MatrixUnit,
  threads: number,
): (readonly [string | RegExp, string])[] {
  const column = `vec${m}(${list(m, (i) => `half(x_tile[(a + ${i}u * STRIDE + k) / 4u], k)`)})`;
  const product = (j: number) =>
    `fma(column, vec${m}(half(w_tile[(b + ${j}u * STRIDE + k) / 4u], k)), c[${j}])`;
  return [
    ["enable chromium_experimental_subgroup_matrix;\n", ""],
    [/diagnostic\(off, chromium.*\n/, ""],
    ["subgroup_matrix_left<f16, K, M>", "u32"],
    ["subgroup_matrix_right<f16, N, K>", "u32"],
    ["subgroup_matrix_result<f32, N, M>", `mat${n}x${m}<f32>`],
    [", @builtin(subgroup_id) own: u32", ""],
    ["subgroup = own;", `subgroup = lane / ${threads}u;`],
    [/fn left\(.*\n/, "fn left(at: u32) -> Left { return at; }\n"],
    [/fn right\(.*\n/, "fn right(at: u32) -> Right { return at; }\n"],
    [
      /fn multiply\(.*\n/,
      `fn half(four: vec4<f16>, k: u32) -> f32 { return f32(four[k % 4u]); }
fn multiply(a: Left, b: Right, sums: Sums) -> Sums {
  var c = sums;
  for (var k = 0u; k < K + (p.m >> 31u); k++) {
    let column = ${column};
    c = Sums(${list(n, product)});
  }
  return c;
}
`,
    ],
    [
      /fn put_sums\(.*\n/,
      `fn put_sums(at: u32, c: Sums) {
  ${list(m * n, (i) => `sums[at + ${i}u] = c[${i % n}][${Math.floor(i / n)}];`, "\n  ")}
}
`,
    ],
  ];
}

/** @throws {Error} where the kernel no longer has what is to be replaced. */
function emulated(code: string, ...how: Parameters<typeof replacements>): string {
  return replacements(...how).reduce((code, [from, to]) => {
    const replaced = code.replace(from, to);
    if (replaced === code) throw new Error(`Cannot emulate subgroup matrices: no ${from}`);
    return replaced;
  }, code);
}

/** How the emulation differs from a unit that does what it says. */
export interface Differing {
  /** Threads of a subgroup, where they are fewer than it may have. */
  threads?: number;
  /** Makes the kernel wrong. */
  change?: (code: string) => string;
}

/** Gives a device, which must have f16, matrices of two to four rows and columns. */
export function emulateMatrices(
  gpu: Gpu,
  unit: MatrixUnit,
  { threads = unit.subgroup, change = (code) => code }: Differing = {},
): void {
  const { kernels } = gpu;
  const get = kernels.get.bind(kernels);
  kernels.get = (name, code, constants) => {
    const own = name === "matmul_matrix" ? change(emulated(code, unit, threads)) : code;
    return get(name, own, constants);
  };
  gpu.matrices = unit;
}
