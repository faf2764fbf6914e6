// Matrix product of activations with stored weights, both rounded to f16: fast mode's kernel where there are no subgroup matrices
// (matmul_matrix.wgsl). Tiles in workgroup memory take half the room and half the loads of matmul_tiled.wgsl; all sums are f32.
//
//   y[m, first_column + n] = Σ_k x̂[m, k] · ŵ[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//   x̂[m, k] = f16(s[m] · x[m, k]) / s[m], and ŵ so too; s are the powers of two of row_scale.wgsl
//
// x    [m, k] f32, x_scale [m]; w [n, w_stride] f32, f16 or bf16 as stored, w_stride ≥ k, a multiple of 8, zeros past k; w_scale [n]
// y    [m, ldy] f32
// Sums:  those of matmul.wgsl on the scaled numbers: chunks of 64 k's, each from 0 with fma in rising k, then the chunks in order
//        from 0. Products of two f16 are exact in f32, and no sum of them overflows: each is under 2^30.
// Error: |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x̂||ŵ| + Σ(δx|w| + |x|δw + δx·δw), where rounding to f16 (to nearest or not, denormal
//        numbers kept or not) is off by δx ≤ 2^-10·|x| + 2^-28·max|x| of the row + 2^-140, and δw so too. Of bf16 only what is under 2^-32 of its
//        row's largest is rounded at all, of f16 nothing over 2^-29 of it.
//
// A workgroup of TR × TC threads computes a tile of 4·TR rows and 4·TC columns, 4 × 4 outputs a thread; few rows take TR 1. 32 k's
// of x and of w lie in workgroup memory, k-major and in vec4s of four rows, as in matmul_tiled.wgsl.

enable f16;

const CHUNK = 64u;
const TILE_K = 32u;

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16
override TR: u32 = 16u; // powers of 2; TR · TC ≥ 32
override TC: u32 = 16u;

struct Params {
  m: u32,
  n: u32,
  k: u32,
  w_stride: u32, // in elements
  ldy: u32,
  first_column: u32,
  accumulate: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> x_scale: array<f32>;
@group(0) @binding(4) var<storage, read> w_scale: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> x_tile: array<vec4<f16>, TILE_K * TR>;
var<workgroup> w_tile: array<vec4<f16>, TILE_K * TC>;

fn slot(k: u32, g: u32, width: u32) -> u32 {
  return k * width + (g ^ (k % width));
}

// s · x[row, k], zero past the row's end. Rows past m repeat the last one; they are not stored.
fn activation(row: u32, k: u32) -> f32 {
  if (k >= p.k) { return 0.0; }
  let r = min(row, p.m - 1u);
  return x_scale[r] * x[r * p.k + k];
}

// s · w[column, k] and s · w[column, k + 1], k even; zeros past k.
fn weights(column: u32, k: u32) -> vec2<f32> {
  if (k >= p.k) { return vec2<f32>(); }
  let c = min(column, p.n - 1u);
  let i = c * p.w_stride + k;
  let s = w_scale[c];
  if (WEIGHT_DTYPE == 0u) { return s * bitcast<vec2<f32>>(vec2(w[i], w[i + 1u])); }
  let u = w[i / 2u];
  if (WEIGHT_DTYPE == 1u) { return s * unpack2x16float(u); }
  return s * bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u));
}

// Fills both tiles: neighbouring threads load neighbouring k's of one row.
fn load_tiles(row: u32, column: u32, start: u32, thread: u32) {
  let k = thread % TILE_K;
  for (var g = thread / TILE_K; g < TR; g += TR * TC / TILE_K) {
    let r = row + g * 4u;
    x_tile[slot(k, g, TR)] = vec4<f16>(vec4(activation(r, start + k), activation(r + 1u, start + k),
      activation(r + 2u, start + k), activation(r + 3u, start + k)));
  }
  let even = thread % 16u * 2u;
  for (var g = thread / 16u; g < TC; g += TR * TC / 16u) {
    let c = column + g * 4u;
    let a = weights(c, start + even);
    let b = weights(c + 1u, start + even);
    let d = weights(c + 2u, start + even);
    let e = weights(c + 3u, start + even);
    w_tile[slot(even, g, TC)] = vec4<f16>(vec4(a.x, b.x, d.x, e.x));
    w_tile[slot(even + 1u, g, TC)] = vec4<f16>(vec4(a.y, b.y, d.y, e.y));
  }
}

// 1 / s, exactly.
fn inverse(s: f32) -> f32 {
  return bitcast<f32>(0x7f000000u - bitcast<u32>(s));
}

fn put(row: u32, column: u32, total: f32) {
  if (row >= p.m || column >= p.n) { return; }
  let i = row * p.ldy + p.first_column + column;
  let dot = total * inverse(x_scale[row]) * inverse(w_scale[column]);
  if (p.accumulate == 1u) { y[i] = fma(p.scale, dot, y[i]); } else { y[i] = dot; }
}

fn put_row(row: u32, column: u32, total: vec4<f32>) {
  put(row, column, total.x);
  put(row, column + 1u, total.y);
  put(row, column + 2u, total.z);
  put(row, column + 3u, total.w);
}

@compute @workgroup_size(TR * TC)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let id = group.y * groups.x + group.x;
  let across = (p.n + 4u * TC - 1u) / (4u * TC);
  let row = id / across * 4u * TR;
  let column = id % across * 4u * TC;
  if (row >= p.m) { return; } // the same for the whole workgroup
  let r = thread / TC;
  let c = thread % TC;
  var total = mat4x4<f32>(); // [i]: row i's four columns
  var acc = mat4x4<f32>();
  for (var start = 0u; start < p.k; start += TILE_K) {
    load_tiles(row, column, start, thread);
    workgroupBarrier();
    for (var k = 0u; k < TILE_K; k++) {
      let a = vec4<f32>(x_tile[slot(k, r, TR)]);
      let b = vec4<f32>(w_tile[slot(k, c, TC)]);
      acc = mat4x4(fma(a.xxxx, b, acc[0]), fma(a.yyyy, b, acc[1]), fma(a.zzzz, b, acc[2]), fma(a.wwww, b, acc[3]));
    }
    if ((start + TILE_K) % CHUNK == 0u || start + TILE_K >= p.k) {
      total += acc;
      acc = mat4x4<f32>();
    }
    workgroupBarrier();
  }
  put_row(row + r * 4u, column + c * 4u, total[0]);
  put_row(row + r * 4u + 1u, column + c * 4u, total[1]);
  put_row(row + r * 4u + 2u, column + c * 4u, total[2]);
  put_row(row + r * 4u + 3u, column + c * 4u, total[3]);
}
