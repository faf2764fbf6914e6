// Products of many rows with few columns of packed weights (pack_texels.wgsl): what the factors A of adapters make. For software
// adapters: many_rows.wgsl with lanes down the rows instead of over the columns, of which there are too few for them.
//
//   out[m, n] = Σ_k x[m, k] · w[n, k]   for n = 16 · (i / used · apart + i % used) …, 16 of each i below `groups`
//
// x [m, k], out [m, width] f32 in rows of 1024 texels, k and width multiples of 8
// w [·, k] packed; of each `apart` times 16 columns the first `used` times 16 are wanted; the others stay as they were
// Sums:  those of matmul.wgsl: chunks of 64, each from 0 with fma in rising order, then the chunks in order from 0.
// Error: γ(64 + ⌈k/64⌉)·Σ|x||w|, u = 2^-24.
//
// A lane takes 8 rows by 16 columns, sixteen lanes 128 rows. A mat4x4 is a row's sixteen sums, or four k's by four columns of weights.

override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16

struct Params { m: u32, k: u32, width: u32, groups: u32, used: u32, apart: u32 }
@group(0) @binding(0) var x: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var w: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var out: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(3) var<uniform> p: Params;
struct Eight { low: vec4<f32>, high: vec4<f32> } // k … k + 3 and k + 4 … k + 7
struct Block { low: mat4x4<f32>, high: mat4x4<f32> }
var<private> blocks: array<Block, 4>;

fn bf16(u: u32) -> vec2<f32> { return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u)); }

// w[4 · quad + c, k … k + 7] as f32, exactly.
fn weights(quad: u32, c: u32, k: u32) -> Eight {
  let wide = select(4u, 8u, WEIGHT_DTYPE == 0u);
  let i = wide * (quad / 8u * p.k + k);
  let y = i / 1024u;
  let j = i % 1024u + 2u * wide * c + quad % 8u;
  let u = textureLoad(w, vec2(j, y));
  if (WEIGHT_DTYPE == 0u) { return Eight(bitcast<vec4<f32>>(u), bitcast<vec4<f32>>(textureLoad(w, vec2(j + 8u, y)))); }
  if (WEIGHT_DTYPE == 1u) { return Eight(vec4(unpack2x16float(u.x), unpack2x16float(u.y)), vec4(unpack2x16float(u.z), unpack2x16float(u.w))); }
  return Eight(vec4(bf16(u.x), bf16(u.y)), vec4(bf16(u.z), bf16(u.w)));
}

fn block(quad: u32, k: u32) -> Block {
  let a = weights(quad, 0u, k); let b = weights(quad, 1u, k); let c = weights(quad, 2u, k); let d = weights(quad, 3u, k);
  return Block(transpose(mat4x4(a.low, b.low, c.low, d.low)), transpose(mat4x4(a.high, b.high, c.high, d.high)));
}

fn dot4(v: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
  return fma(v.wwww, b[3], fma(v.zzzz, b[2], fma(v.yyyy, b[1], fma(v.xxxx, b[0], acc))));
}
fn dot8(v: Eight, b: Block, acc: vec4<f32>) -> vec4<f32> { return dot4(v.high, b.high, dot4(v.low, b.low, acc)); }

// Rows past m repeat the last one; they are not stored.
fn row_step(row: u32, k: u32, acc: mat4x4<f32>) -> mat4x4<f32> {
  let i = (min(row, p.m - 1u) * p.k + k) / 4u;
  let at = vec2(i % 1024u, i / 1024u);
  let v = Eight(bitcast<vec4<f32>>(textureLoad(x, at)), bitcast<vec4<f32>>(textureLoad(x, at + vec2(1u, 0u))));
  return mat4x4(dot8(v, blocks[0], acc[0]), dot8(v, blocks[1], acc[1]), dot8(v, blocks[2], acc[2]), dot8(v, blocks[3], acc[3]));
}

fn put(row: u32, column: u32, sums: vec4<f32>) {
  if (row >= p.m || column >= p.width) { return; }
  let i = (row * p.width + column) / 4u;
  textureStore(out, vec2(i % 1024u, i / 1024u), bitcast<vec4<u32>>(sums));
}
fn finish(row: u32, column: u32, sums: mat4x4<f32>) {
  put(row, column, sums[0]); put(row, column + 4u, sums[1]); put(row, column + 8u, sums[2]); put(row, column + 12u, sums[3]);
}

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = id.y * groups.x + id.x;
  let group = i % p.groups;
  let column = 16u * (group / p.used * p.apart + group % p.used);
  let row = i / p.groups * 128u + 8u * lane;
  var total = array<mat4x4<f32>, 8>();
  for (var start = 0u; start < p.k; start += 64u) {
    var acc = array<mat4x4<f32>, 8>();
    for (var k = start; k < min(start + 64u, p.k); k += 8u) {
      blocks[0] = block(column / 4u, k); blocks[1] = block(column / 4u + 1u, k);
      blocks[2] = block(column / 4u + 2u, k); blocks[3] = block(column / 4u + 3u, k);
      acc[0] = row_step(row, k, acc[0]); acc[1] = row_step(row + 1u, k, acc[1]);
      acc[2] = row_step(row + 2u, k, acc[2]); acc[3] = row_step(row + 3u, k, acc[3]);
      acc[4] = row_step(row + 4u, k, acc[4]); acc[5] = row_step(row + 5u, k, acc[5]);
      acc[6] = row_step(row + 6u, k, acc[6]); acc[7] = row_step(row + 7u, k, acc[7]);
    }
    total[0] += acc[0]; total[1] += acc[1]; total[2] += acc[2]; total[3] += acc[3];
    total[4] += acc[4]; total[5] += acc[5]; total[6] += acc[6]; total[7] += acc[7];
  }
  finish(row, column, total[0]); finish(row + 1u, column, total[1]);
  finish(row + 2u, column, total[2]); finish(row + 3u, column, total[3]);
  finish(row + 4u, column, total[4]); finish(row + 5u, column, total[5]);
  finish(row + 6u, column, total[6]); finish(row + 7u, column, total[7]);
}
