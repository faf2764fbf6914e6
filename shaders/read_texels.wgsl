// What a texture holds, for audits and tests: nothing else brings it back.
//
//   out[i] = texel i
//
// texels rows of 1024; out [count] of four words, any bits
// Sums: none. Error: none.

struct Params { count: u32 }
@group(0) @binding(0) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.count) { return; }
  out[i] = textureLoad(texels, vec2(i % 1024u, i / 1024u));
}
