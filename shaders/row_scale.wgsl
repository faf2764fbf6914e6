// For each row the power of two that brings its largest element into f16's upper range: matmul_half.wgsl multiplies by it
// before it rounds to f16, so that no element overflows, whatever the row's range is.
//
//   scale[r] = 2^(14 − ⌊log2 max_i |x[r, i]|⌋), in 2^-114 … 2^126
//
// x      [rows, ·] as stored, f32, f16 or bf16, in rows of `words` u32
// scale  [rows] f32
// Order: a maximum is the same in any; it is taken of the elements' bits, so NaN and infinity count as the largest numbers.
// Error: none. scale·max is in [2^14, 2^15) for every finite row, less for those under 2^-112; f16 ends at 65504.
//
// LANES threads take a row together, and a workgroup has ROWS rows.

override WEIGHT_DTYPE: u32 = 0u; // 0 f32, 1 f16, 2 bf16
override LANES: u32 = 32u;
override ROWS: u32 = 8u;

struct Params {
  rows: u32,
  words: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> largest: array<u32, LANES * ROWS>;

// The bits of |x| as f32 of the one or two elements in a word; rising with |x|.
fn magnitude(word: u32) -> u32 {
  if (WEIGHT_DTYPE == 0u) { return word & 0x7fffffffu; }
  if (WEIGHT_DTYPE == 2u) { return max((word << 16u) & 0x7fff0000u, word & 0x7fff0000u); }
  let both = bitcast<vec2<u32>>(abs(unpack2x16float(word)));
  return max(both.x, both.y);
}

@compute @workgroup_size(LANES * ROWS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = (group.y * groups.x + group.x) * ROWS + thread / LANES;
  let lane = thread % LANES;
  var most = 0u;
  if (row < p.rows) {
    for (var i = lane; i < p.words; i += LANES) { most = max(most, magnitude(x[row * p.words + i])); }
  }
  largest[thread] = most;
  workgroupBarrier();
  if (lane > 0u || row >= p.rows) { return; }
  for (var i = 1u; i < LANES; i++) { most = max(most, largest[thread + i]); }
  // The exponent fields of max and scale sum to 127 + 127 + 14.
  scale[row] = bitcast<f32>(min(268u - (most >> 23u), 253u) << 23u);
}
