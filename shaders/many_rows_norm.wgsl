// Products of many rows with packed weights that are added to a residual stream, and the norm of what that comes to, for the next
// product to read: many_rows.wgsl with FORM 1, then rmsnorm_texel.wgsl, in one dispatch. For software adapters of few cores.
//
//   out[m, n] ← out[m, n] + Σ_k x[m, k] · w[n, k]   (+ scale · Σ_r low[m, low_first + r] · b[n, r] with LORA)
//   y[m, n] = weight[n] · (out[m, n] / sqrt(mean_n(out[m, n]²) + eps))
//
// x [m, k], low [m, low_width] f32 in rows of 1024 texels, k, rank, low_first, low_width multiples of 8; w [n, k], b [n, rank] packed
// out [m, n], weight [n] f32, n a multiple of 4; y in rows of 1024 texels, from row texel_row of the m on; low and b read with LORA only
// Sums:  those of many_rows.wgsl and rmsnorm.wgsl. The same bits as one after the other.
// Error: of out as in many_rows.wgsl; of y that through the norm, and the norm's own: see rmsnorm.wgsl.
//
// A workgroup takes sixteen rows from end to end: a lane eight of them by BLOCKS blocks of 32 columns, in each block four side by side;
// then a lane has the root of a row, then every sixteenth vec4 of all of them.

override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16
override BLOCKS: u32; // 1 to 4
override LORA: bool; override B_DTYPE: u32;

struct Params { m: u32, n: u32, k: u32, rank: u32, low_first: u32, low_width: u32, scale: f32, texel_row: u32, eps: f32 }
@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var low: texture_storage_2d<rgba32uint, read>; @group(0) @binding(4) var b: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var y: texture_storage_2d<rgba32uint, write>; @group(0) @binding(7) var<uniform> p: Params;
struct Eight { low: vec4<f32>, high: vec4<f32> } // k … k + 3 and k + 4 … k + 7
struct Block { low: mat4x4<f32>, high: mat4x4<f32> }
var<workgroup> roots: array<f32, 16>;
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
// w[32 · block + 4 · lane + c, k … k + 7] as f32, exactly; or b's. As in many_rows.wgsl.
fn weights(side: u32, block: u32, c: u32, k: u32) -> Eight {
  let width = select(p.k, p.rank, side == 1u); let dtype = select(WEIGHT_DTYPE, B_DTYPE, side == 1u);
  let wide = select(4u, 8u, dtype == 0u); let i = wide * (min(block, (p.n - 1u) / 32u) * width + k);
  let row = i / 1024u; let j = i % 1024u + 2u * wide * c + lane;
  if (dtype == 0u) { return Eight(bitcast<vec4<f32>>(texel(side, vec2(j, row))), bitcast<vec4<f32>>(texel(side, vec2(j + 8u, row)))); }
  let u = texel(side, vec2(j, row));
  if (dtype == 1u) { return Eight(vec4(unpack2x16float(u.x), unpack2x16float(u.y)), vec4(unpack2x16float(u.z), unpack2x16float(u.w))); }
  return Eight(vec4(bf16(u.x), bf16(u.y)), vec4(bf16(u.z), bf16(u.w)));
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
fn row_step(side: u32, row: u32, k: u32, acc: mat4x4<f32>) -> mat4x4<f32> {
  let r = min(row, p.m - 1u);
  let i = (select(r * p.k, r * p.low_width + p.low_first, side == 1u) + k) / 4u; let at = vec2(i % 1024u, i / 1024u);
  let v = Eight(x_texel(side, at), x_texel(side, at + vec2(1u, 0u))); var sums = acc;
  sums[0] = dot8(v, blocks[0], acc[0]); if (BLOCKS > 1u) { sums[1] = dot8(v, blocks[1], acc[1]); }
  if (BLOCKS > 2u) { sums[2] = dot8(v, blocks[2], acc[2]); } if (BLOCKS > 3u) { sums[3] = dot8(v, blocks[3], acc[3]); }
  return sums;
}
// The sums of eight rows.
fn product(side: u32, row: u32, group: u32) -> array<mat4x4<f32>, 8> {
  let length = select(p.k, p.rank, side == 1u); let first = BLOCKS * group;
  var total = array<mat4x4<f32>, 8>();
  for (var start = 0u; start < length; start += 64u) {
    var acc = array<mat4x4<f32>, 8>();
    for (var k = start; k < min(start + 64u, length); k += 8u) {
      blocks[0] = block(side, first, k); if (BLOCKS > 1u) { blocks[1] = block(side, first + 1u, k); }
      if (BLOCKS > 2u) { blocks[2] = block(side, first + 2u, k); } if (BLOCKS > 3u) { blocks[3] = block(side, first + 3u, k); }
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
fn put(row: u32, block: u32, sum: vec4<f32>, share: vec4<f32>) {
  let n = 32u * block + 4u * lane; if (n >= p.n) { return; }
  let i = (row * p.n + n) / 4u; var v = sum; if (LORA) { v = fma(vec4(p.scale), share, v); }
  out[i] = fma(vec4(1.0), v, out[i]);
}
fn finish(row: u32, group: u32, sums: mat4x4<f32>, shares: mat4x4<f32>) {
  if (row >= p.m) { return; }
  let at = BLOCKS * group; put(row, at, sums[0], shares[0]); if (BLOCKS > 1u) { put(row, at + 1u, sums[1], shares[1]); }
  if (BLOCKS > 2u) { put(row, at + 2u, sums[2], shares[2]); } if (BLOCKS > 3u) { put(row, at + 3u, sums[3], shares[3]); }
}
fn root_of(row: u32) -> f32 {
  let first = row * p.n / 4u; var total = 0.0;
  for (var start = 0u; start < p.n / 4u; start += 16u) {
    var sum = 0.0;
    for (var i = start; i < min(start + 16u, p.n / 4u); i++) {
      let v = out[first + i];
      sum = fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
    }
    total += sum;
  }
  return sqrt(total / f32(p.n) + p.eps);
}

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index % 8u; let first = (id.y * groups.x + id.x) * 16u; let row = first + index / 8u * 8u;
  if (first >= p.m) { return; }
  for (var group = 0u; group < (p.n + 32u * BLOCKS - 1u) / (32u * BLOCKS); group++) {
    let sums = product(0u, row, group);
    var share = array<mat4x4<f32>, 8>(); if (LORA) { share = product(1u, row, group); }
    finish(row, group, sums[0], share[0]); finish(row + 1u, group, sums[1], share[1]);
    finish(row + 2u, group, sums[2], share[2]); finish(row + 3u, group, sums[3], share[3]);
    finish(row + 4u, group, sums[4], share[4]); finish(row + 5u, group, sums[5], share[5]);
    finish(row + 6u, group, sums[6], share[6]); finish(row + 7u, group, sums[7], share[7]);
  }
  storageBarrier(); workgroupBarrier();
  let rows = min(16u, p.m - first);
  if (index < rows) { roots[index] = root_of(first + index); }
  workgroupBarrier();
  for (var i = index; i < p.n / 4u; i += 16u) {
    let g = weight[i];
    for (var r = 0u; r < rows; r++) {
      let at = (first + r) * p.n / 4u + i; let to = at + p.texel_row * p.n / 4u;
      textureStore(y, vec2(to % 1024u, to / 1024u), bitcast<vec4<u32>>(g * (out[at] / roots[r])));
    }
  }
}
