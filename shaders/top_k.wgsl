// The k largest elements of each row, in rising order of their index; of equal ones at the threshold the first count.
//
// x          [rows, width] f32; one workgroup a row
// thresholds [rows] of (ordered key of the k-th largest, ties to take): see kth_largest.wgsl
// out        [rows, k] of (index, value as f32 bits)
// Each lane takes a run of consecutive elements, counts what it will write, and begins where the lanes before it end:
// the places do not depend on timing.
// Sums: integers only. Error: none.

override LANES: u32; // threads a row, at most 256

struct Params {
  rows: u32,
  width: u32,
  k: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> thresholds: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;

fn ordered_key(bits: u32) -> u32 {
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

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
  let threshold = thresholds[row].x;
  let run = (params.width + LANES - 1u) / LANES;
  let begin = min(lane * run, params.width);
  let end = min(begin + run, params.width);
  var more = 0u;
  var same = 0u;
  for (var i = begin; i < end; i++) {
    let key = ordered_key(x[first + i]);
    more += select(0u, 1u, key > threshold);
    same += select(0u, 1u, key == threshold);
  }
  above[lane] = more;
  equal[lane] = same;
  workgroupBarrier();
  var above_before = 0u;
  var equal_before = 0u;
  for (var l = 0u; l < lane; l++) {
    above_before += above[l];
    equal_before += equal[l];
  }
  let ties = thresholds[row].y;
  for (var i = begin; i < end; i++) {
    let key = ordered_key(x[first + i]);
    let tie = key == threshold && equal_before < ties;
    if (key > threshold || tie) {
      out[row * params.k + above_before + min(equal_before, ties)] = vec2(i, x[first + i]);
    }
    above_before += select(0u, 1u, key > threshold);
    equal_before += select(0u, 1u, key == threshold);
  }
}
