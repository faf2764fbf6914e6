// Rows of weights into a texture, in the order in which few_rows.wgsl goes through them: 32 rows side by side, four for each of
// eight lanes, which then load from places next to each other.
//
//   out[(((b · k/8 + i) · 4 + c) · H + part) · 8 + lane] = the bits of w[32b + 4 · lane + c, 8i + 4 · part …], a texel's worth
//
// w [n, w_stride] f32, f16 or bf16 as stored, w_stride = k, a multiple of 8; H texels hold eight k's: 2 of f32, else 1
// out texels from `first` on, in rows of 1024; rows past n are zeros
// Sums: none. Error: none, bits are copied.

override H: u32;

struct Params { n: u32, k: u32, first: u32, count: u32 } // count of texels

@group(0) @binding(0) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(1) var out: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= p.count) { return; }
  let texels = p.k / 8u * H; // of a row
  let at = i / 8u;
  let row = at / (4u * texels) * 32u + i % 8u * 4u + at / H % 4u;
  var bits = vec4<u32>();
  if (row < p.n) { bits = w[row * texels + at / (4u * H) % (p.k / 8u) * H + at % H]; }
  let to = p.first + i;
  textureStore(out, vec2(to % 1024u, to / 1024u), bits);
}
