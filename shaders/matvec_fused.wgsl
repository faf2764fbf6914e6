// Products of one row of activations, or a few, with up to three stored matrices, and what stands before and after them in a block:
// RMSNorm, bias, residual stream, gated activation. For decoding on GPUs, as matvec.wgsl; few_rows.wgsl is the sibling for software adapters.
//
//   y[m, n] = Σ_k h[m, k] · w[n, k]     w = w0, w1, w2 one after the other; h = r, or rmsnorm(r) with NORM; r = x, or sum with JOIN
//   JOIN 1, 2: sum[m, k] = x[m, k] + rmsnorm(joined)[m, k], x[m, k] + coefficient[m] · joined[k]: see rmsnorm.wgsl, edit.wgsl
//   FORM 0, 1: out[m, n] = y[m, n] (+ bias[n] with BIAS), out[m, n] ← out[m, n] + y[m, n]
//   FORM 2, 3: out[m, j] = act(y[m, j]) · y[m, n0 + j], act silu (2) or gelu_tanh (3): see glu.wgsl; n1 = n0, n2 = 0
//
// x, sum [m, k] f32, k a multiple of 8; norm [k], bias [n] f32; joined [m, k], join_by [k], the norm's weight, or one vector [k] and [m]
// entries of edit.wgsl; each with its override only
// w0 [n0, k], w1 [n1, k], w2 [n2, k] f32, f16 or bf16 as stored; out [m, n0 + n1 + n2] f32, [m, n0] with FORM 2 and 3
// Sums:  those of rmsnorm.wgsl, and of matvec.wgsl: chunks of 64 k's, each from 0 with fma in rising k by one lane, then the chunks in
//        order from 0. The same bits as step by step, whatever ROWS and LANES.
// Error: of y γ(64 + ⌈k/64⌉)·Σ|h||w| + Σ|δh||w|, u = 2^-24, δh as in rmsnorm.wgsl, of sum as there with ADD or in edit.wgsl, which
//        then goes through the norm; FORM 0 with BIAS and 1 round the sum; FORM 2, 3: the errors of gate and up through glu.wgsl, and its own.
//
// A workgroup of 128 threads takes ROWS rows by 128 / LANES columns, laid out as in matvec.wgsl. With FORM 2 and 3 the first half of its
// columns are gates, the second the ups that they let pass, whose sums go through workgroup memory at the end. Every workgroup
// takes the norms' sums for itself: the rows come from a cache, and a dispatch of its own would take longer.

const CHUNK = 64u; const THREADS = 128u;
const C1 = 1.5957691216057308; const C3 = 0.07135481627260025; // glu.wgsl

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16
override ROWS: u32 = 1u; override LANES: u32 = 32u; // 1, 4 or 8; a power of 2, at most 32 / ROWS
override NORM: bool; override JOIN: u32; override BIAS: bool; override FORM: u32;
override PARTIALS: u32; // at least ROWS × THREADS, and with NORM ROWS × chunks

struct Params { m: u32, k: u32, n0: u32, n1: u32, n2: u32, eps: f32, zero: u32 } // zero is 0, which no compiler knows: see rmsnorm.wgsl
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>; @group(0) @binding(1) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>; @group(0) @binding(3) var<storage, read> w1: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> w2: array<vec4<u32>>; @group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>; @group(0) @binding(10) var<uniform> p: Params;
@group(0) @binding(7) var<storage, read> joined: array<vec4<f32>>; @group(0) @binding(8) var<storage, read> join_by: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> sum: array<vec4<f32>>;

