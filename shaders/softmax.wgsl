// Softmax of rows, in place.
//
//   x[r, i] ← exp(x[r, i] − max_r) / Σ_i exp(x[r, i] − max_r)
//
// x [rows, width] f32; one workgroup a row
// Sums:  the row is cut into 256 slots of ceil(width / 256) consecutive elements; each slot is summed in order, then
//        the slots in order. The order depends on width alone, not on LANES.
// Error: (width/256 + 256 + 17 + 5·(|x − max| + ln width))·u relative, to first order, u = 2^-24: the sum's, and under
//        WGSL's accuracy (3 + 2|a|) ULP for exp(a) above and below, and 2.5 ULP for the division. Results under 2^-126
//        may be flushed to 0.

override LANES: u32; // threads a row, at most 256

const SLOTS = 256u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

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
  let first = row * params.width;
  let size = (params.width + SLOTS - 1u) / SLOTS;

  for (var s = lane; s < SLOTS; s += LANES) {
    var most = -3.4e38;
    for (var i = s * size; i < min((s + 1u) * size, params.width); i++) {
      most = max(most, x[first + i]);
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
      let value = exp(x[first + i] - highest);
      x[first + i] = value;
      sum += value;
    }
    slots[s] = sum;
  }
  workgroupBarrier();
  var total = 0.0;
  for (var s = 0u; s < SLOTS; s++) {
    total += slots[s];
  }
  for (var s = lane; s < SLOTS; s += LANES) {
    for (var i = s * size; i < min((s + 1u) * size, params.width); i++) {
      x[first + i] = x[first + i] / total;
    }
  }
}
