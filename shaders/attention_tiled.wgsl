// Causal attention for many tokens on GPUs: a workgroup takes up to four tokens that follow one another, and up to four heads that read
// the same keys, so that what is loaded of keys and values serves them all. Formula, layouts, order of sums and error bound are those of
// attention.wgsl, and so are the bits: a query's chunk leaves out the keys that it does not see.
//
// q, out [tokens, heads, head_dim], k and v [rows, kv_heads, head_dim] f32
// info   [tokens] of (prefix_start, prefix_length, own_start, position)
// blocks [blocks] of (first token, tokens): at most four, of one sequence
//
// In turns of 64 keys. For the scores a lane has one key and all queries, whose vec4s are by tokens. For the sums it has one vec4 of the
// dimensions and up to eight queries: GROUPS lanes apart, the first of them by the lane.

override HEADS: u32; // 1 … 4, a divisor of the heads of a key head
override WIDTH: u32; // vec4s of a head, at most 64; 4 · HEADS · WIDTH at most 512
override SOFTCAP: bool;
override GROUPS: u32 = min(64u / WIDTH, 4u * HEADS); // lanes that have the same dimensions; at least HEADS / 2
override QUERIES: u32 = 4u * HEADS * WIDTH;
override MINE: u32 = (4u * HEADS + GROUPS - 1u) / GROUPS; // queries of a lane, at most 8

struct Params { blocks: u32, heads: u32, kv_heads: u32, window: u32, scale: f32, cap: f32 }
@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>; @group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> info: array<vec4<u32>>; @group(0) @binding(4) var<storage, read> blocks: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>; @group(0) @binding(6) var<uniform> p: Params;
// Vec4s by tokens: of each head and dimension; of each head and key, scores first, then weights, −1 where the query does not see the key.
var<workgroup> queries: array<vec4<f32>, QUERIES>; var<workgroup> weights: array<vec4<f32>, 256>;
var<workgroup> maxima: array<vec4<f32>, 64>; var<workgroup> shrinks: array<vec4<f32>, 4>; // of each head and four keys; of each head
var<private> sums: array<vec4<f32>, 8>; var<private> parts: array<f32, 8>; var<private> totals: array<f32, 8>;

