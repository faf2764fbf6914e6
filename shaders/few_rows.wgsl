// Products of few rows with packed weights (pack_texels.wgsl), and what stands before and after them in a block: RMSNorm,
// bias, residual stream, gated activation. For software adapters, as matmul_texel.wgsl: loads of texels, no idle lanes.
//
//   y[m, n] = Σ_k h[m, k] · w[n, k]     h = r, or rmsnorm(r) with NORM: see rmsnorm.wgsl; r = x, or sum with JOIN
//   JOIN 1, 2: sum[m, k] = x[m, k] + rmsnorm(joined)[m, k], x[m, k] + coefficient[m] · joined[k]: see edit.wgsl
//   FORM 0, 1: out[m, n] = y[m, n] (+ bias[n] with BIAS), out[m, n] ← out[m, n] + y[m, n]
//   FORM 2, 3: out[m, j] = act(y[m, j]) · y[m, n/2 + j], act silu (2) or gelu_tanh (3): see glu.wgsl
//
// x, sum [m, k] f32, k a multiple of 8; norm [k], bias [n] f32; joined [m, k], join_by [k], the norm's weight, or one vector [k] and [m]
// entries of edit.wgsl; each with its override only; w [n, k] packed; out [m, n] f32, [m, n/2] with FORM 2 and 3, n/2 a multiple of 32
// Sums:  those of rmsnorm.wgsl, and of matmul.wgsl: chunks of 64 k's, each from 0 with fma in rising k, then the chunks in
//        order from 0. The same bits as step by step, whatever ROWS, BLOCKS and turns.
// Error: of y γ(64 + ⌈k/64⌉)·Σ|h||w| + Σ|δh||w|, u = 2^-24, δh as in rmsnorm.wgsl, of sum as there with ADD or in edit.wgsl, which then
//        goes through the norm; FORM 0 with BIAS and 1 round the sum; FORM 2, 3: the errors of gate and up through glu.wgsl, and its own.
//
// A workgroup takes ROWS rows by `turns` times SIDES groups of BLOCKS times 32 columns, of which a lane has four side by side; h is staged
// in workgroup memory, SEGMENT k's at a time. A mat4x4 is up to four blocks of a row, or four k's by a lane's four columns of weights.

override ROWS: u32; override SIDES: u32; // 1, 2 or 4; of eight lanes each
override BLOCKS: u32; // 1, 2 or 4; 2 or 4 with FORM 2 and 3: half gates, half ups
override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16
override NORM: bool; override JOIN: u32; override BIAS: bool; override FORM: u32;
override PARTIALS: u32; // at least ROWS × chunks
override SEGMENT: u32 = select(256u, 512u, ROWS < 4u); override STAGED: u32 = ROWS * SEGMENT / 4u;
const C1 = 1.5957691216057308; const C3 = 0.07135481627260025; // glu.wgsl

struct Params { m: u32, n: u32, k: u32, eps: f32, turns: u32, zero: u32 } // zero is 0, which no compiler knows: see rmsnorm.wgsl
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> norm: array<vec4<f32>>; @group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var w: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>; @group(0) @binding(8) var<uniform> p: Params;
@group(0) @binding(5) var<storage, read> joined: array<vec4<f32>>; @group(0) @binding(6) var<storage, read> join_by: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> sum: array<vec4<f32>>;
struct Eight { low: vec4<f32>, high: vec4<f32> } struct Block { low: mat4x4<f32>, high: mat4x4<f32> } // of eight k's
var<workgroup> h: array<vec4<f32>, STAGED>;
var<workgroup> partials: array<f32, PARTIALS>; var<workgroup> roots: array<f32, 8>; // of r, from the fifth on of joined
var<private> lane: u32; var<private> blocks: array<Block, 4>;

