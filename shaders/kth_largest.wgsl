// The k-th largest value of each row, exactly, by radix selection.
//
// x   [rows, width] f32, read as in token_loss.wgsl; one workgroup a row
// ks  [rows] k of each row, 1 ≤ k ≤ width; 0 keeps everything: the row has (0, 0)
// out [rows] of (threshold, ties): threshold is the k-th largest value as an ordered key; ties is how many of the
//     elements equal to it belong to the k largest.
// A float's ordered key is its bits with the sign flipped, or all bits flipped when it is negative: keys compare as
// unsigned integers in the order of the floats (−0 below +0). Four passes of 8 bits each count the keys that agree
// with the prefix found so far. The counts are integers, so the atomics have one result.
// Sums: integers only. Error: none.

override LANES: u32; // threads a row
override TEXELS: bool; // x is in the texture, not in the buffer

struct Params {
  rows: u32,
  width: u32,
  row: u32, // where these rows begin among those of the other buffers
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read> ks: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> prefix: u32;
var<workgroup> remaining: u32;

fn ordered_key(bits: u32) -> u32 {
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// The bits of the numbers 4q … 4q + 3 of all rows.
fn four(q: u32) -> vec4<u32> {
  if (TEXELS) {
    return textureLoad(texels, vec2(q % 1024u, q / 1024u));
  }
  return x[q];
}

// Counts a number of the row whose key agrees with the prefix; indices before the row wrap around.
fn count(i: u32, bits: u32, mask: u32, known: u32, shift: u32) {
  let key = ordered_key(bits);
  if ((key & mask) == known && i < params.width) {
    atomicAdd(&histogram[(key >> shift) & 255u], 1u);
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
  if (ks[row] == 0u) {
    if (lane == 0u) {
      out[row] = vec2(0u);
    }
    return;
  }
  let first = own * params.width;
  if (lane == 0u) {
    prefix = 0u;
    remaining = ks[row];
  }
  for (var pass_index = 0u; pass_index < 4u; pass_index++) {
    let shift = 24u - 8u * pass_index;
    for (var bin = lane; bin < 256u; bin += LANES) {
      atomicStore(&histogram[bin], 0u);
    }
    workgroupBarrier();
    // Bits above the byte of this pass; a shift by 32 is not defined, so the first pass takes none.
    let mask = select(0xffffffffu << ((shift + 8u) & 31u), 0u, pass_index == 0u);
    let known = prefix;
    for (var q = first / 4u + lane; 4u * q < first + params.width; q += LANES) {
      let i = 4u * q - first;
      let bits = four(q);
      count(i, bits.x, mask, known, shift);
      count(i + 1u, bits.y, mask, known, shift);
      count(i + 2u, bits.z, mask, known, shift);
      count(i + 3u, bits.w, mask, known, shift);
    }
    workgroupBarrier();
    if (lane == 0u) {
      var bin = 255u;
      var left = remaining;
      while (bin > 0u && atomicLoad(&histogram[bin]) < left) {
        left -= atomicLoad(&histogram[bin]);
        bin--;
      }
      remaining = left;
      prefix |= bin << shift;
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    out[row] = vec2(prefix, remaining);
  }
}
