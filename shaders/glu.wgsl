// Gated linear unit (Shazeer 2020): SwiGLU, or GeGLU with the tanh approximation of GELU (Hendrycks and Gimpel 2016).
//
//   gate[i] ← act(gate[i]) · up[i]
//
//   ACTIVATION 0: silu(a)      = a / (1 + exp(−a))
//   ACTIVATION 1: gelu_tanh(a) = a/2 · (1 + tanh(√(2/π) · (a + 0.044715·a³))) = a / (1 + exp(−a·(C1 + C3·a²)))
//
// gate, up [count] f32; the result takes the place of gate.
// A gate below −80 (silu) or −9.7 (gelu_tanh) counts as that: exp(89) overflows, and WGSL leaves overflow to the
// implementation. There the true silu is between −2e-33 and 0, the true gelu_tanh between −2e-34 and 0, and so are
// ours. In the exponent of gelu_tanh a gate above 9.7 counts as 9.7, where exp is under 1e-34. NaN stays NaN.
// Sums:  none.
// Error: with E(t) = exp(−t) / (1 + exp(−t)) and u = 2^-24, silu is within ((6 + 4|a|)·E(a) + 6)·u relative, gelu_tanh
//        within ((6 + 8|t|)·E(t) + 6)·u, t = a·(C1 + C3·a²): exp is within (3 + 2|t|) ULP and division within 2.5 ULP
//        (WGSL), t within 4 u, and the sum is rounded once; one rounding more for the product with up. Below −80
//        (−9.7) within 2e-33·|up|. Where a result is under 2^-126 it may be flushed to 0.

override ACTIVATION: u32;

const C1 = 1.5957691216057308; // 2·√(2/π)
const C3 = 0.07135481627260025; // 0.044715·C1

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> up: array<f32>;
@group(0) @binding(1) var<storage, read_write> gate: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn silu(gate: f32) -> f32 {
  let a = select(gate, -80.0, gate < -80.0);
  return a / (1.0 + exp(-a));
}

fn gelu_tanh(gate: f32) -> f32 {
  let a = select(gate, -9.7, gate < -9.7);
  let b = select(a, 9.7, a > 9.7);
  return a / (1.0 + exp(-b * fma(C3, b * b, C1)));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i < params.count) {
    if (ACTIVATION == 0u) {
      gate[i] = silu(gate[i]) * up[i];
    } else {
      gate[i] = gelu_tanh(gate[i]) * up[i];
    }
  }
}
