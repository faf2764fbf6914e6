// Attention of many sequences that bring one token each, on software adapters: a thread takes a token and a head, and reads all
// from textures, where turn_texel.wgsl put it. Formula, order of sums, error bound and bits are those of attention.wgsl.
//
// q, k, v in rows of 1024 texels: q [tokens, heads, head_dim], normed and turned; k and v [rows, kv_heads, head_dim]
// info   [tokens] of (prefix_start, prefix_length, own_start, position)
// out    [tokens, heads, head_dim] f32; holds the weighted sums while the chunks go by, and no more than that with TEXELS: what they
//        come to is in texels then, in rows of 1024 of them
// With SHARED: passed [tokens] of how many keys, from the first on, attention_prefix_texel.wgsl has gone through, a multiple of 64,
//        and state [tokens, heads] of (highest score, sum of weights) and out as it left them
//
// In turns of 64 keys, four at a time; what a thread must find again by a variable lies in workgroup memory, as nothing else is quick.

override SOFTCAP: bool; override SHARED: bool; override TEXELS: bool;

struct Params { tokens: u32, heads: u32, kv_heads: u32, head_vec4: u32, window: u32, scale: f32, cap: f32 }
@group(0) @binding(0) var q: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var k: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> passed: array<u32>;
@group(0) @binding(5) var<storage, read> state: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(7) var texels: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(8) var<uniform> p: Params;
var<workgroup> weights: array<f32, 512>; // scores, then weights: of 64 keys by eight lanes, which see only their own
var<private> place: vec4<u32>; var<private> head: u32; // of the key's
var<private> lane: u32;

fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }
fn query(i: u32) -> vec4<f32> { return bitcast<vec4<f32>>(textureLoad(q, place_of(i))); }
fn key(i: u32) -> vec4<f32> { return bitcast<vec4<f32>>(textureLoad(k, place_of(i))); }
fn value(i: u32) -> vec4<f32> { return bitcast<vec4<f32>>(textureLoad(v, place_of(i))); }
// The texel at which key j begins; keys past the token's own repeat it.
fn key_at(j: u32) -> u32 {
  let i = min(j, place.w);
  return (select(place.z + i - place.y, place.x + i, i < place.y) * p.kv_heads + head) * p.head_vec4;
}
fn dot4(a: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
  return fma(a.wwww, b[3], fma(a.zzzz, b[2], fma(a.yyyy, b[1], fma(a.xxxx, b[0], acc))));
}
// As in softcap.wgsl.
fn soft_tanh(z: vec4<f32>) -> vec4<f32> {
  let size = abs(z);
  let t = z * z;
  let near = z * fma(t, t + 105.0, vec4(945.0)) / fma(t, fma(vec4(15.0), t, vec4(420.0)), vec4(945.0));
  let e = exp(-2.0 * select(size, vec4(20.0), size > vec4(20.0)));
  let far = (1.0 - e) / (1.0 + e);
  return select(select(far, -far, z < vec4(0.0)), near, size < vec4(0.75));
}
// Scores of keys j … j + 3 by the query that begins at texel `at`; they are still to be scaled, unless they are capped.
fn scores(j: u32, at: u32) -> vec4<f32> {
  let a = vec4(key_at(j), key_at(j + 1u), key_at(j + 2u), key_at(j + 3u));
  var s = vec4<f32>();
  for (var start = 0u; start < p.head_vec4; start += 16u) {
    var sum = vec4<f32>();
    for (var d = start; d < min(start + 16u, p.head_vec4); d++) {
      sum = dot4(query(at + d), transpose(mat4x4(key(a.x + d), key(a.y + d), key(a.z + d), key(a.w + d))), sum);
    }
    s += sum;
  }
  if (SOFTCAP) { return p.cap * soft_tanh(p.scale * s / p.cap); }
  return s;
}
fn put(i: u32, s: f32) { weights[8u * i + lane] = s; }
fn store(i: u32, sums: vec4<f32>, last: bool) {
  if (TEXELS && last) { textureStore(texels, place_of(i), bitcast<vec4<u32>>(sums)); } else { out[i] = sums; }
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  lane = index;
  let id = (group.y * groups.x + group.x) * 8u + lane;
  if (id >= p.tokens * p.heads) { return; }
  let token = id / p.heads;
  place = info[token]; head = id % p.heads / (p.heads / p.kv_heads);
  let width = p.head_vec4; let at = id * width;
  let scale = select(p.scale, 1.0, SOFTCAP);
  let end = place.w + 1u; let begin = end - min(end, p.window); // keys begin … end − 1 are seen
  var start = begin / 64u * 64u; var top = -3e38; var total = 0.0; var fresh = true;
  if (SHARED) {
    let gone = passed[token];
    if (gone > 0u) { start = gone; top = state[id].x; total = state[id].y; fresh = false; }
  }
  for (; start < end; start += 64u) {
    let first = max(start, begin); let past = min(start + 64u, end);
    let before = top;
    for (var j = first; j < past; j += 4u) {
      let s = scores(j, at); let i = j - start;
      put(i, s.x); top = max(top, scale * s.x);
      if (j + 1u < past) { put(i + 1u, s.y); top = max(top, scale * s.y); }
      if (j + 2u < past) { put(i + 2u, s.z); top = max(top, scale * s.z); }
      if (j + 3u < past) { put(i + 3u, s.w); top = max(top, scale * s.w); }
    }
    var part = 0.0;
    for (var i = first - start; i < past - start; i++) {
      let e = exp(fma(scale, weights[8u * i + lane], -top));
      part += e; put(i, e);
    }
    let by = exp(before - top);
    total = fma(total, by, part);
    let last = past == end; let whole = select(1.0, total, last);
    for (var d = 0u; d < width; d += 4u) {
      let e = min(vec4(d, d + 1u, d + 2u, d + 3u), vec4(width - 1u));
      var sums = mat4x4<f32>();
      if (!fresh) { sums = mat4x4(out[at + e.x] * by, out[at + e.y] * by, out[at + e.z] * by, out[at + e.w] * by); }
      for (var j = first; j < past; j++) {
        let w = vec4(weights[8u * (j - start) + lane]); let a = key_at(j);
        sums = mat4x4(fma(w, value(a + e.x), sums[0]), fma(w, value(a + e.y), sums[1]),
          fma(w, value(a + e.z), sums[2]), fma(w, value(a + e.w), sums[3]));
      }
      store(at + d, sums[0] / whole, last);
      if (d + 1u < width) { store(at + d + 1u, sums[1] / whole, last); }
      if (d + 2u < width) { store(at + d + 2u, sums[2] / whole, last); }
      if (d + 3u < width) { store(at + d + 3u, sums[3] / whole, last); }
    }
    fresh = false;
  }
}
