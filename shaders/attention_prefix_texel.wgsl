// Attention of tokens whose sequences share a prefix, on software adapters: the prefix's whole chunks of 64 keys, read once for eight
// tokens. What is left of the prefix, and a sequence's own keys, attention_each_texel.wgsl adds to it. Formula, order of sums, error
// bound and bits are those of attention.wgsl, over these keys.
//
// q, k, v in rows of 1024 texels: q [tokens, heads, head_dim], normed and turned; k and v [rows, kv_heads, head_dim]
// groups [groups, 3] of (four tokens), (four tokens), (first row of the prefix, its keys here: a multiple of 64, —, —); a token that
//        stands there twice is worked out twice
// out    [tokens, heads, head_dim] f32, sums that are still to be divided
// state  [tokens, heads] of (highest score, sum of weights)
//
// A thread takes eight tokens and a head, and has their scores of a chunk in registers: see attention_texel.wgsl.

override SOFTCAP: bool;
override WIDE: bool; // more than 64 dimensions

struct Params { groups: u32, heads: u32, kv_heads: u32, head_vec4: u32, scale: f32, cap: f32 }
@group(0) @binding(0) var q: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var k: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read> groups: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> state: array<vec2<f32>>;
@group(0) @binding(6) var<uniform> p: Params;

var<private> near: array<vec4<f32>, 64>; var<private> far: array<vec4<f32>, 64>; // a key each, of four tokens: scores, then weights
var<private> near_totals: array<vec4<f32>, 64>; var<private> far_totals: array<vec4<f32>, 64>; // over all dimensions, where WIDE
var<private> top: mat2x4<f32>; // the highest scores so far
var<private> part: mat2x4<f32>; // sums of the chunk's weights
var<private> x: mat4x4<f32>; var<private> y: mat4x4<f32>; // a column a token: of queries, or sums, four dimensions

// As in softcap.wgsl.
fn soft_tanh(z: vec4<f32>) -> vec4<f32> {
  let size = abs(z);
  let t = z * z;
  let near = z * fma(t, t + 105.0, vec4(945.0)) / fma(t, fma(vec4(15.0), t, vec4(420.0)), vec4(945.0));
  let e = exp(-2.0 * select(size, vec4(20.0), size > vec4(20.0)));
  let far = (1.0 - e) / (1.0 + e);
  return select(select(far, -far, z < vec4(0.0)), near, size < vec4(0.75));
}

fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }
fn queries(at: vec4<u32>) -> mat4x4<f32> {
  return transpose(mat4x4(bitcast<vec4<f32>>(textureLoad(q, place_of(at.x))), bitcast<vec4<f32>>(textureLoad(q, place_of(at.y))),
    bitcast<vec4<f32>>(textureLoad(q, place_of(at.z))), bitcast<vec4<f32>>(textureLoad(q, place_of(at.w)))));
}
fn product(i: u32, at: u32) {
  let b = bitcast<vec4<f32>>(textureLoad(k, place_of(at)));
  near[i] = fma(x[3], b.wwww, fma(x[2], b.zzzz, fma(x[1], b.yyyy, fma(x[0], b.xxxx, near[i]))));
  far[i] = fma(y[3], b.wwww, fma(y[2], b.zzzz, fma(y[1], b.yyyy, fma(y[0], b.xxxx, far[i]))));
}
fn add(i: u32) { near_totals[i] += near[i]; far_totals[i] += far[i]; }
fn highest(i: u32, scale: f32) {
  if (SOFTCAP) { near[i] = p.cap * soft_tanh(p.scale * near[i] / p.cap); far[i] = p.cap * soft_tanh(p.scale * far[i] / p.cap); }
  top[0] = max(top[0], scale * near[i]); top[1] = max(top[1], scale * far[i]);
}
fn exponential(i: u32, scale: f32) {
  near[i] = exp(fma(vec4(scale), near[i], -top[0])); far[i] = exp(fma(vec4(scale), far[i], -top[1]));
  part[0] += near[i]; part[1] += far[i];
}
fn weigh(i: u32, at: u32) {
  let b = bitcast<vec4<f32>>(textureLoad(v, place_of(at))); let e = near[i]; let f = far[i];
  x[0] = fma(e.xxxx, b, x[0]); x[1] = fma(e.yyyy, b, x[1]); x[2] = fma(e.zzzz, b, x[2]); x[3] = fma(e.wwww, b, x[3]);
  y[0] = fma(f.xxxx, b, y[0]); y[1] = fma(f.yyyy, b, y[1]); y[2] = fma(f.zzzz, b, y[2]); y[3] = fma(f.wwww, b, y[3]);
}
fn product4(i: u32, at: u32, n: u32) { product(i, at); product(i + 1u, at + n); product(i + 2u, at + 2u * n); product(i + 3u, at + 3u * n); }
fn product16(i: u32, at: u32, n: u32) { product4(i, at, n); product4(i + 4u, at + 4u * n, n); product4(i + 8u, at + 8u * n, n); product4(i + 12u, at + 12u * n, n); }
fn add4(i: u32) { add(i); add(i + 1u); add(i + 2u); add(i + 3u); }
fn add16(i: u32) { add4(i); add4(i + 4u); add4(i + 8u); add4(i + 12u); }
fn highest4(i: u32, scale: f32) { highest(i, scale); highest(i + 1u, scale); highest(i + 2u, scale); highest(i + 3u, scale); }
fn highest16(i: u32, scale: f32) { highest4(i, scale); highest4(i + 4u, scale); highest4(i + 8u, scale); highest4(i + 12u, scale); }
fn exponential4(i: u32, scale: f32) { exponential(i, scale); exponential(i + 1u, scale); exponential(i + 2u, scale); exponential(i + 3u, scale); }
fn exponential16(i: u32, scale: f32) { exponential4(i, scale); exponential4(i + 4u, scale); exponential4(i + 8u, scale); exponential4(i + 12u, scale); }
fn weigh4(i: u32, at: u32, n: u32) { weigh(i, at); weigh(i + 1u, at + n); weigh(i + 2u, at + 2u * n); weigh(i + 3u, at + 3u * n); }
fn weigh16(i: u32, at: u32, n: u32) { weigh4(i, at, n); weigh4(i + 4u, at + 4u * n, n); weigh4(i + 8u, at + 8u * n, n); weigh4(i + 12u, at + 12u * n, n); }
fn shrunk(at: vec4<u32>, by: vec4<f32>) -> mat4x4<f32> { return mat4x4(out[at.x] * by.x, out[at.y] * by.y, out[at.z] * by.z, out[at.w] * by.w); }
fn store(at: vec4<u32>, m: mat4x4<f32>) { out[at.x] = m[0]; out[at.y] = m[1]; out[at.z] = m[2]; out[at.w] = m[3]; }

