// Matrix product of activations with stored weights, both read through uniform bindings: the fast variant for software
// adapters, where a load from a storage buffer is a loop over the lanes and one from a uniform buffer a gather.
// A binding holds 64 KiB, so the host calls it for a window of rows of x and a window of rows of w at a time.
//
//   y[first_row + m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                                      = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32 from element x_first on, k and x_first multiples of 4
// w    [n, w_stride] f32, f16 or bf16 as stored, from element w_first on; w_stride ≥ k and w_first multiples of 8, zeros past k
// y    [·, ldy] f32
// Sums and error: those of matmul.wgsl, and the same bits: chunks of 64 k's, each from 0 with fma in rising k, then the
//        chunks in order from 0; |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, u = 2^-24; accumulate rounds product and sum.
//
// A thread computes ROWS × 16 outputs; threads run over the columns, then the rows, eight to a workgroup. A mat4x4 is 16
// columns of one row of outputs, or four k's by four columns of weights.

const CHUNK = 64u;
const ROWS = 8u; // unrolled: indexing registers by a variable is slow
override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16

struct Params {
  m: u32, n: u32, k: u32,
  w_stride: u32, ldy: u32, first_row: u32, first_column: u32, x_first: u32, w_first: u32, // in elements
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<uniform> x: array<vec4<f32>, 4096>;
@group(0) @binding(1) var<uniform> w: array<vec4<u32>, 4096>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

// x[row, k … k + 3]. Rows past m repeat the last one; they are not stored.
fn activations(row: u32, k: u32) -> vec4<f32> {
  return x[(p.x_first + min(row, p.m - 1u) * p.k + k) / 4u];
}

// w[column, k … k + 3] as f32, exactly.
fn weights(column: u32, k: u32) -> vec4<f32> {
  let i = p.w_first + min(column, p.n - 1u) * p.w_stride + k;
  if (WEIGHT_DTYPE == 0u) { return bitcast<vec4<f32>>(w[i / 4u]); }
  let eight = w[i / 8u];
  let u = select(eight.xy, eight.zw, (i & 4u) != 0u);
  if (WEIGHT_DTYPE == 1u) { return vec4(unpack2x16float(u.x), unpack2x16float(u.y)); }
  return bitcast<vec4<f32>>(vec4(u.x << 16u, u.x & 0xffff0000u, u.y << 16u, u.y & 0xffff0000u));
}

fn block(column: u32, k: u32) -> mat4x4<f32> {
  return transpose(mat4x4(weights(column, k), weights(column + 1u, k), weights(column + 2u, k), weights(column + 3u, k)));
}

fn dot4(v: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
  return fma(v.wwww, b[3], fma(v.zzzz, b[2], fma(v.yyyy, b[1], fma(v.xxxx, b[0], acc))));
}

var<private> b: array<mat4x4<f32>, 4>;

fn row_step(v: vec4<f32>, acc: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4(dot4(v, b[0], acc[0]), dot4(v, b[1], acc[1]), dot4(v, b[2], acc[2]), dot4(v, b[3], acc[3]));
}

fn put(row: u32, column: u32, dot: vec4<f32>) {
  let i = (p.first_row + row) * p.ldy + p.first_column + column;
  var v = dot;
  if (p.accumulate == 1u) { v = fma(vec4(p.scale), v, vec4(y[i], y[i + 1u], y[i + 2u], y[i + 3u])); }
  if (column < p.n) { y[i] = v.x; }
  if (column + 1u < p.n) { y[i + 1u] = v.y; }
  if (column + 2u < p.n) { y[i + 2u] = v.z; }
  if (column + 3u < p.n) { y[i + 3u] = v.w; }
}

fn put_row(row: u32, column: u32, total: mat4x4<f32>) {
  if (row >= p.m) { return; }
  put(row, column, total[0]);
  put(row, column + 4u, total[1]);
  put(row, column + 8u, total[2]);
  put(row, column + 12u, total[3]);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = (group.y * groups.x + group.x) * 8u + lane;
  let across = (p.n + 15u) / 16u;
  let row = id / across * ROWS;
  let column = id % across * 16u;
  if (row >= p.m) { return; }
  var total = array<mat4x4<f32>, 8>();
  for (var start = 0u; start < p.k; start += CHUNK) {
    var acc = array<mat4x4<f32>, 8>();
    for (var k = start; k < min(start + CHUNK, p.k); k += 4u) {
      b = array(block(column, k), block(column + 4u, k), block(column + 8u, k), block(column + 12u, k));
      acc[0] = row_step(activations(row + 0u, k), acc[0]);
      acc[1] = row_step(activations(row + 1u, k), acc[1]);
      acc[2] = row_step(activations(row + 2u, k), acc[2]);
      acc[3] = row_step(activations(row + 3u, k), acc[3]);
      acc[4] = row_step(activations(row + 4u, k), acc[4]);
      acc[5] = row_step(activations(row + 5u, k), acc[5]);
      acc[6] = row_step(activations(row + 6u, k), acc[6]);
      acc[7] = row_step(activations(row + 7u, k), acc[7]);
    }
    total[0] += acc[0];
    total[1] += acc[1];
    total[2] += acc[2];
    total[3] += acc[3];
    total[4] += acc[4];
    total[5] += acc[5];
    total[6] += acc[6];
    total[7] += acc[7];
  }
  put_row(row + 0u, column, total[0]);
  put_row(row + 1u, column, total[1]);
  put_row(row + 2u, column, total[2]);
  put_row(row + 3u, column, total[3]);
  put_row(row + 4u, column, total[4]);
  put_row(row + 5u, column, total[5]);
  put_row(row + 6u, column, total[6]);
  put_row(row + 7u, column, total[7]);
}
