// attention_decode.wgsl for GPUs: the same inputs and outputs, order of sums, error bound and bits. There is one workgroup a (token, key
// head), which is few, so that time goes by in waiting for memory: all lanes fetch values ahead, and sums stay with their lanes.
//
//   q', k' = rope(norm(q), position), rope(norm(k), position)      norm where NORM says so: see rmsnorm.wgsl, rope.wgsl
//   k[row], v[row] = k', v        out = attention(q', k', v)        row = own_start + position − prefix_length; SOFTCAP as there
//
// qkv [tokens, (heads + 2·kv_heads)·head_dim] f32: queries, keys, values; q_norm, k_norm [head_dim] f32, read with NORM only;
// tables, info as in rope.wgsl; k, v [rows, kv_heads, head_dim], out [tokens, heads, head_dim] f32 as in attention.wgsl
// Sums, error: see attention_decode.wgsl; the same bits whatever LANES, HEADS and STAGED are.
//
// In turns of 64 keys. For the scores a lane has one key and one or two of HEADS heads. For the sums it has one head and one vec4 of the
// dimensions, and reads the values of STAGED keys from workgroup memory, while those of the next ones are on their way to registers.
override LANES: u32; // 128 or 256, at least HEADS · WIDTH
override HEADS: u32; // query heads at once: 1 … 4, a divisor of GROUP
override STAGED: u32; // a power of 2, at most 64; STAGED · WIDTH at most 4 · LANES
override WIDTH: u32; override GROUP: u32; // vec4s of a head; query heads of a key head
override NORM: bool; override SOFTCAP: bool; override QUERIES: u32 = HEADS * WIDTH; override VALUES: u32 = STAGED * WIDTH;
override EACH: u32 = (HEADS * 64u + LANES - 1u) / LANES; // heads of which a lane has a key's scores: 1 or 2

struct Params { tokens: u32, heads: u32, kv_heads: u32, head_vec4: u32, half: u32, window: u32, scale: f32, eps: f32, cap: f32 }
@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> q_norm: array<f32>; @group(0) @binding(2) var<storage, read> k_norm: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<vec2<f32>>; @group(0) @binding(4) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> k: array<vec4<f32>>; @group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>; @group(0) @binding(8) var<uniform> p: Params;
var<workgroup> roots: array<f32, GROUP + 1u>; var<workgroup> queries: array<vec4<f32>, QUERIES>; var<workgroup> values: array<vec4<f32>, VALUES>;
// By heads: of 64 keys each, of four keys each, and of a head.
var<workgroup> scaled: array<f32, 256>; var<workgroup> weights: array<f32, 256>; var<workgroup> maxima: array<f32, 64>; var<workgroup> shrinks: array<f32, 4>;

