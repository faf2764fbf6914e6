// attention_decode.wgsl for software adapters: the first keys and values of a sequence are in textures too, where a load costs
// a fraction of one from a buffer (see matmul_texel.wgsl). Formula, layouts, order of sums, error bound and bits are the same.
// info   [tokens + ⌈tokens/4⌉] as there, then of each token how many of the keys that it sees, from the first on, the textures hold
// k_texels, v_texels as k and v, in rows of 1024 texels
//
// Eight lanes a (token, key head), SIDES of them in a workgroup. In turns of 64 keys: a lane takes eight keys side by side, for HEADS heads at once, and then
// every eighth vec4 of the dimensions, two of them at once where there are more than eight.

override HEADS: u32; // query heads at once: 1 … 4, a divisor of GROUP
override SIDES: u32; // key heads of a workgroup, a divisor of theirs
override NORM: bool; override WINDOWED: bool; override SOFTCAP: bool;
override GROUP: u32; override QUERIES: u32; // query heads of a key head, and vec4s that they have in all
override WIDE: bool = QUERIES > 8u * GROUP; override KEEP: bool = QUERIES <= 16u * GROUP; // sums stay in registers between turns
struct Params { tokens: u32, heads: u32, kv_heads: u32, head_vec4: u32, half: u32, window: u32, scale: f32, eps: f32, cap: f32 }
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> q_norm: array<f32>; @group(0) @binding(2) var<storage, read> k_norm: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<vec2<f32>>; @group(0) @binding(4) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> k: array<vec4<f32>>; @group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(8) var k_texels: texture_storage_2d<rgba32uint, read>; @group(0) @binding(9) var v_texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(10) var<uniform> p: Params;
var<workgroup> roots: array<f32, SIDES * (GROUP + 1u)>; var<workgroup> queries: array<vec4<f32>, SIDES * QUERIES>;
var<workgroup> maxima: array<vec4<f32>, SIDES * 8u>; var<workgroup> weights: array<vec4<f32>, SIDES * 64u>; // [side, head, 16] of four keys
var<private> side: u32; var<private> lane: u32; var<private> place: vec4<u32>; var<private> head: u32; var<private> first: u32; var<private> end: u32;
var<private> before: vec4<f32>; var<private> total: vec4<f32>; // the highest scores and the sums of weights so far, by heads
var<private> near: mat4x4<f32>; var<private> far: mat4x4<f32>; var<private> part: vec4<f32>; // sums by heads, of both vec4s
// As in attention_decode.wgsl, down to key_at.
fn root(at: u32, dim: u32) -> f32 { var sums = 0.0;
  for (var start = 0u; start < dim; start += 64u) { var sum = 0.0;
    for (var i = start; i < min(start + 64u, dim); i++) { sum = fma(qkv[at + i], qkv[at + i], sum); }
    sums += sum;
  }
  return sqrt(sums / f32(dim) + p.eps);
}
fn normed(at: u32, i: u32, root: f32, key: bool) -> f32 {
  if (!NORM) { return qkv[at + i]; } return select(q_norm[i], k_norm[i], key) * (qkv[at + i] / root); }
fn turned(at: u32, i: u32, root: f32, key: bool) -> f32 {
  let x = normed(at, i, root, key); if (i >= 2u * p.half) { return x; }
  let turn = tables[place.w * p.half + i % p.half];
  if (i < p.half) { return fma(x, turn.x, -(normed(at, i + p.half, root, key) * turn.y)); }
  return fma(x, turn.x, normed(at, i - p.half, root, key) * turn.y);
}
fn turned4(at: u32, i: u32, root: f32, key: bool) -> vec4<f32> {
  return vec4(turned(at, i, root, key), turned(at, i + 1u, root, key), turned(at, i + 2u, root, key), turned(at, i + 3u, root, key)); }
