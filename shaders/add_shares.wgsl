// What adapters (Hu et al. 2021) add to products of one input, and what becomes of the sums: for the few rows of decoding.
//
//   y[m, n] = x[m, n] + scale[p] · Σ_r low[m, first[p] + r] · b_p[n − start, r]      p: the matrix of column n, whose first is start
//   FORM 0:    x[m, n] ← y[m, n]
//   FORM 1:    out[m, n] ← out[m, n] + y[m, n]
//   FORM 2, 3: out[m, j] = act(y[m, j]) · y[m, n0 + j], act silu (2) or gelu_tanh (3): see glu.wgsl; n1 = n0, n2 = 0
//
// x [m, n0 + n1 + n2] f32, products of up to three matrices side by side; low [m, low_width] f32, what the factors A make of their
// input; b0 [n0, rank0], b1 [n1, rank1], b2 [n2, rank2] f32, f16 or bf16 as stored. Ranks, first and low_width are multiples of 8;
// where the rank is 0 there is no adapter, and the columns of the matrix stay as they are.
// out [m, n0 + n1 + n2] f32 with FORM 1, [m, n0] with FORM 2 and 3
// Sums:  those of matmul.wgsl: chunks of 64 r's, each from 0 with fma in rising r, then the chunks in order from 0; the share is
//        added with fma. The same bits as step by step.
// Error: of the share γ(64 + ⌈rank/64⌉)·scale·Σ|low||b|, u = 2^-24, and two roundings, of its product with scale and of the sum; one
//        more with FORM 1; with FORM 2, 3 the errors of gate and up through glu.wgsl, and its own.
//
// A thread takes an element of the result. The products are there already: one dispatch makes them with the norm before, another low.

override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16
override FORM: u32;

const CHUNK = 64u;
const C1 = 1.5957691216057308; // glu.wgsl
const C3 = 0.07135481627260025;

struct Params {
  n: vec3<u32>,
  m: u32,
  rank: vec3<u32>,
  low_width: u32,
  first: vec4<u32>, // the last is not used
  scale: vec4<f32>, // likewise
}

@group(0) @binding(0) var<storage, read> low: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b0: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> b1: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> b2: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

fn load(part: u32, i: u32) -> vec4<u32> {
  if (part == 0u) { return b0[i]; }
  if (part == 1u) { return b1[i]; }
  return b2[i];
}

// Two pairs as f32, exactly.
fn two(u: vec2<u32>) -> vec4<f32> {
  if (WEIGHT_DTYPE == 1u) { return vec4(unpack2x16float(u.x), unpack2x16float(u.y)); }
  return bitcast<vec4<f32>>(vec4(u.x << 16u, u.x & 0xffff0000u, u.y << 16u, u.y & 0xffff0000u));
}

fn dot4(a: vec4<f32>, v: vec4<f32>, acc: f32) -> f32 {
  return fma(a.w, v.w, fma(a.z, v.z, fma(a.y, v.y, fma(a.x, v.x, acc))));
}

// Eight terms more: of low from the i-th vec4 on, and of the part's elements from `at` on.
fn dot8(part: u32, i: u32, at: u32, acc: f32) -> f32 {
  if (WEIGHT_DTYPE == 0u) {
    let near = dot4(low[i], bitcast<vec4<f32>>(load(part, at / 4u)), acc);
    return dot4(low[i + 1u], bitcast<vec4<f32>>(load(part, at / 4u + 1u)), near);
  }
  let u = load(part, at / 8u);
  return dot4(low[i + 1u], two(u.zw), dot4(low[i], two(u.xy), acc));
}

// y[row, column].
fn adapted(row: u32, column: u32) -> f32 {
  let part = select(select(2u, 1u, column < p.n.x + p.n.y), 0u, column < p.n.x);
  let product = x[row * (p.n.x + p.n.y + p.n.z) + column];
  let rank = p.rank[part];
  if (rank == 0u) { return product; } // a sum with 0 would make a zero of −0
  let b_row = column - select(select(p.n.x + p.n.y, p.n.x, part == 1u), 0u, part == 0u);
  let low_start = row * p.low_width + p.first[part];
  var total = 0.0;
  for (var start = 0u; start < rank; start += CHUNK) {
    var acc = 0.0;
    for (var r = start; r < min(start + CHUNK, rank); r += 8u) {
      acc = dot8(part, (low_start + r) / 4u, b_row * rank + r, acc);
    }
    total += acc;
  }
  return fma(p.scale[part], total, product);
}

fn act(gate: f32) -> f32 {
  if (FORM == 2u) {
    let a = select(gate, -80.0, gate < -80.0);
    return a / (1.0 + exp(-a));
  }
  let a = select(gate, -9.7, gate < -9.7);
  let b = select(a, 9.7, a > 9.7);
  return a / (1.0 + exp(-b * fma(C3, b * b, C1)));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let width = select(p.n.x + p.n.y + p.n.z, p.n.x, FORM >= 2u);
  if (i >= p.m * width) { return; }
  let row = i / width;
  let y = adapted(row, i % width);
  if (FORM == 0u) { x[i] = y; }
  if (FORM == 1u) { out[i] = out[i] + y; }
  if (FORM >= 2u) { out[i] = act(y) * adapted(row, p.n.x + i % width); }
}