// The root of the mean square of the head that begins at vec4 `first`.
fn root(first: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < WIDTH; start += 16u) {
    var sum = 0.0;
    for (var i = start; i < min(start + 16u, WIDTH); i++) {
      let x = qkv[first + i]; sum = fma(x.w, x.w, fma(x.z, x.z, fma(x.y, x.y, fma(x.x, x.x, sum))));
    }
    total += sum;
  }
  return sqrt(total / f32(4u * p.head_vec4) + p.eps); // not by WIDTH: what a compiler knows it may multiply by the inverse of
}
fn normed(head: u32, i: u32, root: f32, key: bool) -> f32 {
  let x = qkv[head + i / 4u][i % 4u]; if (!NORM) { return x; } return select(q_norm[i], k_norm[i], key) * (x / root);
}
// Element i of the head that begins at vec4 `head`, normed and turned.
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
  return (select(place.z + key - place.y, place.x + key, key < place.y) * p.kv_heads + head) * WIDTH;
}
fn capped(a: f32) -> f32 { // as in softcap.wgsl
  let z = p.scale * a / p.cap; let size = abs(z); let t = z * z;
  let near = z * fma(t, t + 105.0, 945.0) / fma(t, fma(15.0, t, 420.0), 945.0);
  let e = exp(-2.0 * select(size, 20.0, size > 20.0)); let far = (1.0 - e) / (1.0 + e);
  return p.cap * select(select(far, -far, z < 0.0), near, size < 0.75);
}
fn dot4(a: vec4<f32>, b: vec4<f32>, acc: f32) -> f32 { return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, acc)))); }
// The i-th vec4 of two heads that begin at q, where there is one, times that of the key.
fn two(q: u32, i: u32, b: vec4<f32>, acc: vec2<f32>) -> vec2<f32> {
  if (i >= WIDTH) { return acc; }
  if (EACH < 2u) { return vec2(dot4(queries[q + i], b, acc.x), 0.0); }
  return vec2(dot4(queries[q + i], b, acc.x), dot4(queries[min(q + WIDTH, QUERIES - WIDTH) + i], b, acc.y));
}
// ⟨q, k⟩ of two heads, with SOFTCAP the whole scores. Eight loads are asked for before the first is waited for.
fn scores(at: u32, q: u32) -> vec2<f32> {
  var total = vec2<f32>(); let last = at + WIDTH - 1u;
  for (var start = 0u; start < WIDTH; start += 16u) {
    var acc = vec2<f32>();
    for (var i = start; i < min(start + 16u, WIDTH); i += 8u) {
      let a = at + i;
      let b0 = k[a]; let b1 = k[min(a + 1u, last)]; let b2 = k[min(a + 2u, last)]; let b3 = k[min(a + 3u, last)];
      let b4 = k[min(a + 4u, last)]; let b5 = k[min(a + 5u, last)]; let b6 = k[min(a + 6u, last)]; let b7 = k[min(a + 7u, last)];
      acc = two(q, i + 3u, b3, two(q, i + 2u, b2, two(q, i + 1u, b1, two(q, i, b0, acc))));
      acc = two(q, i + 7u, b7, two(q, i + 6u, b6, two(q, i + 5u, b5, two(q, i + 4u, b4, acc))));
    }
    total += acc;
  }
  if (SOFTCAP) { return vec2(capped(total.x), capped(total.y)); } return total;
}
// A lane's part of the values of STAGED keys.
fn fetch(place: vec4<u32>, start: u32, head: u32, lane: u32) -> mat4x4<f32> {
  var x: mat4x4<f32>; let end = VALUES - 1u;
  let i = vec4(lane, min(lane + LANES, end), min(lane + 2u * LANES, end), min(lane + 3u * LANES, end)); let j = start + i / WIDTH; let d = i % WIDTH;
  x[0] = v[key_at(place, j.x, head) + d.x];
  if (LANES < VALUES) { x[1] = v[key_at(place, j.y, head) + d.y]; }
  if (2u * LANES < VALUES) { x[2] = v[key_at(place, j.z, head) + d.z]; x[3] = v[key_at(place, j.w, head) + d.w]; }
  return x;
}
fn put(i: u32, x: vec4<f32>) { if (i < VALUES) { values[i] = x; } }
fn highest(before: f32, h: u32) -> f32 {
  var top = before; for (var i = 0u; i < 16u; i++) { top = max(top, maxima[h * 16u + i]); } return top;
}
@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let id = group.y * groups.x + group.x; let head = id % p.kv_heads; // of the keys
  if (id >= p.tokens * p.kv_heads) { return; }
  let place = info[id / p.kv_heads]; let end = place.w + 1u; let first = end - min(end, p.window); // keys first … end − 1 are seen
  let own_q = (id / p.kv_heads * (p.heads + 2u * p.kv_heads) + head * GROUP) * WIDTH; let own_k = own_q + (p.heads + head - head * GROUP) * WIDTH;
  if (NORM) { for (var h = lane; h <= GROUP; h += LANES) { roots[h] = root(select(own_q + h * WIDTH, own_k, h == GROUP)); } }
  workgroupBarrier();
  if (lane < WIDTH) {
    let at = key_at(place, place.w, head) + lane;
    k[at] = turned4(own_k, 4u * lane, place.w, GROUP, true); v[at] = qkv[own_k + p.kv_heads * WIDTH + lane];
  }
  storageBarrier();
  let scale = select(p.scale, 1.0, SOFTCAP); // what is still to be multiplied into what scores() gives
  let key = lane % 64u; let low = lane / 64u * EACH; let high = low + EACH - 1u; // for the scores
  let mine = lane / WIDTH; let d = lane % WIDTH; // for the sums
  for (var g = 0u; g < GROUP; g += HEADS) {
    for (var i = lane; i < QUERIES; i += LANES) { queries[i] = turned4(own_q + (g + i / WIDTH) * WIDTH, i % WIDTH * 4u, place.w, g + i / WIDTH, false); }
    var tops = vec2(-3e38); var total = 0.0; var sums = vec4<f32>(); // tops of heads low and high; sums of mine
    var next = fetch(place, first / 64u * 64u, head, lane);
    for (var start = first / 64u * 64u; start < end; start += 64u) {
      workgroupBarrier();
      let seen = start + key >= first && start + key < end; var s = vec2<f32>();
      if (seen && low < HEADS) { s = scores(key_at(place, start + key, head), low * WIDTH); }
      if (low < HEADS) { scaled[low * 64u + key] = select(-3e38, scale * s.x, seen); }
      if (EACH > 1u && high < HEADS) { scaled[high * 64u + key] = select(-3e38, scale * s.y, seen); }
      workgroupBarrier();
      if (lane < 16u * HEADS) { let i = 4u * lane; maxima[lane] = max(max(scaled[i], scaled[i + 1u]), max(scaled[i + 2u], scaled[i + 3u])); }
      workgroupBarrier();
      let before = tops; tops = vec2(highest(tops.x, min(low, HEADS - 1u)), highest(tops.y, min(high, HEADS - 1u)));
      let by = exp(before - tops); var shrink = 0.0; var part = 0.0;
      if (low < HEADS) { weights[low * 64u + key] = exp(fma(scale, s.x, -tops.x)); if (key == 0u) { shrinks[low] = by.x; } }
      if (EACH > 1u && high < HEADS) { weights[high * 64u + key] = exp(fma(scale, s.y, -tops.y)); if (key == 0u) { shrinks[high] = by.y; } }
      for (var r = start; r < min(start + 64u, end); r += STAGED) {
        put(lane, next[0]); put(lane + LANES, next[1]); put(lane + 2u * LANES, next[2]); put(lane + 3u * LANES, next[3]);
        workgroupBarrier();
        if (r == start) { shrink = shrinks[min(mine, HEADS - 1u)]; sums *= shrink; }
        if (r + STAGED < end) { next = fetch(place, r + STAGED, head, lane); }
        for (var j = max(r, first); mine < HEADS && j < min(r + STAGED, end); j++) {
          let w = weights[mine * 64u + j - start]; part += w; sums = fma(vec4(w), values[(j - r) * WIDTH + d], sums);
        }
        workgroupBarrier();
      }
      total = fma(total, shrink, part);
    }
    if (mine < HEADS) { out[(id * GROUP + g + mine) * WIDTH + d] = sums / total; }
  }
}
