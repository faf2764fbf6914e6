// Adds a batch of documents to running compensated sums (Neumaier 1974).
//
//   state[j, i] ← state[j, i] + Σ_d (x[d·n + j, i] − y[d·n + j, i])        documents d in order; n positions each
//
// x, y   [documents · n, width] f32; y counts only when DIFFERENCE is set
// state  [n, width] of (sum, compensation); the value is sum + compensation
// Sums:  document after document: a split of the corpus into batches does not change the bits.
// Error: the sum of N terms is within 2u·|sum| + 3(N·u)²·Σ|term|, u = 2^-24, besides the rounding of each x − y.
// `one` holds 1. The compiler does not know it: otherwise it might simplify (s − t) + x to 0, as WGSL lets it.

override DIFFERENCE: bool;

struct Params {
  documents: u32,
  positions: u32,
  width: u32,
  one: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<vec2<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let size = params.positions * params.width;
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= size) {
    return;
  }
  var sum = state[i].x;
  var compensation = state[i].y;
  for (var d = 0u; d < params.documents; d++) {
    var term = x[d * size + i];
    if (DIFFERENCE) {
      term -= y[d * size + i];
    }
    let next = fma(params.one, sum, term);
    // What the rounding of `next` lost: exact, from the larger operand.
    let larger = select(term, sum, abs(sum) >= abs(term));
    let smaller = select(sum, term, abs(sum) >= abs(term));
    compensation += fma(params.one, fma(params.one, larger, -next), smaller);
    sum = next;
  }
  state[i] = vec2(sum, compensation);
}
