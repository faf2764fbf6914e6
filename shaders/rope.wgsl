// Rotary position embedding (Su et al. 2021), halves convention: element i turns with element i + half.
//
//   out[i]        = x[i] · cos − x[i + half] · sin
//   out[i + half] = x[i + half] · cos + x[i] · sin        i < half; cos, sin = tables at (position, i)
//   out[j]        = x[j]                                  j ≥ 2·half: the rest of the head passes unchanged
//
// x      [tokens, heads, head_dim] f32; 2·half ≤ head_dim
// tables [positions, half] of (cos, sin) f32, made in double on the host
// info   [tokens] of (prefix_start, prefix_length, own_start, position): see batch.ts
// out    [·, heads, head_dim] f32; a token's row is its own index, or with TO_CACHE its place among the keys
// Sums:  two terms.
// Error: 2u·(|x[i]·cos| + |x[i+half]·sin|) and the like, u = 2^-24: each product and their sum rounded. What passes
//        unchanged is exact.

override TO_CACHE: bool;

struct Params {
  tokens: u32,
  heads: u32,
  head_dim: u32,
  half: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> tables: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let threads = params.head_dim - params.half; // a head: one for each pair, one for each element that does not turn
  if (i >= params.tokens * params.heads * threads) {
    return;
  }
  let pair = i % threads;
  let head = (i / threads) % params.heads;
  let token = i / (threads * params.heads);
  let place = info[token];
  let row = select(token, place.z + place.w - place.y, TO_CACHE);
  let source = (token * params.heads + head) * params.head_dim + pair;
  let target_at = (row * params.heads + head) * params.head_dim + pair;
  let high = x[source + params.half];
  if (pair >= params.half) {
    out[target_at + params.half] = high;
    return;
  }
  let turn = tables[place.w * params.half + pair];
  let low = x[source];
  out[target_at] = fma(low, turn.x, -(high * turn.y));
  out[target_at + params.half] = fma(high, turn.x, low * turn.y);
}
