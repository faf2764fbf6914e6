// The ceiling of arithmetic: twelve independent chains of fma a thread, in registers, with no loads in between.
//
//   y[i] = Σ of the chains after ITERATIONS · 8 steps of acc = fma(acc, x[0], x[1])
//
// x [2] f32 (ones), y [threads] f32. With ones the sum is 12·8·ITERATIONS + Σ of where the chains begin, exactly.

override ITERATIONS: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Params { threads: u32 }
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= p.threads) { return; }
  let m = vec4(x[0]);
  let s = vec4(x[1]);
  var a = vec4(0.0, 1.0, 2.0, 3.0);
  var b = vec4(4.0, 5.0, 6.0, 7.0);
  var c = vec4(8.0, 9.0, 10.0, 11.0);
  for (var i = 0u; i < ITERATIONS; i++) {
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
    a = fma(a, m, s); b = fma(b, m, s); c = fma(c, m, s);
  }
  let t = a + b + c;
  y[id.x] = t.x + t.y + t.z + t.w;
}
