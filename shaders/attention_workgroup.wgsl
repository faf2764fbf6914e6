// Causal attention of few tokens on GPUs, and to many keys on any adapter: one workgroup a (token, head). Formula, layouts, order of sums and
// error bound are those of attention.wgsl, and so are the bits: a lane takes one key of the chunk for the scores, then
// one dimension in four for the weighted sum, and what is summed over keys is summed by every lane in the same order.

override SOFTCAP: bool;

const KEYS = 64u; // keys a chunk, and lanes
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

var<workgroup> query: array<vec4<f32>, 64>;
var<workgroup> scores: array<f32, KEYS>;
var<workgroup> weights: array<f32, KEYS>;

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
fn score(key: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < params.head_vec4; start += CHUNK4) {
    let end = min(start + CHUNK4, params.head_vec4);
    var sum = 0.0;
    for (var i = start; i < end; i++) {
      let a = query[i];
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

@compute @workgroup_size(KEYS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = group.y * groups.x + group.x;
  if (i >= params.tokens * params.heads) {
    return;
  }
  let place = info[i / params.heads];
  let head = (i % params.heads) / (params.heads / params.kv_heads);
  let count = place.w + 1u;
  let scale = select(params.scale, 1.0, SOFTCAP); // what is still to be multiplied into score()
  let mine = lane < params.head_vec4;
  if (mine) {
    query[lane] = q[i * params.head_vec4 + lane];
  }
  var sum = vec4(0.0);
  var highest = -3e38;
  var total = 0.0;
  var start = count - min(count, params.window);
  while (start < count) {
    let keys = min(KEYS - start % KEYS, count - start);
    workgroupBarrier();
    if (lane < keys) {
      scores[lane] = score(key_at(place, start + lane, head));
    }
    workgroupBarrier();
    var top = highest;
    for (var j = 0u; j < keys; j++) {
      top = max(top, scale * scores[j]);
    }
    if (lane < keys) {
      weights[lane] = exp(fma(scale, scores[lane], -top));
    }
    workgroupBarrier();
    let shrink = exp(highest - top);
    highest = top;
    var part = 0.0;
    for (var j = 0u; j < keys; j++) {
      part += weights[j];
    }
    total = fma(total, shrink, part);
    if (mine) {
      sum = sum * shrink;
      for (var j = 0u; j < keys; j++) {
        sum = fma(vec4(weights[j]), v[key_at(place, start + j, head) + lane], sum);
      }
    }
    start += keys;
  }
  if (mine) {
    out[i * params.head_vec4 + lane] = sum / total;
  }
}
