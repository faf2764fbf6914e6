// Cross-entropy of rows of logits, in nats.
//
//   losses[first + r] ← ln Σ_i exp(x[r, i] − max_r) + (max_r − x[r, targets[r]])
//
// x [rows, width] f32; targets [rows], each below width; losses [first + rows or more] f32; one workgroup a row
// Sums:  as in softmax.wgsl: the row is cut into 256 slots of ceil(width / 256) consecutive elements; each slot is summed
//        in order, then the slots in order. The order depends on width alone, not on LANES.
// Error: (width/256 + 270 + 11·ln width + 2·loss)·u to first order, u = 2^-24: the sum's, width/256 + 262 + 5·ln width
//        relative under WGSL's accuracy of (3 + 2|a|) ULP for exp(a), which is the logarithm's absolute error; 8 or
//        6·ln(sum) for the logarithm itself (2^-21 up to 2, 3 ULP above); one rounding each of the difference and the sum.

override LANES: u32; // threads a row, at most 256

const SLOTS = 256u;

struct Params {
  rows: u32,
  width: u32,
  first: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> slots: array<f32, SLOTS>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) {
    return;
  }
  let start = row * params.width;
  let size = (params.width + SLOTS - 1u) / SLOTS;

  for (var s = lane; s < SLOTS; s += LANES) {
    var most = -3.4e38;
    for (var i = s * size; i < min((s + 1u) * size, params.width); i++) {
      most = max(most, x[start + i]);
    }
    slots[s] = most;
  }
  workgroupBarrier();
  var highest = slots[0];
  for (var s = 1u; s < SLOTS; s++) {
    highest = max(highest, slots[s]);
  }
  workgroupBarrier();

  for (var s = lane; s < SLOTS; s += LANES) {
    var sum = 0.0;
    for (var i = s * size; i < min((s + 1u) * size, params.width); i++) {
      sum += exp(x[start + i] - highest);
    }
    slots[s] = sum;
  }
  workgroupBarrier();
  if (lane == 0u) {
    var total = 0.0;
    for (var s = 0u; s < SLOTS; s++) {
      total += slots[s];
    }
    losses[params.first + row] = log(total) + (highest - x[start + targets[row]]);
  }
}
