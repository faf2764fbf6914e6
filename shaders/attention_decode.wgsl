// Attention of batches that bring one token a sequence, from the projections on: norm of the heads of q and k, rotation,
// the key's and the value's way into the cache, causal attention with grouped query heads. One workgroup a (token, key head).
// For software adapters without room for textures (attention_decode_texel.wgsl); attention_decode_staged.wgsl is the one for GPUs.
//
//   q', k' = rope(norm(q), position), rope(norm(k), position)      norm where NORM says so: see rmsnorm.wgsl, rope.wgsl
//   k[row], v[row] = k', v        out = attention(q', k, v)        row = own_start + position − prefix_length; SOFTCAP as there
//
// qkv [tokens, (heads + 2·kv_heads)·head_dim] f32: queries, keys, values; q_norm, k_norm [head_dim] f32, read with NORM only;
// tables, info as in rope.wgsl; k, v [rows, kv_heads, head_dim], out [tokens, heads, head_dim] f32 as in attention.wgsl
// Sums:  those of rmsnorm.wgsl, rope.wgsl and attention.wgsl, and the same bits, whatever HEADS is.
// Error: of the key 2u·(|x·cos| + |y·sin|), u = 2^-24, and the errors of x and y (see rmsnorm.wgsl) turned with them; of out
//        that of attention.wgsl, with |scale|·Σ(|δq·k| + |q·δk|)/u more in a score's a[j] for the errors of q' and k'.
//
// In turns of 64 keys: first every lane takes keys, for HEADS heads at once, then every lane takes dimensions. The heads of a
// group share what is loaded of keys and values; out holds the sums from one turn to the next.

const LANES = 8u;
override HEADS: u32; // query heads at once: 1 … 4, a divisor of GROUP
override NORM: bool; override SOFTCAP: bool;
override GROUP: u32; override QUERIES: u32; // query heads of a key head, and vec4s that they have in all

struct Params { tokens: u32, heads: u32, kv_heads: u32, head_vec4: u32, half: u32, window: u32, scale: f32, eps: f32, cap: f32 }
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> q_norm: array<f32>; @group(0) @binding(2) var<storage, read> k_norm: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<vec2<f32>>; @group(0) @binding(4) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> k: array<vec4<f32>>; @group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>; @group(0) @binding(8) var<uniform> p: Params;
var<workgroup> roots: array<f32, GROUP + 1u>; var<workgroup> queries: array<vec4<f32>, QUERIES>;
var<workgroup> maxima: array<vec4<f32>, LANES>;
var<workgroup> weights: array<vec4<f32>, 64>; // a key's, of four heads

// The root of the mean square of a head.
fn root(first: u32, dim: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < dim; start += 64u) {
    var sum = 0.0;
    for (var i = start; i < min(start + 64u, dim); i++) { sum = fma(qkv[first + i], qkv[first + i], sum); }
    total += sum;
  }
  return sqrt(total / f32(dim) + p.eps);
}
fn normed(head: u32, i: u32, root: f32, key: bool) -> f32 {
  if (!NORM) { return qkv[head + i]; } return select(q_norm[i], k_norm[i], key) * (qkv[head + i] / root);
}
// Element i of the head that begins at head, normed and turned.
fn turned(head: u32, i: u32, position: u32, root: f32, key: bool) -> f32 {
  let x = normed(head, i, root, key); if (i >= 2u * p.half) { return x; }
  let turn = tables[position * p.half + i % p.half];
  if (i < p.half) { return fma(x, turn.x, -(normed(head, i + p.half, root, key) * turn.y)); }
  return fma(x, turn.x, normed(head, i - p.half, root, key) * turn.y);
}
fn turned4(head: u32, i: u32, position: u32, h: u32, key: bool) -> vec4<f32> {
  return vec4(turned(head, i, position, roots[h], key), turned(head, i + 1u, position, roots[h], key),
    turned(head, i + 2u, position, roots[h], key), turned(head, i + 3u, position, roots[h], key));
}

