// The largest number of each row and where it stands; of equal ones the first. NaN and −∞ are never chosen.
//
// x    [rows, width] f32, read as in token_loss.wgsl; one workgroup a row
// best [rows] of (index, value as f32 bits); the index is 0xffffffff where no element is a number above −∞
// Numbers compare by their ordered keys, see kth_largest.wgsl; both zeros have the key of +0, NaN the lowest.
// Sums: none. Error: none.

override LANES: u32; // threads a row, at most 256
override TEXELS: bool; // x is in the texture, not in the buffer

struct Params {
  rows: u32,
  width: u32,
  row: u32, // where these rows begin among those of the other buffers
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read_write> best: array<vec2<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

const NONE = 0xffffffffu;
const MINUS_INFINITY = 0xff800000u;

// The lane's best so far.
var<private> most: u32;
var<private> place: u32;
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

// The bits of the numbers 4q … 4q + 3 of all rows.
fn four(q: u32) -> vec4<u32> {
  if (TEXELS) {
    return textureLoad(texels, vec2(q % 1024u, q / 1024u));
  }
  return x[q];
}

// What stands before the row is far behind its end as well: indices wrap around.
fn look(i: u32, bits: u32) {
  let key = ordered_key(bits);
  if (key > most && i < params.width) {
    most = key;
    place = i;
  }
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
  most = ordered_key(MINUS_INFINITY);
  place = NONE;
  for (var q = first / 4u + lane; 4u * q < first + params.width; q += LANES) {
    let i = 4u * q - first;
    let bits = four(q);
    look(i, bits.x);
    look(i + 1u, bits.y);
    look(i + 2u, bits.z);
    look(i + 3u, bits.w);
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
    value = four((first + place) / 4u)[(first + place) % 4u];
  }
  best[row] = vec2(place, value);
}
