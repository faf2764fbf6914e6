/** The matrix units of a GPU, as far as an adapter has subgroup matrices: an experiment of Dawn's, of which @webgpu/types knows nothing. */

/** The feature's name. */
export const MATRICES = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** Matrices of f16 that a subgroup multiplies at once, adding to sums of f32: `[m, k] · [k, n]`. */
export interface MatrixUnit {
  m: number;
  n: number;
  k: number;
  /** The most threads that a subgroup has: workgroups have to be a multiple of it. */
  subgroup: number;
}

/** What an adapter tells of one kind. */
interface Config {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** What is read of an adapter. */
export interface MatrixAdapter {
  info: {
    device?: string;
    subgroupMaxSize?: number;
    subgroupMatrixConfigs?: Iterable<Config>;
  };
  limits: Pick<
    GPUSupportedLimits,
    "maxComputeInvocationsPerWorkgroup" | "maxComputeWorkgroupStorageSize"
  >;
}

/** The sides of matrices that matmul_matrix.wgsl takes … */
const SIDES = [8, 16];
/** … and what a workgroup of it needs with the largest: subgroups, and bytes of workgroup memory. */
export const MATRIX_NEEDS = { subgroups: 8, bytes: 28 << 10 };

/** Of the kinds that an adapter has, the largest that matmul_matrix.wgsl can take; `undefined` where there is none. */
export function matrixUnit({ info, limits }: MatrixAdapter): MatrixUnit | undefined {
  const { device = "", subgroupMaxSize: subgroup = 0, subgroupMatrixConfigs = [] } = info;
  // Mesa 26.1's ends the process over a matrix where vectors of 512 bits make subgroups of sixteen threads.
  if (/llvmpipe/.test(device) && subgroup > 8) return undefined;
  const threads = MATRIX_NEEDS.subgroups * subgroup;
  const fits = threads > 0 && threads <= limits.maxComputeInvocationsPerWorkgroup &&
    MATRIX_NEEDS.bytes <= limits.maxComputeWorkgroupStorageSize;
  const found = [...subgroupMatrixConfigs]
    .filter((one) => one.componentType === "f16" && one.resultComponentType === "f32")
    .filter(({ M, N, K }) => fits && [M, N, K].every((side) => SIDES.includes(side)))
    .toSorted((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  return found.map(({ M: m, N: n, K: k }) => ({ m, n, k, subgroup })).at(0);
}