// The vec4 at which key j's head begins.
fn key_at(place: vec4<u32>, j: u32, head: u32) -> u32 {
  return (select(place.z + j - place.y, place.x + j, j < place.y) * p.kv_heads + head) * WIDTH;
}
// As in softcap.wgsl.
fn capped(a: vec4<f32>) -> vec4<f32> {
  let z = p.scale * a / p.cap; let size = abs(z); let t = z * z;
  let near = z * fma(t, t + 105.0, vec4(945.0)) / fma(t, fma(vec4(15.0), t, vec4(420.0)), vec4(945.0));
  let e = exp(-2.0 * select(size, vec4(20.0), size > vec4(20.0))); let far = (1.0 - e) / (1.0 + e);
  return p.cap * select(select(far, -far, z < vec4(0.0)), near, size < vec4(0.75));
}
// ⟨q, k⟩ of one head's queries: the i-th vec4 of the dimensions.
fn product(h: u32, i: u32, b: vec4<f32>, acc: vec4<f32>) -> vec4<f32> {
  let at = 4u * (h * WIDTH + i);
  return fma(queries[at + 3u], b.wwww, fma(queries[at + 2u], b.zzzz, fma(queries[at + 1u], b.yyyy, fma(queries[at], b.xxxx, acc))));
}
// The same of all heads, a column each; with SOFTCAP the whole scores.
fn scores(at: u32) -> mat4x4<f32> {
  var total = mat4x4<f32>();
  for (var start = 0u; start < WIDTH; start += 16u) {
    var acc = mat4x4<f32>();
    for (var i = start; i < min(start + 16u, WIDTH); i++) {
      let b = k[at + i];
      acc[0] = product(0u, i, b, acc[0]); if (HEADS > 1u) { acc[1] = product(1u, i, b, acc[1]); }
      if (HEADS > 2u) { acc[2] = product(2u, i, b, acc[2]); } if (HEADS > 3u) { acc[3] = product(3u, i, b, acc[3]); }
    }
    total += acc;
  }
  if (SOFTCAP) { return mat4x4(capped(total[0]), capped(total[1]), capped(total[2]), capped(total[3])); } return total;
}
fn highest(before: vec4<f32>, h: u32) -> vec4<f32> {
  if (h >= HEADS) { return before; }
  var top = before; for (var i = 0u; i < 16u; i++) { top = max(top, maxima[h * 16u + i]); } return top;
}
fn put(h: u32, key: u32, x: vec4<f32>) { if (h < HEADS) { weights[h * 64u + key] = x; } }
// Query n of a lane: its head, and its token of the block.
fn query_of(first: u32, n: u32) -> vec2<u32> { let query = min(first + n * GROUPS, 4u * HEADS - 1u); return vec2(query / 4u, query % 4u); }
fn begin(first: u32, n: u32) {
  if (n >= MINE) { return; } let at = query_of(first, n);
  sums[n] *= shrinks[at.x][at.y]; parts[n] = 0.0;
}
fn weigh(first: u32, n: u32, key: u32, x: vec4<f32>) {
  if (n >= MINE) { return; } let at = query_of(first, n); let w = weights[at.x * 64u + key][at.y];
  if (w < 0.0) { return; }
  parts[n] += w; sums[n] = fma(vec4(w), x, sums[n]);
}
fn end(first: u32, n: u32) {
  if (n >= MINE) { return; } let at = query_of(first, n);
  totals[n] = fma(totals[n], shrinks[at.x][at.y], parts[n]);
}
fn store(first: u32, n: u32, block: vec2<u32>, base: u32, d: u32) {
  if (n >= MINE || first + n * GROUPS >= 4u * HEADS) { return; } let at = query_of(first, n);
  if (at.y < block.y) { out[((block.x + at.y) * p.heads + base + at.x) * WIDTH + d] = sums[n] / totals[n]; }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let id = group.y * groups.x + group.x;
  if (id * HEADS >= p.blocks * p.heads) { return; }
  let block = blocks[id / (p.heads / HEADS)]; let base = id % (p.heads / HEADS) * HEADS; // the first head
  let head = base / (p.heads / p.kv_heads); // of the keys
  let place = info[block.x]; let others = min(vec4(0u, 1u, 2u, 3u), vec4(block.y - 1u)); // queries past the block's end repeat its last
  for (var i = lane; i < QUERIES; i += 64u) {
    let at = (block.x * p.heads + base + i / (4u * WIDTH)) * WIDTH + i / 4u % WIDTH; let e = i % 4u; let next = p.heads * WIDTH;
    queries[i] = vec4(q[at][e], q[at + others.y * next][e], q[at + others.z * next][e], q[at + others.w * next][e]);
  }
  let ends = place.w + 1u + others; let firsts = ends - min(ends, vec4(p.window)); // keys firsts … ends − 1 are seen
  let scale = select(p.scale, 1.0, SOFTCAP); // what is still to be multiplied into the scores
  let mine = lane / WIDTH; let d = lane % WIDTH; // for the sums
  var tops = mat4x4(vec4(-3e38), vec4(-3e38), vec4(-3e38), vec4(-3e38));
  sums = array<vec4<f32>, 8>(); totals = array<f32, 8>(); parts = array<f32, 8>();
  for (var start = firsts.x / 64u * 64u; start < ends.w; start += 64u) {
    workgroupBarrier();
    let key = start + lane; let seen = (vec4(key) >= firsts) & (vec4(key) < ends);
    var s = mat4x4<f32>(); if (any(seen)) { s = scores(key_at(place, key, head)); }
    let none = vec4(-3e38);
    put(0u, lane, select(none, scale * s[0], seen)); put(1u, lane, select(none, scale * s[1], seen));
    put(2u, lane, select(none, scale * s[2], seen)); put(3u, lane, select(none, scale * s[3], seen));
    workgroupBarrier();
    if (lane < 16u * HEADS) { let i = 4u * lane; maxima[lane] = max(max(weights[i], weights[i + 1u]), max(weights[i + 2u], weights[i + 3u])); }
    workgroupBarrier();
    let before = tops; tops = mat4x4(highest(tops[0], 0u), highest(tops[1], 1u), highest(tops[2], 2u), highest(tops[3], 3u));
    let by = vec4(scale); let out_of_sight = vec4(-1.0);
    put(0u, lane, select(out_of_sight, exp(fma(by, s[0], -tops[0])), seen)); put(1u, lane, select(out_of_sight, exp(fma(by, s[1], -tops[1])), seen));
    put(2u, lane, select(out_of_sight, exp(fma(by, s[2], -tops[2])), seen)); put(3u, lane, select(out_of_sight, exp(fma(by, s[3], -tops[3])), seen));
    if (lane == 0u) {
      shrinks[0] = exp(before[0] - tops[0]); shrinks[1] = exp(before[1] - tops[1]); shrinks[2] = exp(before[2] - tops[2]); shrinks[3] = exp(before[3] - tops[3]);
    }
    workgroupBarrier();
    if (mine < GROUPS) {
      begin(mine, 0u); begin(mine, 1u); begin(mine, 2u); begin(mine, 3u); begin(mine, 4u); begin(mine, 5u); begin(mine, 6u); begin(mine, 7u);
      for (var j = max(start, firsts.x); j < min(start + 64u, ends.w); j++) {
        let x = v[key_at(place, j, head) + d];
        weigh(mine, 0u, j - start, x); weigh(mine, 1u, j - start, x); weigh(mine, 2u, j - start, x); weigh(mine, 3u, j - start, x);
        weigh(mine, 4u, j - start, x); weigh(mine, 5u, j - start, x); weigh(mine, 6u, j - start, x); weigh(mine, 7u, j - start, x);
      }
      end(mine, 0u); end(mine, 1u); end(mine, 2u); end(mine, 3u); end(mine, 4u); end(mine, 5u); end(mine, 6u); end(mine, 7u);
    }
  }
  if (mine >= GROUPS) { return; }
  store(mine, 0u, block, base, d); store(mine, 1u, block, base, d); store(mine, 2u, block, base, d); store(mine, 3u, block, base, d);
  store(mine, 4u, block, base, d); store(mine, 5u, block, base, d); store(mine, 6u, block, base, d); store(mine, 7u, block, base, d);
}
