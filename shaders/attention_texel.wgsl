// Causal attention for many tokens on software adapters: a thread takes four tokens that follow one another and a head,
// and reads keys and values as texels (see matmul_texel.wgsl). Formula, layouts, order of sums and error bound are those
// of attention.wgsl, and so are the bits: a query's chunk leaves out the keys that it does not see.
//
// q, k, v in rows of 1024 texels: q [tokens, heads, head_dim], k and v [rows, kv_heads, head_dim] from row first_row on
// info   [tokens] of (prefix_start, prefix_length, own_start, position)
// blocks [blocks] of (first token, tokens): at most four, of one sequence
// out    [tokens, heads, head_dim] f32; holds the weighted sums while the chunks go by
//
// The 64 scores of a chunk lie in registers, those of the four queries in a vec4: indexing by a variable is slow there.
// So the loops over keys are written out, and those over dimensions are not.

override SOFTCAP: bool;
override WIDE: bool; // more than 64 dimensions
const KEYS = 64u; // keys a chunk
const CHUNK4 = 16u; // vec4s in a chunk of 64 dimensions

struct Params {
  blocks: u32, heads: u32, kv_heads: u32,
  head_vec4: u32, // head_dim / 4
  window: u32, first_row: u32, scale: f32, cap: f32,
}
@group(0) @binding(0) var q: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var k: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> blocks: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> p: Params;

var<private> at: array<u32, 64>; // the texel at which each key of the chunk begins
var<private> w: array<vec4<f32>, 64>; // a key each: products, then exponentials; −1 where the query does not see it
var<private> totals: array<vec4<f32>, 64>; // products over all dimensions, where WIDE
var<private> first: vec4<u32>; // of the keys that each query sees, from the chunk's beginning on; wraps around
var<private> count: vec4<u32>; // how many it sees
var<private> top: vec4<f32>; // the largest score so far
var<private> part: vec4<f32>; // sum of the chunk's exponentials
var<private> sums: mat4x4<f32>; // a column for each query: four dimensions

fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }

