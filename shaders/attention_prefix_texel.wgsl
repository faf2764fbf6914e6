// Attention of tokens whose sequences share a prefix, on software adapters: the prefix's whole chunks of 64 keys, read once for twelve
// queries. What is left of the prefix, and a sequence's own keys, attention_each_texel.wgsl adds to it. Formula, order of sums, error
// bound and bits are those of attention.wgsl over these keys, without a softcap: with it the code is too long for some drivers.
//
// q, k, v in rows of 1024 texels: q [tokens, heads, head_dim], normed and turned; k and v [rows, kv_heads, head_dim]
// groups [groups, 4] of (four queries), (four queries), (four queries), (first row of the prefix, its keys here: a multiple of 64, —, —);
//        a query is token · share + i: the token's i-th of the `share` heads that read one key head's keys; one that stands there
//        twice is worked out twice
// out    [tokens, heads, head_dim] f32, sums that are still to be divided
// state  [tokens, heads] of (highest score, sum of weights)
//
// A thread takes twelve queries of a key head, and has their scores of a chunk in registers: see attention_texel.wgsl.

override WIDE: bool; // more than 64 dimensions

struct Params { groups: u32, heads: u32, kv_heads: u32, head_vec4: u32, scale: f32 }
@group(0) @binding(0) var q: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var k: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read> groups: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> state: array<vec2<f32>>;
@group(0) @binding(6) var<uniform> p: Params;

// A key each, of four queries: scores, then weights; and scores over all dimensions, where WIDE.
var<private> s0: array<vec4<f32>, 64>; var<private> s1: array<vec4<f32>, 64>; var<private> s2: array<vec4<f32>, 64>;
var<private> t0: array<vec4<f32>, 64>; var<private> t1: array<vec4<f32>, 64>; var<private> t2: array<vec4<f32>, 64>;
var<private> top: mat3x4<f32>; // the highest scores so far
var<private> part: mat3x4<f32>; // sums of the chunk's weights
// A column a query: four dimensions of it, or of its sums.
var<private> x: mat4x4<f32>; var<private> y: mat4x4<f32>; var<private> z: mat4x4<f32>;

fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }
fn queries(at: vec4<u32>) -> mat4x4<f32> {
  return transpose(mat4x4(bitcast<vec4<f32>>(textureLoad(q, place_of(at.x))), bitcast<vec4<f32>>(textureLoad(q, place_of(at.y))),
    bitcast<vec4<f32>>(textureLoad(q, place_of(at.z))), bitcast<vec4<f32>>(textureLoad(q, place_of(at.w)))));
}
fn product(i: u32, at: u32) {
  let b = bitcast<vec4<f32>>(textureLoad(k, place_of(at)));
  s0[i] = fma(x[3], b.wwww, fma(x[2], b.zzzz, fma(x[1], b.yyyy, fma(x[0], b.xxxx, s0[i]))));
  s1[i] = fma(y[3], b.wwww, fma(y[2], b.zzzz, fma(y[1], b.yyyy, fma(y[0], b.xxxx, s1[i]))));
  s2[i] = fma(z[3], b.wwww, fma(z[2], b.zzzz, fma(z[1], b.yyyy, fma(z[0], b.xxxx, s2[i]))));
}
fn add(i: u32) { t0[i] += s0[i]; t1[i] += s1[i]; t2[i] += s2[i]; }
fn highest(i: u32) { top[0] = max(top[0], p.scale * s0[i]); top[1] = max(top[1], p.scale * s1[i]); top[2] = max(top[2], p.scale * s2[i]); }
fn exponential(i: u32) {
  let scale = vec4(p.scale);
  s0[i] = exp(fma(scale, s0[i], -top[0])); s1[i] = exp(fma(scale, s1[i], -top[1])); s2[i] = exp(fma(scale, s2[i], -top[2]));
  part[0] += s0[i]; part[1] += s1[i]; part[2] += s2[i];
}
fn weigh(i: u32, at: u32) {
  let b = bitcast<vec4<f32>>(textureLoad(v, place_of(at))); let e = s0[i]; let f = s1[i]; let g = s2[i];
  x[0] = fma(e.xxxx, b, x[0]); x[1] = fma(e.yyyy, b, x[1]); x[2] = fma(e.zzzz, b, x[2]); x[3] = fma(e.wwww, b, x[3]);
  y[0] = fma(f.xxxx, b, y[0]); y[1] = fma(f.yyyy, b, y[1]); y[2] = fma(f.zzzz, b, y[2]); y[3] = fma(f.wwww, b, y[3]);
  z[0] = fma(g.xxxx, b, z[0]); z[1] = fma(g.yyyy, b, z[1]); z[2] = fma(g.zzzz, b, z[2]); z[3] = fma(g.wwww, b, z[3]);
}
fn product4(i: u32, at: u32, n: u32) { product(i, at); product(i + 1u, at + n); product(i + 2u, at + 2u * n); product(i + 3u, at + 3u * n); }
fn product16(i: u32, at: u32, n: u32) { product4(i, at, n); product4(i + 4u, at + 4u * n, n); product4(i + 8u, at + 8u * n, n); product4(i + 12u, at + 12u * n, n); }
fn add4(i: u32) { add(i); add(i + 1u); add(i + 2u); add(i + 3u); }
fn add16(i: u32) { add4(i); add4(i + 4u); add4(i + 8u); add4(i + 12u); }
fn highest4(i: u32) { highest(i); highest(i + 1u); highest(i + 2u); highest(i + 3u); }
fn highest16(i: u32) { highest4(i); highest4(i + 4u); highest4(i + 8u); highest4(i + 12u); }
fn exponential4(i: u32) { exponential(i); exponential(i + 1u); exponential(i + 2u); exponential(i + 3u); }
fn exponential16(i: u32) { exponential4(i); exponential4(i + 4u); exponential4(i + 8u); exponential4(i + 12u); }
fn weigh4(i: u32, at: u32, n: u32) { weigh(i, at); weigh(i + 1u, at + n); weigh(i + 2u, at + 2u * n); weigh(i + 3u, at + 3u * n); }
fn weigh16(i: u32, at: u32, n: u32) { weigh4(i, at, n); weigh4(i + 4u, at + 4u * n, n); weigh4(i + 8u, at + 8u * n, n); weigh4(i + 12u, at + 12u * n, n); }
fn shrunk(at: vec4<u32>, by: vec4<f32>) -> mat4x4<f32> { return mat4x4(out[at.x] * by.x, out[at.y] * by.y, out[at.z] * by.z, out[at.w] * by.w); }
fn store(at: vec4<u32>, m: mat4x4<f32>) { out[at.x] = m[0]; out[at.y] = m[1]; out[at.z] = m[2]; out[at.w] = m[3]; }

