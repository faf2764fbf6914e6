// Rotary position embedding (Su et al. 2021), halves convention: element i turns with element i + half.
//
//   out[i]        = x[i] · cos − x[i + half] · sin
//   out[i + half] = x[i + half] · cos + x[i] · sin        cos, sin = tables at (position, i), half = head_dim / 2
//
// x      [tokens, heads, head_dim] f32
// tables [positions, half] of (cos, sin) f32, made in double on the host
// info   [tokens] of (prefix_start, prefix_length, own_start, position): see batch.ts
// out    [·, heads, head_dim] f32; a token's row is its own index, or with TO_CACHE its place among the keys
// Sums:  two terms.
// Error: 2u·(|x[i]·cos| + |x[i+half]·sin|) and the like, u = 2^-24: each product and their sum rounded.

override TO_CACHE: bool;

struct Params {
  tokens: u32,
  heads: u32,
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
  if (i >= params.tokens * params.heads * params.half) {
    return;
  }
  let pair = i % params.half;
  let head = (i / params.half) % params.heads;
  let token = i / (params.half * params.heads);
  let place = info[token];
  let row = select(token, place.z + place.w - place.y, TO_CACHE);
  let source = (token * params.heads + head) * 2u * params.half + pair;
  let target_at = (row * params.heads + head) * 2u * params.half + pair;
  let turn = tables[place.w * params.half + pair];
  let low = x[source];
  let high = x[source + params.half];
  out[target_at] = fma(low, turn.x, -(high * turn.y));
  out[target_at + params.half] = fma(high, turn.x, low * turn.y);
}