fn texel(i: u32) -> vec4<u32> { return textureLoad(w, vec2(i % 1024u, i / 1024u)); }
fn bf16(u: u32) -> vec2<f32> { return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u)); }
// w[32 · block + 4 · lane + c, k … k + 7] as f32, exactly.
fn weights(block: u32, c: u32, k: u32) -> Eight {
  let i = 4u * (min(block, (p.n - 1u) / 32u) * p.k + k) + 8u * c;
  if (WEIGHT_DTYPE == 0u) { return Eight(bitcast<vec4<f32>>(texel(2u * i + lane)), bitcast<vec4<f32>>(texel(2u * i + 8u + lane))); }
  let u = texel(i + lane);
  if (WEIGHT_DTYPE == 1u) { return Eight(vec4(unpack2x16float(u.x), unpack2x16float(u.y)), vec4(unpack2x16float(u.z), unpack2x16float(u.w))); }
  return Eight(vec4(bf16(u.x), bf16(u.y)), vec4(bf16(u.z), bf16(u.w)));
}
// Block b of a workgroup, counted from the first column.
fn place(group: u32, b: u32) -> u32 {
  if (FORM < 2u) { return group * BLOCKS + b; }
  return group * BLOCKS / 2u + b % ((BLOCKS + 1u) / 2u) + select(0u, p.n / 64u, b >= BLOCKS / 2u);
}
fn block(at: u32, k: u32) -> Block {
  let a = weights(at, 0u, k); let b = weights(at, 1u, k); let c = weights(at, 2u, k); let d = weights(at, 3u, k);
  return Block(transpose(mat4x4(a.low, b.low, c.low, d.low)), transpose(mat4x4(a.high, b.high, c.high, d.high)));
}
fn dot4(v: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
  return fma(v.wwww, b[3], fma(v.zzzz, b[2], fma(v.yyyy, b[1], fma(v.xxxx, b[0], acc))));
}
fn dot8(v: Eight, b: Block, acc: vec4<f32>) -> vec4<f32> { return dot4(v.high, b.high, dot4(v.low, b.low, acc)); }
fn row_step(row: u32, k: u32, acc: mat4x4<f32>) -> mat4x4<f32> {
  let v = Eight(h[(row * SEGMENT + k) / 4u], h[(row * SEGMENT + k) / 4u + 1u]);
  var sums = acc; sums[0] = dot8(v, blocks[0], acc[0]); if (BLOCKS > 1u) { sums[1] = dot8(v, blocks[1], acc[1]); }
  if (BLOCKS > 2u) { sums[2] = dot8(v, blocks[2], acc[2]); sums[3] = dot8(v, blocks[3], acc[3]); }
  return sums;
}
fn act(gate: f32) -> f32 {
  if (FORM == 2u) { let a = select(gate, -80.0, gate < -80.0); return a / (1.0 + exp(-a)); }
  let a = select(gate, -9.7, gate < -9.7); let b = select(a, 9.7, a > 9.7);
  return a / (1.0 + exp(-b * fma(C3, b * b, C1)));
}
fn put(row: u32, n: u32, value: f32) {
  let width = select(p.n, p.n / 2u, FORM >= 2u); if (n >= width) { return; }
  var v = value; if (BIAS) { v = v + bias[n]; } if (FORM == 1u) { v = fma(1.0, v, out[row * width + n]); }
  out[row * width + n] = v;
}
fn put4(row: u32, block: u32, v: vec4<f32>) {
  let n = 32u * block + 4u * lane; put(row, n, v.x); put(row, n + 1u, v.y); put(row, n + 2u, v.z); put(row, n + 3u, v.w);
}
fn gated(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> { return vec4(act(gate.x), act(gate.y), act(gate.z), act(gate.w)) * up; }
fn finish(row: u32, group: u32, total: mat4x4<f32>) {
  if (row >= p.m) { return; }
  let at = place(group, 0u);
  if (FORM < 2u) { put4(row, at, total[0]); } else { put4(row, at, gated(total[0], total[BLOCKS / 2u])); }
  if (BLOCKS > 1u && FORM < 2u) { put4(row, at + 1u, total[1]); }
  if (BLOCKS > 2u && FORM < 2u) { put4(row, at + 2u, total[2]); put4(row, at + 3u, total[3]); }
  if (BLOCKS > 2u && FORM >= 2u) { put4(row, at + 1u, gated(total[1], total[3])); }
}
// The i-th vec4 of the row-th row from the first on: of r, or of joined where side is 1. Rows past m repeat the last one.
fn input(side: u32, first: u32, row: u32, i: u32) -> vec4<f32> {
  let r = min(first + row, p.m - 1u); let at = r * p.k / 4u + i;
  if (side == 1u) { return joined[at]; } if (JOIN == 2u) { return fma(vec4(join_by[r].z), joined[i], x[at]); }
  var v = x[at]; if (JOIN == 1u) { v += bitcast<vec4<f32>>(bitcast<vec4<u32>>(join_by[i] * (joined[at] / roots[4u + row])) ^ vec4(p.zero)); }
  return v;
}
fn take_roots(side: u32, first: u32, index: u32) {
  let chunks = (p.k + 63u) / 64u;
  for (var i = index; i < ROWS * chunks; i += 8u * SIDES) {
    var squares = 0.0;
    for (var d = i % chunks * 16u; d < min(i % chunks * 16u + 16u, p.k / 4u); d++) {
      let v = input(side, first, i / chunks, d); squares = fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, squares))));
    }
    partials[i] = squares;
  }
  workgroupBarrier();
  for (var r = index; r < ROWS; r += 8u * SIDES) {
    var total = 0.0; for (var c = 0u; c < chunks; c++) { total += partials[r * chunks + c]; }
    roots[4u * side + r] = sqrt(total / f32(p.k) + p.eps);
  }
  workgroupBarrier();
}

