// Means of probabilities over prompts, kept where every prompt ranks the token high enough.
//
//   out[g, i] = 1/P · Σ_p x[g·P + p, i]     where x[g·P + p, i] reaches its row's threshold for every p, else 0
//
// x          [groups · prompts, width] f32
// thresholds [groups · prompts] of (ordered key of the k-th largest, unused): see kth_largest.wgsl
// out        [groups, width] f32
// Sums:  prompts in order.
// Error: (P + 4)·u relative (the terms are not negative), u = 2^-24, division within WGSL's 2.5 ULP.

struct Params {
  groups: u32,
  prompts: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> thresholds: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn ordered_key(bits: u32) -> u32 {
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= params.groups * params.width) {
    return;
  }
  let first = (i / params.width) * params.prompts;
  let column = i % params.width;
  var sum = 0.0;
  var in_all = true;
  for (var p = 0u; p < params.prompts; p++) {
    let value = x[(first + p) * params.width + column];
    in_all = in_all && ordered_key(bitcast<u32>(value)) >= thresholds[first + p].x;
    sum += value;
  }
  out[i] = select(0.0, sum / f32(params.prompts), in_all);
}
