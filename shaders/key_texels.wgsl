// Rows of a cache's keys and values into textures, for attention_decode_texel.wgsl.
//
//   k_texels[row], v_texels[row] = k[row], v[row] of each listed row
//
// rows [count] u32; k, v [·, 4 · width] f32, as vec4s; textures in rows of 1024 texels, a vec4 each
// Sums: none. Error: none, bits are copied.

struct Params { count: u32, width: u32 }

@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read> k: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<u32>>;
@group(0) @binding(3) var k_texels: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(4) var v_texels: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.count * p.width) { return; }
  let at = rows[i / p.width] * p.width + i % p.width;
  textureStore(k_texels, vec2(at % 1024u, at / 1024u), k[at]);
  textureStore(v_texels, vec2(at % 1024u, at / 1024u), v[at]);
}
