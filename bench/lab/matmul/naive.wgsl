// Matrix product of activations with stored weights, one thread an output.
//
//   y[m, first_column + n] = Σ_k x[m, k] · w[n, k]                accumulate 0
//                          = y + scale · Σ_k x[m, k] · w[n, k]    accumulate 1, by fma
//
// x [m, k] f32; w [n, w_stride] f32, f16 or bf16 as stored; y [m, ldy] f32
// Sums:  chunks of 64 k's in order with fma, then the chunks in order.
// Error: (64 + ⌈k/64⌉)·u·Σ|x||w| to first order, u = 2^-24.

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16

struct Params {
  m: u32,
  n: u32,
  k: u32,
  w_stride: u32,
  ldy: u32,
  first_column: u32,
  accumulate: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn weight(i: u32) -> f32 {
  if (WEIGHT_DTYPE == 0u) { return bitcast<f32>(w[i]); }
  let u = w[i / 2u];
  if (WEIGHT_DTYPE == 1u) { return select(unpack2x16float(u).x, unpack2x16float(u).y, i % 2u == 1u); }
  return bitcast<f32>(select(u << 16u, u & 0xffff0000u, i % 2u == 1u));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = (group.y * groups.x + group.x) * 64u + lane;
  if (id >= p.m * p.n) { return; }
  let row = id / p.n;
  let column = id % p.n;
  var total = 0.0;
  for (var start = 0u; start < p.k; start += 64u) {
    var acc = 0.0;
    for (var k = start; k < min(start + 64u, p.k); k++) {
      acc = fma(x[row * p.k + k], weight(column * p.w_stride + k), acc);
    }
    total += acc;
  }
  let i = row * p.ldy + p.first_column + column;
  if (p.accumulate == 1u) { total = fma(p.scale, total, y[i]); }
  y[i] = total;
}
