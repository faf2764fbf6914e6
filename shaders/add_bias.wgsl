// Bias of a linear layer, in place.
//
//   x[r, first + i] ← x[r, first + i] + bias[i]
//
// x [rows, stride] f32, of which width columns from first on are meant; bias [width] f32. Sums: none. Error: one rounding.

struct Params {
  rows: u32,
  width: u32,
  stride: u32,
  first: u32,
}

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i < params.rows * params.width) {
    let at = i / params.width * params.stride + params.first + i % params.width;
    x[at] = x[at] + bias[i % params.width];
  }
}
