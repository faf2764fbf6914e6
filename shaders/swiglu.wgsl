// SwiGLU gate (Shazeer 2020).
//
//   gate[i] ← silu(gate[i]) · up[i],        silu(a) = a / (1 + exp(−a))
//
// gate, up [count] f32; the result takes the place of gate.
// Below −80 the gate counts as −80: exp(89) overflows, and WGSL leaves overflow to the implementation. There the true
// silu is between −2e-33 and 0, and so is ours. NaN stays NaN.
// Sums:  none. Error: exp within (3 + 2|a|) ULP (WGSL), its sum with 1 and the product one rounding each, division
//        2.5 ULP; for a < −80 within 2e-33·|up|.

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> up: array<f32>;
@group(0) @binding(1) var<storage, read_write> gate: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i < params.count) {
    let a = select(gate[i], -80.0, gate[i] < -80.0);
    gate[i] = a / (1.0 + exp(-a)) * up[i];
  }
}
