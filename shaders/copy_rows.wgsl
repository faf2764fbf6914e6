// Gathers or scatters rows.
//
//   out[to, i] = x[from, i]        for every pair (from, to)
//
// x, out [·, width] f32; pairs [count] of (from, to). No two pairs may name one `to`.
// Sums: none. Error: none, the bits are copied.

struct Params {
  pairs: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= params.pairs * params.width) {
    return;
  }
  let pair = pairs[i / params.width];
  let column = i % params.width;
  out[pair.y * params.width + column] = x[pair.x * params.width + column];
}