@compute @workgroup_size(8 * SIDES)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index % 8u; let wide = 32u * BLOCKS * SIDES; let across = (p.n + wide * p.turns - 1u) / (wide * p.turns);
  let i = id.y * groups.x + id.x; let part = i % across; let first = i / across * ROWS;
  if (first >= p.m) { return; }
  if (JOIN == 1u) { take_roots(1u, first, index); } if (NORM) { take_roots(0u, first, index); }
  for (var turn = 0u; turn < p.turns && (part * p.turns + turn) * wide < p.n; turn++) {
    let group = (part * p.turns + turn) * SIDES + index / 8u;
    var total = array<mat4x4<f32>, 4>();
    for (var base = 0u; base < p.k; base += SEGMENT) {
      let width = min(SEGMENT, p.k - base) / 4u;
      if (turn == 0u || p.k > SEGMENT) {
        workgroupBarrier();
        for (var i = index; i < ROWS * width; i += 8u * SIDES) {
          let row = i / width; let at = base / 4u + i % width; var v = input(0u, first, row, at);
          if (JOIN > 0u && part == 0u && turn == 0u && first + row < p.m) { sum[(first + row) * p.k / 4u + at] = v; }
          if (NORM) { v = norm[at] * (v / roots[row]); }
          h[row * SEGMENT / 4u + i % width] = v;
        }
        workgroupBarrier();
      }
      for (var start = 0u; start < 4u * width; start += 64u) {
        var acc = array<mat4x4<f32>, 4>();
        for (var k = start; k < min(start + 64u, 4u * width); k += 8u) {
          blocks[0] = block(place(group, 0u), base + k); if (BLOCKS > 1u) { blocks[1] = block(place(group, 1u), base + k); }
          if (BLOCKS > 2u) { blocks[2] = block(place(group, 2u), base + k); blocks[3] = block(place(group, 3u), base + k); }
          acc[0] = row_step(0u, k, acc[0]); if (ROWS > 1u) { acc[1] = row_step(1u, k, acc[1]); }
          if (ROWS > 2u) { acc[2] = row_step(2u, k, acc[2]); acc[3] = row_step(3u, k, acc[3]); }
        }
        total[0] += acc[0]; if (ROWS > 1u) { total[1] += acc[1]; }
        if (ROWS > 2u) { total[2] += acc[2]; total[3] += acc[3]; }
      }
    }
    finish(first, group, total[0]); if (ROWS > 1u) { finish(first + 1u, group, total[1]); }
    if (ROWS > 2u) { finish(first + 2u, group, total[2]); finish(first + 3u, group, total[3]); }
  }
}
