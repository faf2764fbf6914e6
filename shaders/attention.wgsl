// Causal attention with grouped query heads over ragged batches: the portable variant, one thread a (token, head).
//
//   out[t, h] = Σ_j softmax_j(score(⟨q[t, h], k[j, g]⟩)) · v[j, g]        g = h / (heads / kv_heads)
//   j = max(0, position(t) + 1 − window) … position(t)
//   score(a) = scale · a, or with SOFTCAP cap · tanh(scale · a / cap)
//
// q, out [tokens, heads, head_dim] f32; k, v [rows, kv_heads, head_dim] f32; head_dim a multiple of 4, at most 256
// info   [tokens] of (prefix_start, prefix_length, own_start, position): key j of a sequence lies in row
//        prefix_start + j when j < prefix_length, else in own_start + j − prefix_length
// Sums:  keys in chunks that begin at multiples of 64 (the first where the window does), in order: the chunk's maximum
//        first, then its exponentials (online softmax, Milakov and Gimelshein 2018). Within ⟨q, k⟩: chunks of 64
//        dimensions in order with fma. The order depends on the token's position and the window alone, so prefill and
//        cached decoding give the same bits. Keys before the window are not touched.
// Error: with n keys in c chunks, s = 64 + ⌈head_dim/64⌉, a[j] = s·Σ|scale·q·k[j]| and d[j] what a score is below the
//        maximum, key j's exponential is within e[j] = (a[j] + 6 + 7c + 5·d[j])·u relative ((3 + 2|a|) ULP for exp(a),
//        as WGSL has it), and out within Σ_j p[j]·|v[j]|·(e[j] + Σ_l p[l]·e[l] + (n + 2c + 70)·u); first order,
//        u = 2^-24. With SOFTCAP a[j] is (1 − (score/cap)²)·s·Σ|scale·q·k[j]| + 20·|score|: tanh as in softcap.wgsl.
//        Exponentials under 2^-126 may be flushed to 0.

override SOFTCAP: bool;

const KEYS = 64u; // keys a chunk
const CHUNK4 = 16u; // vec4s in a chunk of 64 dimensions

struct Params {
  tokens: u32,
  heads: u32,
  kv_heads: u32,
  head_vec4: u32, // head_dim / 4
  window: u32, // keys that a query sees
  scale: f32,
  cap: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> params: Params;

// The vec4 at which key j's head begins.
fn key_at(place: vec4<u32>, j: u32, head: u32) -> u32 {
  let row = select(place.z + j - place.y, place.x + j, j < place.y);
  return (row * params.kv_heads + head) * params.head_vec4;
}

// As in softcap.wgsl.
fn soft_tanh(z: f32) -> f32 {
  let size = abs(z);
  if (size < 0.75) {
    let t = z * z;
    return z * fma(t, t + 105.0, 945.0) / fma(t, fma(15.0, t, 420.0), 945.0);
  }
  let e = exp(-2.0 * select(size, 20.0, size > 20.0));
  let value = (1.0 - e) / (1.0 + e);
  return select(value, -value, z < 0.0);
}

// ⟨q, k⟩; with SOFTCAP the whole score.
fn score(query: u32, key: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < params.head_vec4; start += CHUNK4) {
    let end = min(start + CHUNK4, params.head_vec4);
    var sum = 0.0;
    for (var i = start; i < end; i++) {
      let a = q[query + i];
      let b = k[key + i];
      sum = fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
    }
    total += sum;
  }
  if (SOFTCAP) {
    return params.cap * soft_tanh(params.scale * total / params.cap);
  }
  return total;
}

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 16u + lane;
  if (i >= params.tokens * params.heads) {
    return;
  }
  let place = info[i / params.heads];
  let head = (i % params.heads) / (params.heads / params.kv_heads);
  let query = i * params.head_vec4;
  let count = place.w + 1u;
  let scale = select(params.scale, 1.0, SOFTCAP); // what is still to be multiplied into score()

  var weights: array<f32, 64>; // first of score(), then the exponentials
  var sums: array<vec4<f32>, 64>;
  var highest = -3e38;
  var total = 0.0;
  var start = count - min(count, params.window);
  while (start < count) {
    let keys = min(KEYS - start % KEYS, count - start);
    var top = highest;
    for (var j = 0u; j < keys; j++) {
      weights[j] = score(query, key_at(place, start + j, head));
      top = max(top, scale * weights[j]);
    }
    let shrink = exp(highest - top);
    highest = top;
    var part = 0.0;
    for (var j = 0u; j < keys; j++) {
      weights[j] = exp(fma(scale, weights[j], -top));
      part += weights[j];
    }
    total = fma(total, shrink, part);
    for (var d = 0u; d < params.head_vec4; d++) {
      var sum = sums[d] * shrink;
      for (var j = 0u; j < keys; j++) {
        sum = fma(vec4(weights[j]), v[key_at(place, start + j, head) + d], sum);
      }
      sums[d] = sum;
    }
    start += keys;
  }
  for (var d = 0u; d < params.head_vec4; d++) {
    out[query + d] = sums[d] / total;
  }
}
