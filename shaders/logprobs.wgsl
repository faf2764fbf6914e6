// Log-probabilities, in nats, of the token that was chosen and of the likeliest ones, by the model's own distribution.
//
//   out[step, r, 0]     ← (ids[place of r], ln softmax(x[r])[that token])
//   out[step, r, 1 + j] ← (top[r, j].index, ln softmax(x[r])[that token])      for j below k
//   ln softmax(x)[i] = (x[i] − max) − ln Σ exp(x − max)
//
// x      [rows, width] f32: logits before a penalty or a temperature; one workgroup a row
// places [rows] where a row's token stands in ids; ids below width
// top    [rows, k] of (index, value as f32 bits), see top_k.wgsl; not read where k = 0
// out    [steps, rows, 1 + k] of (token, f32 bits)
// Sums:  as in token_loss.wgsl: 256 slots of ceil(width / 256) consecutive elements; each slot is summed in order, then the
//        slots in order. The order depends on width alone, not on LANES.
// Error: as in token_loss.wgsl: (width/256 + 270 + 11·ln width + 2·|result|)·u to first order, u = 2^-24.

override LANES: u32; // threads a row, at most 256

const SLOTS = 256u;

struct Params {
  rows: u32,
  width: u32,
  k: u32,
  step: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> top: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(5) var<uniform> params: Params;

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
    let first = (params.step * params.rows + row) * (params.k + 1u);
    for (var j = 0u; j <= params.k; j++) {
      var token = ids[places[row]];
      if (j > 0u) {
        token = top[row * params.k + j - 1u].x;
      }
      let logprob = (x[start + token] - highest) - log(total);
      out[first + j] = vec2(token, bitcast<u32>(logprob));
    }
  }
}
