// Soft cap, in place.
//
//   x[i] ← cap · tanh(x[i] / cap)
//
// x [count] f32; cap > 0. NaN stays NaN.
// tanh is not WGSL's, whose error has no relative bound, and which is NaN for large arguments on some devices:
//   |z| < 0.75   Lambert's continued fraction z / (1 + z²/(3 + z²/(5 + z²/(7 + z²/9)))), 0.1 u off at the most
//   otherwise    ±(1 − e) / (1 + e), e = exp(−2·min(|z|, 20))
// Sums:  none.
// Error: tanh within 13 u relative, u = 2^-24: for the fraction 9 u (division 2.5 ULP, as WGSL has it), and else 6 u for
//        exp within (3 + 2|a|) ULP, most at 0.75, and 7 u for the sum, the difference and the division. x within 19 u
//        relative: 5 u for x / cap, which tanh does not enlarge, and 1 u for the product. Where x, x / cap or the
//        result is under 2^-126 it may be flushed to 0.

struct Params {
  count: u32,
  cap: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

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

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i < params.count) {
    x[i] = params.cap * soft_tanh(x[i] / params.cap);
  }
}
