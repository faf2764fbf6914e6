// Embedding gather of rows whose width is a multiple of 4: embedding.wgsl with four elements a thread. The same bits.
//
//   out[t, i] = scale · table[ids[t], i]        for the ids whose row lies in this window of the table
//
// table  [rows, stride] as stored: f32, or f16/bf16 packed two in a u32; rows first_row … first_row + rows - 1
// out    [tokens, hidden] f32; hidden and stride are multiples of 4
// Sums:  none. Error: none beyond the rounding of the product by scale (exact when scale is 1); f16 and bf16 widen
//        exactly.

override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16

struct Params {
  tokens: u32,
  hidden: u32,
  stride: u32, // elements from one table row to the next
  first_row: u32,
  rows: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

fn weights(element: u32) -> vec4<f32> {
  if (WEIGHT_DTYPE == 0u) {
    return bitcast<vec4<f32>>(vec4(table[element / 2u], table[element / 2u + 1u]));
  }
  let pairs = table[element / 4u];
  if (WEIGHT_DTYPE == 1u) {
    return vec4(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
  }
  return bitcast<vec4<f32>>(vec4(pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let width4 = params.hidden / 4u;
  if (i >= params.tokens * width4) {
    return;
  }
  let row = ids[i / width4];
  if (row < params.first_row || row - params.first_row >= params.rows) {
    return;
  }
  out[i] = params.scale * weights((row - params.first_row) * params.stride + i % width4 * 4u);
}
