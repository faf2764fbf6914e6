// The largest number of each row and where it stands; of equal ones the first. NaN and −∞ are never chosen.
//
// x    [rows, width] f32; one workgroup a row
// best [rows] of (index, value as f32 bits); the index is 0xffffffff where no element is a number above −∞
// Numbers compare by their ordered keys, see kth_largest.wgsl; both zeros have the key of +0, NaN the lowest.
// Sums: none. Error: none.

override LANES: u32; // threads a row, at most 256

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> best: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

const NONE = 0xffffffffu;
const MINUS_INFINITY = 0xff800000u;

// Keys and indices of the lanes' best.
var<workgroup> keys: array<u32, 256>;
var<workgroup> places: array<u32, 256>;

fn ordered_key(bits: u32) -> u32 {
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) {
    return 0u;
  }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u && size != 0u);
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
  var most = ordered_key(MINUS_INFINITY);
  var place = NONE;
  for (var i = lane; i < params.width; i += LANES) {
    let key = ordered_key(x[first + i]);
    if (key > most) {
      most = key;
      place = i;
    }
  }
  keys[lane] = most;
  places[lane] = place;
  workgroupBarrier();
  if (lane > 0u) {
    return;
  }
  for (var l = 1u; l < LANES; l++) {
    if (keys[l] > most || (keys[l] == most && places[l] < place)) {
      most = keys[l];
      place = places[l];
    }
  }
  var value = MINUS_INFINITY;
  if (place != NONE) {
    value = x[first + place];
  }
  best[row] = vec2(place, value);
}
