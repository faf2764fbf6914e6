// Adds a batch of documents to running compensated sums (Neumaier 1974).
//
//   state[j, i] ← state[j, i] + Σ_d x[d·n + j, i]        documents d in order; n positions each
//
// x      [documents · n, width] f32
// state  [n, width] of (sum, compensation); the value is their exact sum
// Sums:  document after document: a split of the corpus into batches does not change the bits.
// Error: after N terms the value is within 3(N·u)²·Σ|term|, u = 2^-24.
// `one` holds 1. The compiler does not know it: otherwise it might simplify (s − t) + x to 0, as WGSL lets it.

struct Params {
  documents: u32,
  positions: u32,
  width: u32,
  one: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

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
    let term = x[d * size + i];
    let next = fma(params.one, sum, term);
    // What the rounding of `next` lost: exact, from the larger operand.
    let larger = select(term, sum, abs(sum) >= abs(term));
    let smaller = select(sum, term, abs(sum) >= abs(term));
    compensation += fma(params.one, fma(params.one, larger, -next), smaller);
    sum = next;
  }
  state[i] = vec2(sum, compensation);
}