fn put(at: vec4<u32>, top: vec4<f32>, total: vec4<f32>) {
  state[at.x] = vec2(top.x, total.x); state[at.y] = vec2(top.y, total.y); state[at.z] = vec2(top.z, total.z); state[at.w] = vec2(top.w, total.w);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * workgroups.x + group.x) * 8u + lane;
  if (id >= p.groups * p.heads) { return; }
  let g = 3u * (id / p.heads); let head = id % p.heads; let width = p.head_vec4;
  let first = groups[g] * p.heads + head; let second = groups[g + 1u] * p.heads + head; let prefix = groups[g + 2u];
  let stride = p.kv_heads * width; let scale = select(p.scale, 1.0, SOFTCAP); // what is still to be multiplied into the score
  var total = mat2x4<f32>(); top = mat2x4(vec4(-3e38), vec4(-3e38));
  for (var start = 0u; start < prefix.y; start += 64u) {
    let at = ((prefix.x + start) * p.kv_heads + head / (p.heads / p.kv_heads)) * width;
    if (WIDE) { near_totals = array<vec4<f32>, 64>(); far_totals = array<vec4<f32>, 64>(); }
    for (var outer = 0u; outer < width; outer += 16u) {
      near = array<vec4<f32>, 64>(); far = array<vec4<f32>, 64>();
      for (var d = outer; d < min(outer + 16u, width); d++) {
        x = queries(first * width + d); y = queries(second * width + d); let a = at + d;
        product16(0u, a, stride); product16(16u, a + 16u * stride, stride); product16(32u, a + 32u * stride, stride); product16(48u, a + 48u * stride, stride);
      }
      if (WIDE) { add16(0u); add16(16u); add16(32u); add16(48u); }
    }
    if (WIDE) { near = near_totals; far = far_totals; }
    let before = top; part = mat2x4<f32>();
    highest16(0u, scale); highest16(16u, scale); highest16(32u, scale); highest16(48u, scale);
    exponential16(0u, scale); exponential16(16u, scale); exponential16(32u, scale); exponential16(48u, scale);
    let shrink = mat2x4(exp(before[0] - top[0]), exp(before[1] - top[1]));
    total = mat2x4(fma(total[0], shrink[0], part[0]), fma(total[1], shrink[1], part[1]));
    for (var d = 0u; d < width; d++) {
      x = mat4x4<f32>(); y = mat4x4<f32>(); let a = at + d;
      if (start > 0u) { x = shrunk(first * width + d, shrink[0]); y = shrunk(second * width + d, shrink[1]); }
      weigh16(0u, a, stride); weigh16(16u, a + 16u * stride, stride); weigh16(32u, a + 32u * stride, stride); weigh16(48u, a + 48u * stride, stride);
      store(first * width + d, x); store(second * width + d, y);
    }
  }
  put(first, top[0], total[0]); put(second, top[1], total[1]);
}
