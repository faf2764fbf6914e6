// Norm and rotation of queries and keys of one token a sequence, and the way of keys and values into the cache; for software
// adapters, before attention_prefix_texel.wgsl and attention_each_texel.wgsl, which read all of it from textures.
//
//   q[token] = rope(norm(q), position)        norm where NORM says so: see rmsnorm.wgsl, rope.wgsl
//   k[row], v[row] = rope(norm(k), position), v        row = own_start + position − prefix_length
//
// qkv, q_norm, k_norm, tables, info, k and v as in attention_decode.wgsl, as vec4s; half a multiple of 4
// qkv and q_texels [tokens, heads, head_dim], k_texels and v_texels as k and v: in rows of 1024 texels
// Sums:  those of rmsnorm.wgsl and rope.wgsl, and the same bits.
// Error: 2u·(|x·cos| + |y·sin|), u = 2^-24, and the errors of x and y (see rmsnorm.wgsl) turned with them.
//
// LANES lanes take a token: first a lane has the roots of every LANES-th head, then every LANES-th pair of vec4s of each that turn
// together.

override NORM: bool;
override HEADS: u32; // at least heads + kv_heads
override LANES: u32; // a divisor of 16

struct Params { tokens: u32, heads: u32, kv_heads: u32, head_vec4: u32, half_vec4: u32, eps: f32 }
@group(0) @binding(0) var qkv: texture_storage_2d<rgba32uint, read>;
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
var<workgroup> roots: array<f32, HEADS * (16u / LANES)>;

fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }
// Vec4 d of a head, of those of all tokens.
fn vector(head: u32, d: u32) -> vec4<f32> { return bitcast<vec4<f32>>(textureLoad(qkv, place_of(head * p.head_vec4 + d))); }
fn root_of(head: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < p.head_vec4; start += 16u) {
    var sum = 0.0;
    for (var d = start; d < min(start + 16u, p.head_vec4); d++) {
      let x = vector(head, d);
      sum = fma(x.w, x.w, fma(x.z, x.z, fma(x.y, x.y, fma(x.x, x.x, sum))));
    }
    total += sum;
  }
  return sqrt(total / f32(4u * p.head_vec4) + p.eps);
}
fn normed(x: vec4<f32>, weight: vec4<f32>, root: f32) -> vec4<f32> {
  if (NORM) { return weight * (x / root); }
  return x;
}
fn put_query(at: u32, x: vec4<f32>) { textureStore(q_texels, place_of(at), bitcast<vec4<u32>>(x)); }
fn put_key(at: u32, x: vec4<f32>) { k[at] = x; textureStore(k_texels, place_of(at), bitcast<vec4<u32>>(x)); }

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let first = (group.y * groups.x + group.x) * (16u / LANES);
  if (first >= p.tokens) { return; }
  let token = min(first + index / LANES, p.tokens - 1u); let lane = index % LANES; let root = index / LANES * HEADS;
  let width = p.head_vec4; let half = p.half_vec4;
  let q_first = token * (p.heads + 2u * p.kv_heads); let k_first = q_first + p.heads; let v_first = k_first + p.kv_heads;
  if (NORM) { for (var h = lane; h < p.heads + p.kv_heads; h += LANES) { roots[root + h] = root_of(q_first + h); } }
  workgroupBarrier();
  if (first + index / LANES >= p.tokens) { return; }
  let place = info[token];
  let q_out = token * p.heads * width; let k_out = (place.z + place.w - place.y) * p.kv_heads * width;
  for (var d = lane; d < half; d += LANES) {
    let e = d + half; let i = 2u * (place.w * half + d);
    let cos = vec4(tables[i].xz, tables[i + 1u].xz); let sin = vec4(tables[i].yw, tables[i + 1u].yw);
    var near = vec4(1.0); var far = vec4(1.0); // the norm's weights
    if (NORM) { near = q_norm[d]; far = q_norm[e]; }
    for (var h = 0u; h < p.heads; h++) {
      let x = normed(vector(q_first + h, d), near, roots[root + h]); let y = normed(vector(q_first + h, e), far, roots[root + h]);
      put_query(q_out + h * width + d, fma(x, cos, -(y * sin)));
      put_query(q_out + h * width + e, fma(y, cos, x * sin));
    }
    if (NORM) { near = k_norm[d]; far = k_norm[e]; }
    for (var h = 0u; h < p.kv_heads; h++) {
      let r = roots[root + p.heads + h];
      let x = normed(vector(k_first + h, d), near, r); let y = normed(vector(k_first + h, e), far, r);
      put_key(k_out + h * width + d, fma(x, cos, -(y * sin)));
      put_key(k_out + h * width + e, fma(y, cos, x * sin));
    }
  }
  // What does not turn.
  for (var d = 2u * half + lane; d < width; d += LANES) {
    var weight = vec4(1.0);
    if (NORM) { weight = q_norm[d]; }
    for (var h = 0u; h < p.heads; h++) { put_query(q_out + h * width + d, normed(vector(q_first + h, d), weight, roots[root + h])); }
    if (NORM) { weight = k_norm[d]; }
    for (var h = 0u; h < p.kv_heads; h++) { put_key(k_out + h * width + d, normed(vector(k_first + h, d), weight, roots[root + p.heads + h])); }
  }
  for (var i = lane; i < p.kv_heads * width; i += LANES) {
    let x = vector(v_first, i);
    v[k_out + i] = x;
    textureStore(v_texels, place_of(k_out + i), bitcast<vec4<u32>>(x));
  }
}
