// Matrix product of activations with stored weights, both read as texels: the fast variant for software adapters. There
// a load is a loop over the lanes, and one of a texel brings 16 bytes a lane for a third of what it costs from a buffer.
// The host copies both sides into textures before, byte by byte (see engine/ops/matmul.ts).
//
//   y[first_row + m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                                      = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32, k a multiple of 8; w [n, w_stride] f32, f16 or bf16 as stored, w_stride = k: both in rows of 1024 texels
// y    [·, ldy] f32
// Sums and error: those of matmul.wgsl, and the same bits: chunks of 64 k's, each from 0 with fma in rising k, then the
//        chunks in order from 0; |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, u = 2^-24; accumulate rounds product and sum.
//
// A thread computes 8 × 16 outputs; threads run over the columns, then the rows, eight to a workgroup. A mat4x4 is 16
// columns of one row of outputs, or four k's by four columns of weights.

const CHUNK = 64u;
override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16

struct Params {
  m: u32, n: u32, k: u32,
  ldy: u32, first_row: u32, first_column: u32,
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var w: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

struct Eight { low: vec4<f32>, high: vec4<f32> } // k … k + 3 and k + 4 … k + 7
struct Block { low: mat4x4<f32>, high: mat4x4<f32> }

fn x_texel(i: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(textureLoad(x, vec2(i % 1024u, i / 1024u)));
}

fn w_texel(i: u32) -> vec4<u32> {
  return textureLoad(w, vec2(i % 1024u, i / 1024u));
}

fn bf16(u: u32) -> vec2<f32> {
  return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u));
}

// w[column, k … k + 7] as f32, exactly.
fn weights(column: u32, k: u32) -> Eight {
  let i = min(column, p.n - 1u) * p.k + k;
  if (WEIGHT_DTYPE == 0u) {
    return Eight(bitcast<vec4<f32>>(w_texel(i / 4u)), bitcast<vec4<f32>>(w_texel(i / 4u + 1u)));
  }
  let u = w_texel(i / 8u);
  if (WEIGHT_DTYPE == 1u) {
    return Eight(vec4(unpack2x16float(u.x), unpack2x16float(u.y)), vec4(unpack2x16float(u.z), unpack2x16float(u.w)));
  }
  return Eight(vec4(bf16(u.x), bf16(u.y)), vec4(bf16(u.z), bf16(u.w)));
}

fn block(column: u32, k: u32) -> Block {
  let a = weights(column, k);
  let b = weights(column + 1u, k);
  let c = weights(column + 2u, k);
  let d = weights(column + 3u, k);
  return Block(transpose(mat4x4(a.low, b.low, c.low, d.low)), transpose(mat4x4(a.high, b.high, c.high, d.high)));
}

var<private> blocks: array<Block, 4>;

fn dot4(v: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
  return fma(v.wwww, b[3], fma(v.zzzz, b[2], fma(v.yyyy, b[1], fma(v.xxxx, b[0], acc))));
}

fn dot8(v: Eight, b: Block, acc: vec4<f32>) -> vec4<f32> {
  return dot4(v.high, b.high, dot4(v.low, b.low, acc));
}

// Rows past m repeat the last one; they are not stored.
fn row_step(row: u32, k: u32, acc: mat4x4<f32>) -> mat4x4<f32> {
  let i = (min(row, p.m - 1u) * p.k + k) / 4u;
  let v = Eight(x_texel(i), x_texel(i + 1u));
  return mat4x4(dot8(v, blocks[0], acc[0]), dot8(v, blocks[1], acc[1]), dot8(v, blocks[2], acc[2]), dot8(v, blocks[3], acc[3]));
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

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = (group.y * groups.x + group.x) * 16u + lane;
  let across = (p.n + 15u) / 16u;
  let row = id / across * 8u;
  let column = id % across * 16u;
  var total = array<mat4x4<f32>, 8>();
  for (var start = 0u; start < p.k; start += CHUNK) {
    var acc = array<mat4x4<f32>, 8>();
    for (var k = start; k < min(start + CHUNK, p.k); k += 8u) {
      blocks = array(block(column, k), block(column + 4u, k), block(column + 8u, k), block(column + 12u, k));
      acc[0] = row_step(row, k, acc[0]);
      acc[1] = row_step(row + 1u, k, acc[1]);
      acc[2] = row_step(row + 2u, k, acc[2]);
      acc[3] = row_step(row + 3u, k, acc[3]);
      acc[4] = row_step(row + 4u, k, acc[4]);
      acc[5] = row_step(row + 5u, k, acc[5]);
      acc[6] = row_step(row + 6u, k, acc[6]);
      acc[7] = row_step(row + 7u, k, acc[7]);
    }
    total[0] += acc[0]; total[1] += acc[1]; total[2] += acc[2]; total[3] += acc[3];
    total[4] += acc[4]; total[5] += acc[5]; total[6] += acc[6]; total[7] += acc[7];
  }
  put_row(row, column, total[0]);
  put_row(row + 1u, column, total[1]);
  put_row(row + 2u, column, total[2]);
  put_row(row + 3u, column, total[3]);
  put_row(row + 4u, column, total[4]);
  put_row(row + 5u, column, total[5]);
  put_row(row + 6u, column, total[6]);
  put_row(row + 7u, column, total[7]);
}