fn locate(i: u32, place: vec4<u32>, start: u32, head: u32) {
  let j = start + i;
  let row = select(place.z + j - place.y, place.x + j, j < place.y);
  at[i] = ((row - p.first_row) * p.kv_heads + head) * p.head_vec4;
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

fn query_texel(i: u32) -> vec4<f32> { return bitcast<vec4<f32>>(textureLoad(q, place_of(i))); }

fn product(i: u32, d: u32, a: mat4x4<f32>) {
  let b = bitcast<vec4<f32>>(textureLoad(k, place_of(at[i] + d)));
  w[i] = fma(a[3], b.wwww, fma(a[2], b.zzzz, fma(a[1], b.yyyy, fma(a[0], b.xxxx, w[i]))));
}

fn add(i: u32) { totals[i] += w[i]; }
fn seen(i: u32) -> vec4<bool> { return vec4(i) - first < count; }

fn highest(i: u32, scale: f32) {
  if (SOFTCAP) { w[i] = p.cap * soft_tanh(p.scale * w[i] / p.cap); }
  top = select(top, max(top, scale * w[i]), seen(i));
}

fn exponential(i: u32, scale: f32) {
  let e = exp(fma(vec4(scale), w[i], -top));
  part = select(part, part + e, seen(i));
  w[i] = select(vec4(-1.0), e, seen(i));
}

fn weigh(i: u32, d: u32) {
  let b = bitcast<vec4<f32>>(textureLoad(v, place_of(at[i] + d)));
  let e = w[i];
  sums = mat4x4(select(fma(e.xxxx, b, sums[0]), sums[0], e.x < 0.0), select(fma(e.yyyy, b, sums[1]), sums[1], e.y < 0.0),
    select(fma(e.zzzz, b, sums[2]), sums[2], e.z < 0.0), select(fma(e.wwww, b, sums[3]), sums[3], e.w < 0.0));
}

fn locate4(i: u32, place: vec4<u32>, start: u32, head: u32) { locate(i, place, start, head); locate(i + 1u, place, start, head); locate(i + 2u, place, start, head); locate(i + 3u, place, start, head); }
fn locate16(i: u32, place: vec4<u32>, start: u32, head: u32) { locate4(i, place, start, head); locate4(i + 4u, place, start, head); locate4(i + 8u, place, start, head); locate4(i + 12u, place, start, head); }
fn product4(i: u32, d: u32, a: mat4x4<f32>) { product(i, d, a); product(i + 1u, d, a); product(i + 2u, d, a); product(i + 3u, d, a); }
fn product16(i: u32, d: u32, a: mat4x4<f32>) { product4(i, d, a); product4(i + 4u, d, a); product4(i + 8u, d, a); product4(i + 12u, d, a); }
fn add4(i: u32) { add(i); add(i + 1u); add(i + 2u); add(i + 3u); }
fn add16(i: u32) { add4(i); add4(i + 4u); add4(i + 8u); add4(i + 12u); }
fn highest4(i: u32, scale: f32) { highest(i, scale); highest(i + 1u, scale); highest(i + 2u, scale); highest(i + 3u, scale); }
fn highest16(i: u32, scale: f32) { highest4(i, scale); highest4(i + 4u, scale); highest4(i + 8u, scale); highest4(i + 12u, scale); }
fn exponential4(i: u32, scale: f32) { exponential(i, scale); exponential(i + 1u, scale); exponential(i + 2u, scale); exponential(i + 3u, scale); }
fn exponential16(i: u32, scale: f32) { exponential4(i, scale); exponential4(i + 4u, scale); exponential4(i + 8u, scale); exponential4(i + 12u, scale); }
fn weigh4(i: u32, d: u32) { weigh(i, d); weigh(i + 1u, d); weigh(i + 2u, d); weigh(i + 3u, d); }
fn weigh16(i: u32, d: u32) { weigh4(i, d); weigh4(i + 4u, d); weigh4(i + 8u, d); weigh4(i + 12u, d); }

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * groups.x + group.x) * 16u + lane;
  if (id >= p.blocks * p.heads) { return; }
  let block = blocks[id / p.heads];
  let others = min(vec4(0u, 1u, 2u, 3u), vec4(block.y - 1u)); // queries past the block's end repeat its last
  let query = ((block.x + others) * p.heads + id % p.heads) * p.head_vec4;
  let place = info[block.x];
  let head = id % p.heads / (p.heads / p.kv_heads); // of the keys
  let counts = place.w + 1u + others;
  count = min(counts, vec4(p.window));
  let left = counts - count;
  let scale = select(p.scale, 1.0, SOFTCAP); // what is still to be multiplied into the score
  var before = vec4(-3e38);
  var total = vec4<f32>();
  let begin = left.x / KEYS * KEYS;
  for (var start = begin; start < counts.w; start += KEYS) {
    locate16(0u, place, start, head); locate16(16u, place, start, head); locate16(32u, place, start, head); locate16(48u, place, start, head);
    first = left - start;
    totals = array<vec4<f32>, 64>();
    for (var outer = 0u; outer < p.head_vec4; outer += CHUNK4) {
      w = array<vec4<f32>, 64>();
      for (var d = outer; d < min(outer + CHUNK4, p.head_vec4); d++) {
        let a = transpose(mat4x4(query_texel(query.x + d), query_texel(query.y + d), query_texel(query.z + d), query_texel(query.w + d)));
        product16(0u, d, a); product16(16u, d, a); product16(32u, d, a); product16(48u, d, a);
      }
      if (WIDE) { add16(0u); add16(16u); add16(32u); add16(48u); }
    }
    if (WIDE) { w = totals; }
    top = before;
    part = vec4<f32>();
    highest16(0u, scale); highest16(16u, scale); highest16(32u, scale); highest16(48u, scale);
    exponential16(0u, scale); exponential16(16u, scale); exponential16(32u, scale); exponential16(48u, scale);
    let any = (vec4<i32>(first) < vec4(64)) & (vec4<i32>(first + count) > vec4(0));
    let shrink = select(vec4(1.0), exp(before - top), any);
    total = fma(total, shrink, part);
    before = top;
    for (var d = 0u; d < p.head_vec4; d++) {
      sums = mat4x4<f32>();
      if (start > begin) {
        sums = mat4x4(out[query.x + d] * shrink.x, out[query.y + d] * shrink.y, out[query.z + d] * shrink.z, out[query.w + d] * shrink.w);
      }
      weigh16(0u, d); weigh16(16u, d); weigh16(32u, d); weigh16(48u, d);
      let whole = select(vec4(1.0), total, start + KEYS >= counts.w);
      out[query.x + d] = sums[0] / whole.x;
      out[query.y + d] = sums[1] / whole.y;
      out[query.z + d] = sums[2] / whole.z;
      out[query.w + d] = sums[3] / whole.w;
    }
  }
}
