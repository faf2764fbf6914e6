// The ceiling of memory: y = x, four vec4s a thread, neighbouring threads at neighbouring places.
//
// x, y [count] vec4<f32>

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
struct Params { count: u32 }
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = (group.y * groups.x + group.x) * 256u + lane;
  for (var i = first; i < min(first + 256u, p.count); i += 64u) { y[i] = x[i]; }
}
