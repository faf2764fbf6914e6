// Norm and rotation of queries and keys of one token a sequence, and the way of keys and values into the cache; for software
// adapters, before attention_prefix_texel.wgsl and attention_each_texel.wgsl, which read all of it from textures.
//
//   q[token] = rope(norm(q), position)        norm where NORM says so: see rmsnorm.wgsl, rope.wgsl
//   k[row], v[row] = rope(norm(k), position), v        row = own_start + position − prefix_length
//
// qkv, q_norm, k_norm, tables, info, k and v as in attention_decode.wgsl, as vec4s; half a multiple of 4
// q_texels [tokens, heads, head_dim], k_texels and v_texels as k and v, in rows of 1024 texels
// Sums:  those of rmsnorm.wgsl and rope.wgsl, and the same bits.
// Error: 2u·(|x·cos| + |y·sin|), u = 2^-24, and the errors of x and y (see rmsnorm.wgsl) turned with them.
//
// A workgroup takes a token: first a lane has the roots of every eighth head, then every eighth vec4 of each.

override NORM: bool;
override HEADS: u32; // at least heads + kv_heads

struct Params { tokens: u32, heads: u32, kv_heads: u32, head_vec4: u32, half_vec4: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> q_norm: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k_norm: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tables: array<vec4<f32>>; // two dimensions' cos and sin
@group(0) @binding(4) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> k: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var q_texels: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(8) var k_texels: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(9) var v_texels: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(10) var<uniform> p: Params;
var<workgroup> roots: array<f32, HEADS>;

fn root_of(head: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < p.head_vec4; start += 16u) {
    var sum = 0.0;
    for (var d = start; d < min(start + 16u, p.head_vec4); d++) {
      let x = qkv[head * p.head_vec4 + d];
      sum = fma(x.w, x.w, fma(x.z, x.z, fma(x.y, x.y, fma(x.x, x.x, sum))));
    }
    total += sum;
  }
  return sqrt(total / f32(4u * p.head_vec4) + p.eps);
}
fn normed(head: u32, d: u32, root: f32, key: bool) -> vec4<f32> {
  let x = qkv[head * p.head_vec4 + d];
  if (!NORM) { return x; }
  if (key) { return k_norm[d] * (x / root); }
  return q_norm[d] * (x / root);
}
// Vec4 d of a head; half_vec4 of them turn with as many that follow.
fn turned(head: u32, d: u32, position: u32, root: f32, key: bool) -> vec4<f32> {
  let x = normed(head, d, root, key);
  if (d >= 2u * p.half_vec4) { return x; }
  let first = d < p.half_vec4;
  let other = select(d - p.half_vec4, d + p.half_vec4, first);
  let i = 2u * (position * p.half_vec4 + min(d, other));
  let cos = vec4(tables[i].xz, tables[i + 1u].xz);
  let sin = vec4(tables[i].yw, tables[i + 1u].yw);
  let turned = normed(head, other, root, key) * sin;
  return fma(x, cos, select(turned, -turned, first));
}
fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = group.y * groups.x + group.x;
  if (token >= p.tokens) { return; }
  let first = token * (p.heads + 2u * p.kv_heads); // of the heads of all tokens
  if (NORM) { for (var h = lane; h < p.heads + p.kv_heads; h += 8u) { roots[h] = root_of(first + h); } }
  workgroupBarrier();
  let place = info[token];
  let row = place.z + place.w - place.y;
  for (var d = lane; d < p.head_vec4; d += 8u) {
    for (var h = 0u; h < p.heads; h++) {
      let x = turned(first + h, d, place.w, roots[h], false);
      textureStore(q_texels, place_of((token * p.heads + h) * p.head_vec4 + d), bitcast<vec4<u32>>(x));
    }
    for (var h = 0u; h < p.kv_heads; h++) {
      let at = (row * p.kv_heads + h) * p.head_vec4 + d;
      let x = turned(first + p.heads + h, d, place.w, roots[p.heads + h], true);
      let y = qkv[(first + p.heads + p.kv_heads + h) * p.head_vec4 + d];
      k[at] = x;
      v[at] = y;
      textureStore(k_texels, place_of(at), bitcast<vec4<u32>>(x));
      textureStore(v_texels, place_of(at), bitcast<vec4<u32>>(y));
    }
  }
}