fn key_at(j: u32) -> u32 {
  let key = min(j, place.w);
  return (select(place.z + key - place.y, place.x + key, key < place.y) * p.kv_heads + head) * p.head_vec4;
}
fn keys_at(j: u32) -> vec4<u32> { return vec4(key_at(j), key_at(j + 1u), key_at(j + 2u), key_at(j + 3u)); }
fn key(i: u32, held: bool) -> vec4<f32> {
  if (held) { return bitcast<vec4<f32>>(textureLoad(k_texels, vec2(i % 1024u, i / 1024u))); } return k[i];
}
fn value(i: u32, held: bool) -> vec4<f32> {
  if (held) { return bitcast<vec4<f32>>(textureLoad(v_texels, vec2(i % 1024u, i / 1024u))); } return v[i];
}
fn four(at: vec4<u32>, d: u32, held: bool) -> mat4x4<f32> { return transpose(mat4x4(key(at.x + d, held), key(at.y + d, held), key(at.z + d, held), key(at.w + d, held))); }
fn dot4(a: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> { return fma(a.wwww, b[3], fma(a.zzzz, b[2], fma(a.yyyy, b[1], fma(a.xxxx, b[0], acc)))); }
// What is still to be multiplied into a score, and whole scores where nothing is: as in attention_decode.wgsl.
fn scale() -> f32 { return select(p.scale, 1.0, SOFTCAP); }
fn capped(a: vec4<f32>) -> vec4<f32> {
  let z = p.scale * a / p.cap; let size = abs(z); let t = z * z;
  let small = z * fma(t, t + 105.0, vec4(945.0)) / fma(t, fma(vec4(15.0), t, vec4(420.0)), vec4(945.0));
  let e = exp(-2.0 * select(size, vec4(20.0), size > vec4(20.0))); let large = (1.0 - e) / (1.0 + e);
  return p.cap * select(select(large, -large, z < vec4(0.0)), small, size < vec4(0.75));
}
fn capped4(m: mat4x4<f32>) -> mat4x4<f32> { return mat4x4(capped(m[0]), capped(m[1]), capped(m[2]), capped(m[3])); }
// The highest of the scores of keys j … j + 3 that are seen, and of `most`.
fn highest(b: vec4<f32>, seen: vec4<bool>, most: f32) -> f32 {
  let s = select(vec4(most), scale() * b, seen); return max(most, max(max(s.x, s.y), max(s.z, s.w)));
}
fn put(h: u32, low: vec4<f32>, high: vec4<f32>, top: f32) { let i = 64u * side + 16u * h + 2u * lane; let s = vec4(scale());
  weights[i] = exp(fma(s, low, vec4(-top))); weights[i + 1u] = exp(fma(s, high, vec4(-top))); }
fn shrunk(m: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> { return mat4x4(m[0] * by.x, m[1] * by.y, m[2] * by.z, m[3] * by.w); }
fn added(m: mat4x4<f32>, w: vec4<f32>, x: vec4<f32>, seen: bool) -> mat4x4<f32> {
  return mat4x4(select(m[0], fma(w.xxxx, x, m[0]), seen), select(m[1], fma(w.yyyy, x, m[1]), seen),
    select(m[2], fma(w.zzzz, x, m[2]), seen), select(m[3], fma(w.wwww, x, m[3]), seen));
}
fn add(w: vec4<f32>, x: vec4<f32>, y: vec4<f32>, seen: bool) {
  part = select(part, part + w, seen); near = added(near, w, x, seen); if (WIDE) { far = added(far, w, y, seen); }
}
// The place of head h's part, or the last head's: what is done with it twice is not used.
fn slot(h: u32, size: u32) -> u32 { return min(h, HEADS - 1u) * size; }
fn load(at: u32, width: u32) -> mat4x4<f32> { return mat4x4(out[at], out[at + slot(1u, width)], out[at + slot(2u, width)], out[at + slot(3u, width)]); }
fn store(at: u32, sums: mat4x4<f32>, whole: vec4<f32>) {
  out[at] = sums[0] / whole.x; if (HEADS > 1u) { out[at + p.head_vec4] = sums[1] / whole.y; }
  if (HEADS > 2u) { out[at + 2u * p.head_vec4] = sums[2] / whole.z; } if (HEADS > 3u) { out[at + 3u * p.head_vec4] = sums[3] / whole.w; }
}
// Keys start … start + 63, for the heads whose queries begin at q; all are held, or none counts as held; all are seen, or it is looked up.
fn turn(start: u32, q: u32, to: u32, held: bool, all: bool) {
  let j = start + 8u * lane; let a = keys_at(j); let b = keys_at(j + 4u); let width = p.head_vec4;
  var low = mat4x4<f32>(); var high = mat4x4<f32>(); // scores by heads, of the first and the last four keys
  for (var s = 0u; s < width; s += 16u) { var x = mat4x4<f32>(); var y = mat4x4<f32>();
    for (var d = s; d < min(s + 16u, width); d++) {
      let m = four(a, d, held); let n = four(b, d, held); let q0 = queries[q + d];
      x[0] = dot4(q0, m, x[0]); y[0] = dot4(q0, n, y[0]);
      if (HEADS > 1u) { let q1 = queries[q + width + d]; x[1] = dot4(q1, m, x[1]); y[1] = dot4(q1, n, y[1]); }
      if (HEADS > 2u) { let q2 = queries[q + 2u * width + d]; x[2] = dot4(q2, m, x[2]); y[2] = dot4(q2, n, y[2]); }
      if (HEADS > 3u) { let q3 = queries[q + 3u * width + d]; x[3] = dot4(q3, m, x[3]); y[3] = dot4(q3, n, y[3]); }
    }
    low += x; high += y;
  }
  if (SOFTCAP) { low = capped4(low); high = capped4(high); }
  let i = vec4(j) + vec4(0u, 1u, 2u, 3u);
  let l = vec4(all) | ((i >= vec4(first)) & (i < vec4(end))); let h = vec4(all) | ((i + 4u >= vec4(first)) & (i + 4u < vec4(end)));
  maxima[8u * side + lane] = vec4(highest(low[0], l, highest(high[0], h, before.x)), highest(low[1], l, highest(high[1], h, before.y)),
    highest(low[2], l, highest(high[2], h, before.z)), highest(low[3], l, highest(high[3], h, before.w))); workgroupBarrier();
  var top = before; for (var o = 0u; o < 8u; o++) { top = max(top, maxima[8u * side + o]); }
  put(0u, low[0], high[0], top.x); if (HEADS > 1u) { put(1u, low[1], high[1], top.y); }
  if (HEADS > 2u) { put(2u, low[2], high[2], top.z); } if (HEADS > 3u) { put(3u, low[3], high[3], top.w); }
  workgroupBarrier(); let by = exp(before - top); var sum = total; // without a meaning where a lane has no dimension
  for (var d = lane; d < width; d += 16u) {
    let e = min(d + 8u, width - 1u);
    if (!KEEP) { near = mat4x4<f32>(); far = mat4x4<f32>(); if (start > first) { near = load(to + d, width); far = load(to + e, width); } }
    near = shrunk(near, by); far = shrunk(far, by); part = vec4<f32>();
    for (var o = (max(start, first) - start) / 4u; o < (min(start + 64u, end) - start + 3u) / 4u; o++) {
      let at = keys_at(start + 4u * o); let n = vec4(start + 4u * o) + vec4(0u, 1u, 2u, 3u);
      let seen = vec4(all) | ((n >= vec4(first)) & (n < vec4(end)));
      let i = 64u * side + o; let w = transpose(mat4x4(weights[i], weights[i + slot(1u, 16u)], weights[i + slot(2u, 16u)], weights[i + slot(3u, 16u)]));
      add(w[0], value(at.x + d, held), value(at.x + e, held), seen.x); add(w[1], value(at.y + d, held), value(at.y + e, held), seen.y);
      add(w[2], value(at.z + d, held), value(at.z + e, held), seen.z); add(w[3], value(at.w + d, held), value(at.w + e, held), seen.w);
    }
    sum = fma(total, by, part); let last = start + 64u >= end;
    if (!KEEP || last) { store(to + d, near, select(vec4(1.0), sum, last)); if (WIDE && d + 8u < width) { store(to + e, far, select(vec4(1.0), sum, last)); } }
  }
  total = sum; before = top;
}

@compute @workgroup_size(8 * SIDES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let id = (group.y * groups.x + group.x) * SIDES; if (id >= p.tokens * p.kv_heads) { return; }
  let t = id / p.kv_heads; let width = p.head_vec4; side = index / 8u; lane = index % 8u; head = id % p.kv_heads + side; place = info[t];
  let root_at = side * (GROUP + 1u); let query_at = side * QUERIES;
  let own_q = (t * (p.heads + 2u * p.kv_heads) + head * GROUP) * 4u * width;
  let own_k = own_q + (p.heads + head - head * GROUP) * 4u * width;
  if (NORM) { for (var h = lane; h <= GROUP; h += 8u) { roots[root_at + h] = root(select(own_q + 4u * h * width, own_k, h == GROUP), 4u * width); } } workgroupBarrier();
  for (var i = lane; i < GROUP * width; i += 8u) { queries[query_at + i] = turned4(own_q + i / width * 4u * width, i % width * 4u, roots[root_at + i / width], false); }
  for (var d = lane; d < width; d += 8u) {
    let i = own_k + 4u * (p.kv_heads * width + d);
    k[key_at(place.w) + d] = turned4(own_k, 4u * d, roots[root_at + GROUP], true); v[key_at(place.w) + d] = vec4(qkv[i], qkv[i + 1u], qkv[i + 2u], qkv[i + 3u]);
  }
  storageBarrier(); workgroupBarrier();
  // Keys first … end − 1 are seen. What barriers depend on is no private variable, whose uniformity no compiler sees.
  let past = info[t].w + 1u; let begin = past - min(past, p.window); end = past; first = begin; let held = info[p.tokens + t / 4u][t % 4u];
  for (var g = 0u; g < GROUP; g += HEADS) {
    before = vec4(-3e38); total = vec4<f32>(); near = mat4x4<f32>(); far = mat4x4<f32>();
    let to = ((id + side) * GROUP + g) * width; let q = query_at + g * width; var start = begin / 64u * 64u;
    for (; start + 64u <= held; start += 64u) { turn(start, q, to, true, !WINDOWED); }
    for (; start < past; start += 64u) { turn(start, q, to, false, false); }
  }
}