fn put(at: vec4<u32>, top: vec4<f32>, total: vec4<f32>) {
  state[at.x] = vec2(top.x, total.x); state[at.y] = vec2(top.y, total.y); state[at.z] = vec2(top.z, total.z); state[at.w] = vec2(top.w, total.w);
}

// Where the queries of a key head stand in q, out and state.
fn places(queries: vec4<u32>, head: u32) -> vec4<u32> {
  let share = p.heads / p.kv_heads;
  return queries / share * (p.heads - share) + queries + head * share;
}

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * workgroups.x + group.x) * 16u + lane;
  if (id >= p.groups * p.kv_heads) { return; }
  let g = 4u * (id / p.kv_heads); let head = id % p.kv_heads; let width = p.head_vec4;
  let first = places(groups[g], head); let second = places(groups[g + 1u], head); let third = places(groups[g + 2u], head);
  let prefix = groups[g + 3u]; let stride = p.kv_heads * width;
  var total = mat3x4<f32>(); top = mat3x4(vec4(-3e38), vec4(-3e38), vec4(-3e38));
  for (var start = 0u; start < prefix.y; start += 64u) {
    let at = (prefix.x + start) * stride + head * width;
    if (WIDE) { t0 = array<vec4<f32>, 64>(); t1 = array<vec4<f32>, 64>(); t2 = array<vec4<f32>, 64>(); }
    for (var outer = 0u; outer < width; outer += 16u) {
      s0 = array<vec4<f32>, 64>(); s1 = array<vec4<f32>, 64>(); s2 = array<vec4<f32>, 64>();
      for (var d = outer; d < min(outer + 16u, width); d++) {
        x = queries(first * width + d); y = queries(second * width + d); z = queries(third * width + d); let a = at + d;
        product16(0u, a, stride); product16(16u, a + 16u * stride, stride); product16(32u, a + 32u * stride, stride); product16(48u, a + 48u * stride, stride);
      }
      if (WIDE) { add16(0u); add16(16u); add16(32u); add16(48u); }
    }
    if (WIDE) { s0 = t0; s1 = t1; s2 = t2; }
    let before = top; part = mat3x4<f32>();
    highest16(0u); highest16(16u); highest16(32u); highest16(48u);
    exponential16(0u); exponential16(16u); exponential16(32u); exponential16(48u);
    let shrink = mat3x4(exp(before[0] - top[0]), exp(before[1] - top[1]), exp(before[2] - top[2]));
    total = mat3x4(fma(total[0], shrink[0], part[0]), fma(total[1], shrink[1], part[1]), fma(total[2], shrink[2], part[2]));
    for (var d = 0u; d < width; d++) {
      x = mat4x4<f32>(); y = mat4x4<f32>(); z = mat4x4<f32>(); let a = at + d;
      if (start > 0u) { x = shrunk(first * width + d, shrink[0]); y = shrunk(second * width + d, shrink[1]); z = shrunk(third * width + d, shrink[2]); }
      weigh16(0u, a, stride); weigh16(16u, a + 16u * stride, stride); weigh16(32u, a + 32u * stride, stride); weigh16(48u, a + 48u * stride, stride);
      store(first * width + d, x); store(second * width + d, y); store(third * width + d, z);
    }
  }
  put(first, top[0], total[0]); put(second, top[1], total[1]); put(third, top[2], total[2]);
}
