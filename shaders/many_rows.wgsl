// Products of many rows with packed weights (pack_texels.wgsl), and what is done with them after: bias, an adapter's share,
// residual stream, gated activation. For software adapters: matmul_texel.wgsl, with weights that lie side by side for the lanes.
//
//   y[m, n] = Σ_k x[m, k] · w[first_block · 32 + n, k]   (+ bias[first_block · 32 + n] with BIAS)
//             + scale · Σ_r low[m, low_first + r] · b[n, r]  with LORA; low_first + low_apart + r for what FORM 2 and 3 let pass
//   FORM 0:    out[m, n] = y[m, n]
//   FORM 1:    out[m, n] ← out[m, n] + y[m, n]
//   FORM 2, 3: out[m, j] = act(y[m, j]) · y[m, n/2 + j], act silu (2) or gelu_tanh (3): see glu.wgsl
//
// x [m, k], low [m, low_width] f32 in rows of 1024 texels, k, rank, low_first, low_apart, low_width multiples of 8; bias f32, read with BIAS
// w [·, k], b [n, rank] packed; low and b read with LORA only
// out [m, n] f32, n a multiple of 4; [m, n/2] with FORM 2 and 3, where n/2 is a multiple of 32; columns of rows of `stride` numbers,
//        from `column` on, multiples of 4. With TEXELS it goes to texels in rows of 1024, from row texel_row on: with FORM 1 too, else instead.
// Sums:  those of matmul.wgsl, over k and over r: chunks of 64, each from 0 with fma in rising order, then the chunks in order from
//        0; the share is added with fma. The same bits as step by step.
// Error: of a product γ(64 + ⌈k/64⌉)·Σ|x||w|, u = 2^-24, of the share likewise; BIAS, LORA and FORM 1 each round the sum; FORM 2, 3:
//        the errors of gate and up through glu.wgsl, and its own.
//
// A lane takes 8 rows by BLOCKS blocks' columns, in each block four side by side; eight lanes run over the columns, the next eight have
// the next 8 rows. A mat4x4 is the blocks of a row, or four k's by four columns of weights.

override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16
override BLOCKS: u32; // 1 to 4; 4 with FORM 2 and 3: half gates, half ups
override BIAS: bool; override FORM: u32; override LORA: bool; override B_DTYPE: u32; override TEXELS: bool;
const C1 = 1.5957691216057308; const C3 = 0.07135481627260025; // glu.wgsl

struct Params { m: u32, n: u32, k: u32, first_block: u32, rank: u32, low_first: u32, low_apart: u32, low_width: u32,
  scale: f32, texel_row: u32, stride: u32, column: u32 }
@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var low: texture_storage_2d<rgba32uint, read>; @group(0) @binding(4) var b: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var texels: texture_storage_2d<rgba32uint, write>; @group(0) @binding(7) var<uniform> p: Params;
struct Eight { low: vec4<f32>, high: vec4<f32> } // k … k + 3 and k + 4 … k + 7
struct Block { low: mat4x4<f32>, high: mat4x4<f32> }
var<private> lane: u32; var<private> blocks: array<Block, 4>;

