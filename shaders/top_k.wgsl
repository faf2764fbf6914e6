// The k largest elements of each row, in rising order of their index; of equal ones at the threshold the first count.
//
// x          [rows, width] f32, read as in token_loss.wgsl; one workgroup a row
// thresholds [rows] of (ordered key of the k-th largest, ties to take): see kth_largest.wgsl
// out        [rows, k] of (index, value as f32 bits)
// Each lane takes a run of consecutive vec4s, counts what it will write, and begins where the lanes before it end:
// the places do not depend on timing.
// Sums: integers only. Error: none.

override LANES: u32; // threads a row, at most 256
override TEXELS: bool; // x is in the texture, not in the buffer

struct Params {
  rows: u32,
  width: u32,
  row: u32, // where these rows begin among those of the other buffers
  k: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read> thresholds: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> above: array<u32, 256>;
var<workgroup> equal: array<u32, 256>;

// The bits of the numbers 4q … 4q + 3 of all rows.
fn four(q: u32) -> vec4<u32> {
  if (TEXELS) {
    return textureLoad(texels, vec2(q % 1024u, q / 1024u));
  }
  return x[q];
}

fn ordered_keys(bits: vec4<u32>) -> vec4<u32> {
  return select(bits | vec4(0x80000000u), ~bits, (bits >> vec4(31u)) == vec4(1u));
}

fn sum_of(these: vec4<bool>) -> u32 {
  let ones = select(vec4(0u), vec4(1u), these);
  return ones.x + ones.y + ones.z + ones.w;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = group.y * groups.x + group.x;
  let row = params.row + own;
  if (own >= params.rows) {
    return;
  }
  let first = own * params.width;
  let threshold = thresholds[row].x;
  let stop = (first + params.width + 3u) / 4u;
  let run = (stop - first / 4u + LANES - 1u) / LANES;
  let begin = min(first / 4u + lane * run, stop);
  let end = min(begin + run, stop);
  var more = 0u;
  var same = 0u;
  for (var q = begin; q < end; q++) {
    let keys = ordered_keys(four(q));
    // Indices before the row wrap around.
    let here = vec4(4u * q - first) + vec4(0u, 1u, 2u, 3u) < vec4(params.width);
    more += sum_of(here & (keys > vec4(threshold)));
    same += sum_of(here & (keys == vec4(threshold)));
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
  for (var q = begin; q < end; q++) {
    let bits = four(q);
    let keys = ordered_keys(bits);
    for (var c = 0u; c < 4u; c++) {
      let i = 4u * q + c - first;
      let here = i < params.width;
      let tie = keys[c] == threshold && equal_before < ties;
      if (here && (keys[c] > threshold || tie)) {
        out[row * params.k + above_before + min(equal_before, ties)] = vec2(i, bits[c]);
      }
      above_before += select(0u, 1u, here && keys[c] > threshold);
      equal_before += select(0u, 1u, here && keys[c] == threshold);
    }
  }
}
