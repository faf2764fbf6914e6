// Attention of many sequences that bring one token each, on software adapters: a thread takes a token and HEADS heads that read
// the same keys, all of it from textures, where turn_texel.wgsl put it. Formula, order of sums, error bound and bits are those of attention.wgsl.
//
// q, k, v in rows of 1024 texels: q [tokens, heads, head_dim], normed and turned; k and v [rows, kv_heads, head_dim]
// info   [tokens] of (prefix_start, prefix_length, own_start, position)
// out    [tokens, heads, head_dim] f32; holds the weighted sums while the chunks go by, and no more than that with TEXELS: what they
//        come to is in texels then, in rows of 1024 of them
// With SHARED: passed [tokens] of how many keys, from the first on, attention_prefix_texel.wgsl has gone through, a multiple of 64,
//        and state [tokens, heads] of (highest score, sum of weights) and out as it left them
//
// In turns of 64 keys, four at a time; what a thread must find again by a variable lies in workgroup memory, as nothing else is quick.

override HEADS: u32; // 1 … 4, a divisor of heads / kv_heads
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
var<workgroup> weights: array<vec4<f32>, 1024>; // scores, then weights, by heads: of 64 keys by sixteen lanes, which see only their own
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
// Scores of keys j … j + 3, a column each, by the heads whose queries begin at texel `at`; still to be scaled, unless they are capped.
fn scores(j: u32, at: u32) -> mat4x4<f32> {
  let a = vec4(key_at(j), key_at(j + 1u), key_at(j + 2u), key_at(j + 3u)); let width = p.head_vec4;
  var s = mat4x4<f32>();
  for (var start = 0u; start < width; start += 16u) {
    var sum = mat4x4<f32>();
    for (var d = start; d < min(start + 16u, width); d++) {
      let b = transpose(mat4x4(key(a.x + d), key(a.y + d), key(a.z + d), key(a.w + d)));
      sum[0] = dot4(query(at + d), b, sum[0]);
      if (HEADS > 1u) { sum[1] = dot4(query(at + width + d), b, sum[1]); }
      if (HEADS > 2u) { sum[2] = dot4(query(at + 2u * width + d), b, sum[2]); }
      if (HEADS > 3u) { sum[3] = dot4(query(at + 3u * width + d), b, sum[3]); }
    }
    s += sum;
  }
  if (SOFTCAP) {
    for (var h = 0u; h < HEADS; h++) { s[h] = p.cap * soft_tanh(p.scale * s[h] / p.cap); }
  }
  return transpose(s);
}
fn put(i: u32, s: vec4<f32>) { weights[16u * i + lane] = s; }
fn store(i: u32, sums: vec4<f32>, last: bool) {
  if (TEXELS && last) { textureStore(texels, place_of(i), bitcast<vec4<u32>>(sums)); } else { out[i] = sums; }
}
// A vec4 of the dimensions, by heads: what is summed up, and where it goes.
fn place_in(h: u32) -> u32 { return min(h, HEADS - 1u) * p.head_vec4; }
fn shrunk(at: u32, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(out[at] * by.x, out[at + place_in(1u)] * by.y, out[at + place_in(2u)] * by.z, out[at + place_in(3u)] * by.w);
}
fn added(sums: mat4x4<f32>, w: vec4<f32>, v: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(fma(w.xxxx, v, sums[0]), fma(w.yyyy, v, sums[1]), fma(w.zzzz, v, sums[2]), fma(w.wwww, v, sums[3]));
}
fn store_heads(at: u32, sums: mat4x4<f32>, whole: vec4<f32>, last: bool) {
  store(at, sums[0] / whole.x, last);
  if (HEADS > 1u) { store(at + p.head_vec4, sums[1] / whole.y, last); }
  if (HEADS > 2u) { store(at + 2u * p.head_vec4, sums[2] / whole.z, last); }
  if (HEADS > 3u) { store(at + 3u * p.head_vec4, sums[3] / whole.w, last); }
}

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  lane = index;
  let id = ((group.y * groups.x + group.x) * 16u + lane) * HEADS;
  if (id >= p.tokens * p.heads) { return; }
  let token = id / p.heads;
  place = info[token]; head = id % p.heads / (p.heads / p.kv_heads);
  let width = p.head_vec4; let at = id * width;
  let scale = select(p.scale, 1.0, SOFTCAP);
  let end = place.w + 1u; let begin = end - min(end, p.window); // keys begin … end − 1 are seen
  var start = begin / 64u * 64u; var top = vec4(-3e38); var total = vec4<f32>(); var fresh = true; // by heads
  if (SHARED) {
    let gone = passed[token];
    if (gone > 0u) {
      let a = state[id]; let b = state[id + min(1u, HEADS - 1u)]; let c = state[id + min(2u, HEADS - 1u)]; let d = state[id + HEADS - 1u];
      start = gone; top = vec4(a.x, b.x, c.x, d.x); total = vec4(a.y, b.y, c.y, d.y); fresh = false;
    }
  }
  for (; start < end; start += 64u) {
    let first = max(start, begin); let past = min(start + 64u, end);
    let before = top;
    for (var j = first; j < past; j += 4u) {
      let s = scores(j, at); let i = j - start;
      put(i, s[0]); top = max(top, scale * s[0]);
      if (j + 1u < past) { put(i + 1u, s[1]); top = max(top, scale * s[1]); }
      if (j + 2u < past) { put(i + 2u, s[2]); top = max(top, scale * s[2]); }
      if (j + 3u < past) { put(i + 3u, s[3]); top = max(top, scale * s[3]); }
    }
    var part = vec4<f32>();
    for (var i = first - start; i < past - start; i++) {
      let e = exp(fma(vec4(scale), weights[16u * i + lane], -top));
      part += e; put(i, e);
    }
    let by = exp(before - top);
    total = fma(total, by, part);
    let last = past == end; let whole = select(vec4(1.0), total, last);
    for (var d = 0u; d < width; d += 4u) {
      let e = min(vec4(d, d + 1u, d + 2u, d + 3u), vec4(width - 1u));
      var x = mat4x4<f32>(); var y = mat4x4<f32>(); var z = mat4x4<f32>(); var u = mat4x4<f32>(); // by heads, of four vec4s
      if (!fresh) { x = shrunk(at + e.x, by); y = shrunk(at + e.y, by); z = shrunk(at + e.z, by); u = shrunk(at + e.w, by); }
      for (var j = first; j < past; j++) {
        let w = weights[16u * (j - start) + lane]; let a = key_at(j);
        x = added(x, w, value(a + e.x)); y = added(y, w, value(a + e.y));
        z = added(z, w, value(a + e.z)); u = added(u, w, value(a + e.w));
      }
      store_heads(at + d, x, whole, last);
      if (d + 1u < width) { store_heads(at + d + 1u, y, whole, last); }
      if (d + 2u < width) { store_heads(at + d + 2u, z, whole, last); }
      if (d + 3u < width) { store_heads(at + d + 3u, u, whole, last); }
    }
    fresh = false;
  }
}
