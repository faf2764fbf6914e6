// Matrix product of activations with stored weights, without workgroup memory: the variant for software adapters where there are
// few rows, or no room for textures (matmul_texel.wgsl). All variants give its bits.
//
//   y[m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32, in a buffer of a multiple of 16 bytes
// w    [n, w_stride] f32, f16 or bf16 as stored, two 16-bit values in a u32; w_stride ≥ k, a multiple of 8, zeros past k.
//      It may be a window of rows of a larger matrix: first_column says which of y's columns are its own.
// y    [m, ldy] f32
// Sums:  chunks of 64 k's, each from 0 with fma in rising k, then the chunks in order from 0, whatever m, ROWS or variant.
//        The zeros that fill up the last four k's change no sum (an acc of −0 becomes +0, which no total can show).
// Error: |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, γ(j) = ju/(1 − ju), u = 2^-24: a product passes at most 64 fmas and
//        ⌈k/64⌉ additions, and as many roundings where fma is not fused (the first sum is with 0). accumulate rounds
//        the product by scale and the sum.
//
// A thread computes ROWS × 16 outputs; threads run over the columns, then the rows, eight to a workgroup, so that narrow
// matrices leave no lane idle. A mat4x4 is 16 columns of one row of outputs, or four k's by four columns of weights.

const CHUNK = 64u;
override ROWS: u32 = 8u; // 1, 2, 4, 8 or 16
override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16
override ALIGNED: bool = false; // set it where k is a multiple of 4: half the loads of x

struct Params {
  m: u32, n: u32, k: u32,
  w_stride: u32, ldy: u32, first_column: u32, // in elements
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

// x[row, k … k + 3], zeros past the row's end. Rows past m repeat the last one; they are not stored.
fn activations(row: u32, k: u32) -> vec4<f32> {
  let i = min(row, p.m - 1u) * p.k + k;
  let low = x[i / 4u];
  if (ALIGNED) { return low; }
  let high = x[i / 4u + 1u];
  var v = select(low, vec4(low.yzw, high.x), i % 4u == 1u);
  v = select(v, vec4(low.zw, high.xy), i % 4u == 2u);
  v = select(v, vec4(low.w, high.xyz), i % 4u == 3u);
  return select(vec4<f32>(), v, vec4(k, k + 1u, k + 2u, k + 3u) < vec4(p.k));
}

// w[column, k … k + 3] as f32, exactly.
fn weights(column: u32, k: u32) -> vec4<f32> {
  let i = min(column, p.n - 1u) * p.w_stride + k;
  if (WEIGHT_DTYPE == 0u) { return bitcast<vec4<f32>>(vec4(w[i / 2u], w[i / 2u + 1u])); }
  let u = w[i / 4u];
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
  let i = row * p.ldy + p.first_column + column;
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
  var total = array<mat4x4<f32>, 16>();
  for (var start = 0u; start < p.k; start += CHUNK) {
    var acc = array<mat4x4<f32>, 16>();
    for (var k = start; k < min(start + CHUNK, p.k); k += 4u) {
      b = array(block(column, k), block(column + 4u, k), block(column + 8u, k), block(column + 12u, k));
      acc[0] = row_step(activations(row, k), acc[0]);
      if (ROWS > 1u) { acc[1] = row_step(activations(row + 1u, k), acc[1]); }
      if (ROWS > 2u) { acc[2] = row_step(activations(row + 2u, k), acc[2]); acc[3] = row_step(activations(row + 3u, k), acc[3]); }
      if (ROWS > 4u) {
        acc[4] = row_step(activations(row + 4u, k), acc[4]); acc[5] = row_step(activations(row + 5u, k), acc[5]);
        acc[6] = row_step(activations(row + 6u, k), acc[6]); acc[7] = row_step(activations(row + 7u, k), acc[7]);
      }
      if (ROWS > 8u) {
        acc[8] = row_step(activations(row + 8u, k), acc[8]); acc[9] = row_step(activations(row + 9u, k), acc[9]);
        acc[10] = row_step(activations(row + 10u, k), acc[10]); acc[11] = row_step(activations(row + 11u, k), acc[11]);
        acc[12] = row_step(activations(row + 12u, k), acc[12]); acc[13] = row_step(activations(row + 13u, k), acc[13]);
        acc[14] = row_step(activations(row + 14u, k), acc[14]); acc[15] = row_step(activations(row + 15u, k), acc[15]);
      }
    }
    total[0] += acc[0];
    if (ROWS > 1u) { total[1] += acc[1]; }
    if (ROWS > 2u) { total[2] += acc[2]; total[3] += acc[3]; }
    if (ROWS > 4u) { total[4] += acc[4]; total[5] += acc[5]; total[6] += acc[6]; total[7] += acc[7]; }
    if (ROWS > 8u) {
      total[8] += acc[8]; total[9] += acc[9]; total[10] += acc[10]; total[11] += acc[11];
      total[12] += acc[12]; total[13] += acc[13]; total[14] += acc[14]; total[15] += acc[15];
    }
  }
  put_row(row, column, total[0]);
  if (ROWS > 1u) { put_row(row + 1u, column, total[1]); }
  if (ROWS > 2u) { put_row(row + 2u, column, total[2]); put_row(row + 3u, column, total[3]); }
  if (ROWS > 4u) {
    put_row(row + 4u, column, total[4]); put_row(row + 5u, column, total[5]);
    put_row(row + 6u, column, total[6]); put_row(row + 7u, column, total[7]);
  }
  if (ROWS > 8u) {
    put_row(row + 8u, column, total[8]); put_row(row + 9u, column, total[9]);
    put_row(row + 10u, column, total[10]); put_row(row + 11u, column, total[11]);
    put_row(row + 12u, column, total[12]); put_row(row + 13u, column, total[13]);
    put_row(row + 14u, column, total[14]); put_row(row + 15u, column, total[15]);
  }
}
