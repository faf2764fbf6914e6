// Embedding gather.
//
//   out[t, i] = scale · table[ids[t], i]        for the ids whose row lies in this window of the table
//
// table  [rows, stride] as stored: f32, or f16/bf16 packed two in a u32; rows first_row … first_row + rows - 1
// out    [tokens, hidden] f32
// Sums:  none. Error: none beyond the rounding of the product by scale (exact when scale is 1); f16 and bf16 widen
//        exactly.

override WEIGHT_DTYPE: u32; // 0 f32, 1 f16, 2 bf16

struct Params {
  tokens: u32,
  hidden: u32,
  stride: u32, // elements from one table row to the next; even
  first_row: u32,
  rows: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn weight(element: u32) -> f32 {
  if (WEIGHT_DTYPE == 0u) {
    return bitcast<f32>(table[element]);
  }
  let pair = table[element / 2u];
  let high = (element & 1u) == 1u;
  if (WEIGHT_DTYPE == 1u) {
    let both = unpack2x16float(pair);
    return select(both.x, both.y, high);
  }
  return bitcast<f32>(select(pair << 16u, pair & 0xffff0000u, high));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= params.tokens * params.hidden) {
    return;
  }
  let row = ids[i / params.hidden];
  if (row < params.first_row || row - params.first_row >= params.rows) {
    return;
  }
  out[i] = params.scale * weight((row - params.first_row) * params.stride + i % params.hidden);
}