var<workgroup> tile: array<vec4<f32>, ROWS * LANES * 16u>; var<workgroup> partials: array<f32, PARTIALS>;
var<workgroup> roots: array<f32, 2u * ROWS>; // of r, then of joined
var<private> acc: array<f32, 8>;
fn slot(row: u32, chunk: u32, q: u32) -> u32 { return (row * 16u + q) * LANES + (chunk ^ (q % LANES)); }
// 128 bytes of a row of w0, w1 or w2, from k on; zeros from the row's end on.
fn weights(part: u32, row: u32, k: u32) -> array<vec4<u32>, 8> {
  let per = select(8u, 4u, WEIGHT_DTYPE == 0u); let i = (row * p.k + k) / per; let left = (p.k - min(p.k, k)) / per; // in vec4s
  var u: array<vec4<u32>, 8>;
  if (part == 0u) { for (var j = 0u; j < 8u; j++) { if (j < left) { u[j] = w0[i + j]; } } }
  if (part == 1u) { for (var j = 0u; j < 8u; j++) { if (j < left) { u[j] = w1[i + j]; } } }
  if (part == 2u) { for (var j = 0u; j < 8u; j++) { if (j < left) { u[j] = w2[i + j]; } } }
  return u;
}
// Four k's of the lane's chunk: the q-th vec4 of each row, in rising k.
fn step(chunk: u32, q: u32, v: vec4<f32>) {
  for (var r = 0u; r < ROWS; r++) {
    let a = tile[slot(r, chunk, q)];
    acc[r] = fma(a.w, v.w, fma(a.z, v.z, fma(a.y, v.y, fma(a.x, v.x, acc[r]))));
  }
}
// Two pairs as f32, exactly.
fn two(u: vec2<u32>) -> vec4<f32> {
  if (WEIGHT_DTYPE == 1u) { return vec4(unpack2x16float(u.x), unpack2x16float(u.y)); }
  return bitcast<vec4<f32>>(vec4(u.x << 16u, u.x & 0xffff0000u, u.y << 16u, u.y & 0xffff0000u));
}
// Their products: of the chunk's k's from the d-th on.
fn products(chunk: u32, d: u32, u: array<vec4<u32>, 8>) {
  for (var j = 0u; j < 8u; j++) {
    if (WEIGHT_DTYPE == 0u) { step(chunk, d / 4u + j, bitcast<vec4<f32>>(u[j])); continue; }
    step(chunk, d / 4u + 2u * j, two(u[j].xy)); step(chunk, d / 4u + 2u * j + 1u, two(u[j].zw));
  }
}
// The i-th vec4 of the row-th row from the first on: of r, or of joined where side is 1. Rows past m repeat the last one.
fn input(side: u32, first: u32, row: u32, i: u32) -> vec4<f32> {
  let r = min(first + row, p.m - 1u); let at = r * p.k / 4u + i;
  if (side == 1u) { return joined[at]; } if (JOIN == 2u) { return fma(vec4(join_by[r].z), joined[i], x[at]); }
  var v = x[at]; if (JOIN == 1u) { v += bitcast<vec4<f32>>(bitcast<vec4<u32>>(join_by[i] * (joined[at] / roots[ROWS + row])) ^ vec4(p.zero)); }
  return v;
}
fn take_roots(side: u32, first: u32, thread: u32) {
  let chunks = (p.k + CHUNK - 1u) / CHUNK;
  for (var i = thread; i < ROWS * chunks; i += THREADS) {
    var squares = 0.0;
    for (var d = i % chunks * 16u; d < min(i % chunks * 16u + 16u, p.k / 4u); d++) {
      let v = input(side, first, i / chunks, d); squares = fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, squares))));
    }
    partials[i] = squares;
  }
  workgroupBarrier();
  if (thread < ROWS) {
    var total = 0.0; for (var c = 0u; c < chunks; c++) { total += partials[thread * chunks + c]; }
    roots[side * ROWS + thread] = sqrt(total / f32(p.k) + p.eps);
  }
  workgroupBarrier();
}
fn act(gate: f32) -> f32 {
  if (FORM == 2u) { let a = select(gate, -80.0, gate < -80.0); return a / (1.0 + exp(-a)); }
  let a = select(gate, -9.7, gate < -9.7); let b = select(a, 9.7, a > 9.7);
  return a / (1.0 + exp(-b * fma(C3, b * b, C1)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let width = select(p.n0 + p.n1 + p.n2, p.n0, FORM >= 2u);
  let columns = THREADS / LANES / select(1u, 2u, FORM >= 2u); // of out
  let across = (width + columns - 1u) / columns; let id = group.y * groups.x + group.x;
  let row = id / across * ROWS;
  if (row >= p.m) { return; } // the same for the whole workgroup
  let side = thread / LANES; let lane = thread % LANES;
  let column = id % across * columns + side % columns;
  let w = min(column, width - 1u) + select(0u, p.n0, side >= columns); // the row of the stacked matrices
  let part = select(select(2u, 1u, w < p.n0 + p.n1), 0u, w < p.n0);
  let w_row = w - select(select(p.n0 + p.n1, p.n0, part == 1u), 0u, part == 0u);
  // The first weights are on their way while the norms' sums are taken, which do not need them.
  var ahead = weights(part, w_row, lane * CHUNK);
  if (JOIN == 1u) { take_roots(1u, row, thread); } if (NORM) { take_roots(0u, row, thread); }
  var total: array<f32, 8>; // of the rows lane, lane + LANES, …
  for (var start = 0u; start < p.k; start += LANES * CHUNK) {
    for (var i = thread; i < ROWS * LANES * 16u; i += THREADS) {
      let r = i / (LANES * 16u); let k = i % (LANES * 16u) * 4u;
      var v = vec4<f32>();
      if (start + k < p.k) {
        let at = (start + k) / 4u; v = input(0u, row, r, at);
        if (JOIN > 0u && id % across == 0u && row + r < p.m) { sum[(row + r) * p.k / 4u + at] = v; }
        if (NORM) { v = norm[at] * (v / roots[r]); }
      }
      tile[slot(r, k / CHUNK, k % CHUNK / 4u)] = v;
    }
    workgroupBarrier();
    acc = array<f32, 8>();
    let k = start + lane * CHUNK;
    if (k < p.k) { products(lane, 0u, ahead); if (WEIGHT_DTYPE == 0u) { products(lane, 32u, weights(part, w_row, k + 32u)); } }
    ahead = weights(part, w_row, k + LANES * CHUNK);
    for (var r = 0u; r < ROWS; r++) { partials[r * THREADS + thread] = acc[r]; }
    workgroupBarrier();
    let chunks = min(LANES, (p.k - start + CHUNK - 1u) / CHUNK);
    for (var r = lane; r < ROWS; r += LANES) {
      for (var c = 0u; c < chunks; c++) { total[r / LANES] += partials[r * THREADS + thread - lane + c]; }
    }
  }
  if (FORM >= 2u) {
    workgroupBarrier();
    for (var r = lane; r < ROWS; r += LANES) { partials[r * THREADS + side] = total[r / LANES]; }
    workgroupBarrier();
  }
  if (column >= width || side >= columns) { return; }
  for (var r = lane; r < min(ROWS, p.m - row); r += LANES) {
    let i = (row + r) * width + column; var v = total[r / LANES];
    if (FORM == 1u) { v = fma(1.0, v, out[i]); }
    if (FORM >= 2u) { v = act(v) * partials[r * THREADS + columns + side]; }
    if (BIAS) { v = v + bias[column]; }
    out[i] = v;
  }
}
