// Adds vectors to rows, or puts them in their place.
//
//   MODE 0:  x[r] ← x[r] + coefficient · v        MODE 1:  x[r] ← coefficient · v
//
// x [rows, width] f32, in place; vectors [count, width] f32; entries [count] of
// (row, vector, coefficient as f32 bits, unused). No row may stand in two entries of one dispatch.
// Sums:  none. Error: one rounding of the product and one of the sum (WGSL leaves open whether fma rounds between).

override MODE: u32;

struct Params {
  entries: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> entries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= params.entries * params.width) {
    return;
  }
  let entry = entries[i / params.width];
  let column = i % params.width;
  let coefficient = bitcast<f32>(entry.z);
  let value = vectors[entry.y * params.width + column];
  let at = entry.x * params.width + column;
  if (MODE == 0u) {
    x[at] = fma(coefficient, value, x[at]);
  } else {
    x[at] = coefficient * value;
  }
}