// `side` is the product that is meant: 0 of x and w, 1 of low and b.
fn x_texel(side: u32, at: vec2<u32>) -> vec4<f32> {
  if (side == 1u) { return bitcast<vec4<f32>>(textureLoad(low, at)); }
  return bitcast<vec4<f32>>(textureLoad(x, at));
}
fn texel(side: u32, at: vec2<u32>) -> vec4<u32> {
  if (side == 1u) { return textureLoad(b, at); }
  return textureLoad(w, at);
}
fn bf16(u: u32) -> vec2<f32> { return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u)); }
// w[32 · block + 4 · lane + c, k … k + 7] as f32, exactly, block counted from first_block; as in few_rows.wgsl. Or b's, from 0.
fn weights(side: u32, block: u32, c: u32, k: u32) -> Eight {
  let first = select(p.first_block, 0u, side == 1u); let width = select(p.k, p.rank, side == 1u);
  let dtype = select(WEIGHT_DTYPE, B_DTYPE, side == 1u);
  // What a lane reads here lies in one row of texels, so that the row is worked out once.
  let wide = select(4u, 8u, dtype == 0u); let i = wide * ((first + min(block, (p.n - 1u) / 32u)) * width + k);
  let y = i / 1024u; let j = i % 1024u + 2u * wide * c + lane;
  if (dtype == 0u) { return Eight(bitcast<vec4<f32>>(texel(side, vec2(j, y))), bitcast<vec4<f32>>(texel(side, vec2(j + 8u, y)))); }
  let u = texel(side, vec2(j, y));
  if (dtype == 1u) { return Eight(vec4(unpack2x16float(u.x), unpack2x16float(u.y)), vec4(unpack2x16float(u.z), unpack2x16float(u.w))); }
  return Eight(vec4(bf16(u.x), bf16(u.y)), vec4(bf16(u.z), bf16(u.w)));
}
// Block b of a group; of four gated ones two are gates and two the ups.
fn place(group: u32, b: u32) -> u32 {
  if (FORM < 2u) { return BLOCKS * group + b; }
  return 2u * group + b % 2u + select(0u, p.n / 64u, b >= 2u);
}
fn block(side: u32, at: u32, k: u32) -> Block {
  let a = weights(side, at, 0u, k); let b = weights(side, at, 1u, k); let c = weights(side, at, 2u, k); let d = weights(side, at, 3u, k);
  return Block(transpose(mat4x4(a.low, b.low, c.low, d.low)), transpose(mat4x4(a.high, b.high, c.high, d.high)));
}
fn dot4(v: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
  return fma(v.wwww, b[3], fma(v.zzzz, b[2], fma(v.yyyy, b[1], fma(v.xxxx, b[0], acc))));
}
fn dot8(v: Eight, b: Block, acc: vec4<f32>) -> vec4<f32> { return dot4(v.high, b.high, dot4(v.low, b.low, acc)); }
// Rows past m repeat the last one; they are not stored.
fn inputs(side: u32, row: u32, k: u32) -> Eight {
  let r = min(row, p.m - 1u);
  let i = (select(r * p.k, r * p.low_width + p.low_first, side == 1u) + k) / 4u; let at = vec2(i % 1024u, i / 1024u);
  return Eight(x_texel(side, at), x_texel(side, at + vec2(1u, 0u)));
}
fn row_step(side: u32, row: u32, k: u32, acc: mat4x4<f32>) -> mat4x4<f32> {
  let v = inputs(side, row, k);
  if (BLOCKS == 1u) { return mat4x4(dot8(v, blocks[0], acc[0]), acc[1], acc[2], acc[3]); }
  if (BLOCKS == 2u) { return mat4x4(dot8(v, blocks[0], acc[0]), dot8(v, blocks[1], acc[1]), acc[2], acc[3]); }
  if (BLOCKS == 3u) { return mat4x4(dot8(v, blocks[0], acc[0]), dot8(v, blocks[1], acc[1]), dot8(v, blocks[2], acc[2]), acc[3]); }
  var u = v; if (side == 1u && FORM >= 2u) { u = inputs(1u, row, p.low_apart + k); }
  return mat4x4(dot8(v, blocks[0], acc[0]), dot8(v, blocks[1], acc[1]), dot8(u, blocks[2], acc[2]), dot8(u, blocks[3], acc[3]));
}
fn act(gate: f32) -> f32 {
  if (FORM == 2u) { let a = select(gate, -80.0, gate < -80.0); return a / (1.0 + exp(-a)); }
  let a = select(gate, -9.7, gate < -9.7); let b = select(a, 9.7, a > 9.7);
  return a / (1.0 + exp(-b * fma(C3, b * b, C1)));
}
fn put(row: u32, block: u32, y: vec4<f32>) {
  let n = 32u * block + 4u * lane; let i = (row * p.stride + p.column + n) / 4u;
  if (n >= select(p.n, p.n / 2u, FORM >= 2u)) { return; }
  var v = y; if (FORM == 1u) { v = fma(vec4(1.0), v, out[i]); }
  if (!TEXELS || FORM == 1u) { out[i] = v; }
  if (TEXELS) { let at = p.texel_row * (p.stride / 4u) + i; textureStore(texels, vec2(at % 1024u, at / 1024u), bitcast<vec4<u32>>(v)); }
}
fn biases(block: u32) -> vec4<f32> { return bias[8u * (p.first_block + min(block, (p.n - 1u) / 32u)) + lane]; }
fn gated(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> { return vec4(act(gate.x), act(gate.y), act(gate.z), act(gate.w)) * up; }
fn with_rest(product: vec4<f32>, share: vec4<f32>, block: u32) -> vec4<f32> {
  var y = product; if (BIAS) { y = y + biases(block); }
  if (LORA) { y = fma(vec4(p.scale), share, y); }
  return y;
}
fn finish(row: u32, group: u32, product: mat4x4<f32>, share: mat4x4<f32>) {
  if (row >= p.m) { return; }
  let at = vec4(place(group, 0u), place(group, 1u), place(group, 2u), place(group, 3u));
  let y0 = with_rest(product[0], share[0], at.x); if (BLOCKS == 1u) { put(row, at.x, y0); return; }
  let y1 = with_rest(product[1], share[1], at.y); if (BLOCKS == 2u) { put(row, at.x, y0); put(row, at.y, y1); return; }
  let y2 = with_rest(product[2], share[2], at.z); let y3 = with_rest(product[3], share[3], at.w);
  if (BLOCKS == 3u) { put(row, at.x, y0); put(row, at.y, y1); put(row, at.z, y2); return; }
  if (FORM >= 2u) { put(row, at.x, gated(y0, y2)); put(row, at.y, gated(y1, y3)); return; }
  put(row, at.x, y0); put(row, at.y, y1); put(row, at.z, y2); put(row, at.w, y3);
}
// The sums of eight rows.
fn product(side: u32, row: u32, group: u32) -> array<mat4x4<f32>, 8> {
  let length = select(p.k, p.rank, side == 1u);
  var total = array<mat4x4<f32>, 8>();
  for (var start = 0u; start < length; start += 64u) {
    var acc = array<mat4x4<f32>, 8>();
    for (var k = start; k < min(start + 64u, length); k += 8u) {
      blocks[0] = block(side, place(group, 0u), k); if (BLOCKS > 1u) { blocks[1] = block(side, place(group, 1u), k); }
      if (BLOCKS > 2u) { blocks[2] = block(side, place(group, 2u), k); }
      if (BLOCKS > 3u) { blocks[3] = block(side, place(group, 3u), k); }
      acc[0] = row_step(side, row, k, acc[0]); acc[1] = row_step(side, row + 1u, k, acc[1]);
      acc[2] = row_step(side, row + 2u, k, acc[2]); acc[3] = row_step(side, row + 3u, k, acc[3]);
      acc[4] = row_step(side, row + 4u, k, acc[4]); acc[5] = row_step(side, row + 5u, k, acc[5]);
      acc[6] = row_step(side, row + 6u, k, acc[6]); acc[7] = row_step(side, row + 7u, k, acc[7]);
    }
    total[0] += acc[0]; total[1] += acc[1]; total[2] += acc[2]; total[3] += acc[3];
    total[4] += acc[4]; total[5] += acc[5]; total[6] += acc[6]; total[7] += acc[7];
  }
  return total;
}

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index % 8u;
  let across = (p.n + 32u * BLOCKS - 1u) / (32u * BLOCKS);
  let i = id.y * groups.x + id.x; let group = i % across; let row = i / across * 16u + index / 8u * 8u;
  if (row >= p.m) { return; }
  let y = product(0u, row, group);
  var share = array<mat4x4<f32>, 8>(); if (LORA) { share = product(1u, row, group); }
  finish(row, group, y[0], share[0]); finish(row + 1u, group, y[1], share[1]);
  finish(row + 2u, group, y[2], share[2]); finish(row + 3u, group, y[3], share[3]);
  finish(row + 4u, group, y[4], share[4]); finish(row + 5u, group, y[5], share[5]);
  finish(row + 6u, group, y[6], share[6]); finish(row + 7u, group, y[7], share[7]);
}