// The vec4 at which key j's head begins; keys past the last repeat it.
fn key_at(place: vec4<u32>, j: u32, head: u32) -> u32 {
  let key = min(j, place.w);
  return (select(place.z + key - place.y, place.x + key, key < place.y) * p.kv_heads + head) * p.head_vec4;
}
fn dot4(a: vec4<f32>, b: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> { return fma(a.wwww, b[3], fma(a.zzzz, b[2], fma(a.yyyy, b[1], fma(a.xxxx, b[0], acc)))); }
// What is still to be multiplied into what scores() gives.
fn scale() -> f32 { return select(p.scale, 1.0, SOFTCAP); }
// As in softcap.wgsl.
fn capped(a: vec4<f32>) -> vec4<f32> {
  let z = p.scale * a / p.cap; let size = abs(z); let t = z * z;
  let near = z * fma(t, t + 105.0, vec4(945.0)) / fma(t, fma(vec4(15.0), t, vec4(420.0)), vec4(945.0));
  let e = exp(-2.0 * select(size, vec4(20.0), size > vec4(20.0))); let far = (1.0 - e) / (1.0 + e);
  return p.cap * select(select(far, -far, z < vec4(0.0)), near, size < vec4(0.75));
}
// ⟨q, k⟩, with SOFTCAP the whole scores, of keys j, j + LANES, j + 2·LANES and j + 3·LANES: a column a key, a row a head.
fn scores(place: vec4<u32>, j: u32, head: u32, q: u32) -> mat4x4<f32> {
  let at = vec4(key_at(place, j, head), key_at(place, j + LANES, head), key_at(place, j + 2u * LANES, head), key_at(place, j + 3u * LANES, head));
  var total = mat4x4<f32>();
  for (var start = 0u; start < p.head_vec4; start += 16u) {
    var acc = mat4x4<f32>();
    for (var d = start; d < min(start + 16u, p.head_vec4); d++) {
      let b = transpose(mat4x4(k[at.x + d], k[at.y + d], k[at.z + d], k[at.w + d]));
      acc[0] = dot4(queries[q + d], b, acc[0]);
      if (HEADS > 1u) { acc[1] = dot4(queries[q + p.head_vec4 + d], b, acc[1]); }
      if (HEADS > 2u) { acc[2] = dot4(queries[q + 2u * p.head_vec4 + d], b, acc[2]); }
      if (HEADS > 3u) { acc[3] = dot4(queries[q + 3u * p.head_vec4 + d], b, acc[3]); }
    }
    total += acc;
  }
  if (SOFTCAP) { total = mat4x4(capped(total[0]), capped(total[1]), capped(total[2]), capped(total[3])); }
  return transpose(total);
}
// The highest scores: those before, and these as far as they are of keys first … end − 1.
fn highest(b: mat4x4<f32>, j: u32, first: u32, end: u32, before: vec4<f32>) -> vec4<f32> {
  let keys = j + LANES * vec4(0u, 1u, 2u, 3u);
  let seen = (keys >= vec4(first)) & (keys < vec4(end));
  let low = max(select(before, scale() * b[0], seen.x), select(before, scale() * b[1], seen.y));
  return max(before, max(low, max(select(before, scale() * b[2], seen.z), select(before, scale() * b[3], seen.w))));
}
fn put(b: mat4x4<f32>, i: u32, top: vec4<f32>) {
  weights[i] = exp(fma(vec4(scale()), b[0], -top)); weights[i + LANES] = exp(fma(vec4(scale()), b[1], -top));
  weights[i + 2u * LANES] = exp(fma(vec4(scale()), b[2], -top)); weights[i + 3u * LANES] = exp(fma(vec4(scale()), b[3], -top));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let id = group.y * groups.x + group.x;
  let head = id % p.kv_heads; // of the keys
  if (id >= p.tokens * p.kv_heads) { return; }
  let place = info[id / p.kv_heads]; let width = p.head_vec4;
  let own_q = (id / p.kv_heads * (p.heads + 2u * p.kv_heads) + head * GROUP) * 4u * width;
  let own_k = own_q + (p.heads + head - head * GROUP) * 4u * width;
  if (NORM) { for (var h = lane; h <= GROUP; h += LANES) { roots[h] = root(select(own_q + 4u * h * width, own_k, h == GROUP), 4u * width); } }
  workgroupBarrier();
  for (var i = lane; i < GROUP * width; i += LANES) { queries[i] = turned4(own_q + i / width * 4u * width, i % width * 4u, place.w, i / width, false); }
  for (var d = lane; d < width; d += LANES) {
    let at = key_at(place, place.w, head) + d; let i = own_k + 4u * (p.kv_heads * width + d);
    k[at] = turned4(own_k, 4u * d, place.w, GROUP, true);
    v[at] = vec4(qkv[i], qkv[i + 1u], qkv[i + 2u], qkv[i + 3u]);
  }
  storageBarrier(); workgroupBarrier();
  let end = place.w + 1u; let first = end - min(end, p.window); // keys first … end − 1 are seen
  for (var g = 0u; g < GROUP; g += HEADS) {
    var before = vec4(-3e38); var total = vec4<f32>();
    for (var start = first / 64u * 64u; start < end; start += 64u) {
      let low = scores(place, start + lane, head, g * width); let high = scores(place, start + lane + 32u, head, g * width);
      maxima[lane] = highest(high, start + lane + 32u, first, end, highest(low, start + lane, first, end, before));
      workgroupBarrier(); var top = before;
      for (var i = 0u; i < LANES; i++) { top = max(top, maxima[i]); }
      put(low, lane, top); put(high, lane + 32u, top);
      workgroupBarrier();
      let shrink = exp(before - top); var sum = total; // without a meaning where a lane has no dimension
      for (var d = lane; d < width; d += LANES) {
        let at = (id * GROUP + g) * width + d;
        var part = vec4<f32>(); var sums = mat4x4<f32>();
        if (start > first) { sums[0] = out[at] * shrink.x; } if (HEADS > 1u && start > first) { sums[1] = out[at + width] * shrink.y; }
        if (HEADS > 2u && start > first) { sums[2] = out[at + 2u * width] * shrink.z; } if (HEADS > 3u && start > first) { sums[3] = out[at + 3u * width] * shrink.w; }
        for (var j = max(start, first); j < min(start + 64u, end); j++) {
          let w = weights[j - start]; let x = v[key_at(place, j, head) + d];
          part += w;
          sums = mat4x4(fma(w.xxxx, x, sums[0]), fma(w.yyyy, x, sums[1]), fma(w.zzzz, x, sums[2]), fma(w.wwww, x, sums[3]));
        }
        sum = fma(total, shrink, part);
        let whole = select(vec4(1.0), sum, start + 64u >= end);
        out[at] = sums[0] / whole.x; if (HEADS > 1u) { out[at + width] = sums[1] / whole.y; }
        if (HEADS > 2u) { out[at + 2u * width] = sums[2] / whole.z; } if (HEADS > 3u) { out[at + 3u * width] = sums[3] / whole.w; }
      }
      total = sum; before = top;
    }
  }
}
