// Rotary position embedding with four elements a load and a store: rope.wgsl for heads whose halves are whole vec4s. Formula, error
// bound and bits are those of rope.wgsl. (On software adapters a load costs the same however wide it is.)
//
//   out[i]        = x[i] · cos − x[i + half] · sin
//   out[i + half] = x[i + half] · cos + x[i] · sin        i < half; cos, sin = tables at (position, i)
//   out[j]        = x[j]                                  j ≥ 2·half: the rest of the head passes unchanged
//
// x      [tokens, heads, head_dim] f32; head_dim and half multiples of 4, 2·half ≤ head_dim
// tables [positions, half] of (cos, sin) f32, made in double on the host
// info   [tokens] of (prefix_start, prefix_length, own_start, position): see batch.ts
// out    [·, heads, head_dim] f32; a token's row is its own index, or with TO_CACHE its place among the keys
// Sums:  two terms.
// Error: 2u·(|x[i]·cos| + |x[i+half]·sin|) and the like, u = 2^-24. What passes unchanged is exact.
//
// A thread takes four pairs of one head, or four elements that do not turn.

override TO_CACHE: bool;

struct Params {
  tokens: u32,
  heads: u32,
  head_vec4: u32,
  half_vec4: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> tables: array<vec4<f32>>; // two pairs each
@group(0) @binding(2) var<storage, read> info: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let half = params.half_vec4;
  let threads = params.head_vec4 - half; // a head
  if (i >= params.tokens * params.heads * threads) {
    return;
  }
  let pair = i % threads;
  let head = (i / threads) % params.heads;
  let token = i / (threads * params.heads);
  let place = info[token];
  let row = select(token, place.z + place.w - place.y, TO_CACHE);
  let source = (token * params.heads + head) * params.head_vec4 + pair;
  let target_at = (row * params.heads + head) * params.head_vec4 + pair;
  let high = x[source + half];
  if (pair >= half) {
    out[target_at + half] = high;
    return;
  }
  let turn = 2u * (place.w * half + pair);
  let near = tables[turn];
  let far = tables[turn + 1u];
  let cos = vec4(near.xz, far.xz);
  let sin = vec4(near.yw, far.yw);
  let low = x[source];
  out[target_at] = fma(low, cos, -(high * sin));
  out[target_at + half] = fma(high, cos, low * sin);
}
