// Top-p (nucleus sampling, Holtzman et al. 2020): the least value that is kept.
//
//   floor = the least key t for which the tokens above t have less than p of the mass: the smallest set of the
//   likeliest tokens with at least p of it, and all that equal the least of them. At least the largest is kept.
//   The mass of a token is exp(−(highest − x) / temperature), 0 where the exponent is under −87.
//
// x      [rows, width] f32 as penalise.wgsl leaves it, read as in token_loss.wgsl; one workgroup a row
// rows   [rows] of each row's settings, see sampling.ts; where p is 1 the floor stays what it is, as it does in greedy rows
// best   [rows] of (·, highest value as f32 bits); floors [rows] of (ordered key, ·), see kth_largest.wgsl: what is
//        below has no part in it; out [rows] of (ordered key, 0)
// The key is found two bits at a time: each of 16 passes sums the mass above four bounds.
// Sums:  256 slots; slot s holds the elements s, s + 256, …, each slot is summed in order, then the slots in order. The
//        order depends on width alone, not on LANES. Adding what is not negative is monotone, so the sums of the
//        bounds are in the right order whatever they are rounded to.
// Error: a key is decided by sums that are within (width/256 + 262 + 7·ln width)·u relative, to first order, u = 2^-24:
//        the sum's, and (6 + 7·a)·u of each exponential under WGSL's accuracy (3 + 2a) ULP for exp(−a); weighted by
//        their mass the exponents a have a mean of at most ln width.

override LANES: u32; // threads a row, at most 256
override TEXELS: bool; // x is in the texture, not in the buffer

const SLOTS = 256u;
const DEPTH = 87.0; // exp(−87) is about the smallest normal f32

struct Row {
  slot: u32,
  stream: u32,
  step: u32,
  greedy: u32,
  penalty: f32,
  inverse_temperature: f32,
  p: f32,
  depth: f32,
  seed_low: u32,
  seed_high: u32,
}

struct Params {
  rows: u32,
  width: u32,
  row: u32, // where these rows begin among those of the other buffers
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> best: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> floors: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> slots: array<vec4<f32>, SLOTS>;
var<workgroup> found: u32; // the bits of the key so far

// The bits of the numbers 4q … 4q + 3 of all rows.
fn four(q: u32) -> vec4<u32> {
  if (TEXELS) {
    return textureLoad(texels, vec2(q % 1024u, q / 1024u));
  }
  return x[q];
}

// What a number adds to the sums above the bounds; nothing where it is not the row's, as indices before it wrap around.
fn add(sums: vec4<f32>, i: u32, bits: u32, bounds: vec4<u32>, highest: f32, inverse: f32) -> vec4<f32> {
  let key = ordered_key(bits);
  if (i >= params.width || key < bounds.x) {
    return sums;
  }
  return sums + select(vec4(0.0), vec4(mass(bits, highest, inverse)), vec4(key) >= bounds);
}

fn ordered_key(bits: u32) -> u32 {
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn mass(bits: u32, highest: f32, inverse: f32) -> f32 {
  let exponent = (highest - bitcast<f32>(bits)) * inverse;
  return select(0.0, exp(-exponent), bits != 0xff800000u && exponent <= DEPTH);
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
  if (rows[row].greedy == 1u || rows[row].p == 1.0) {
    if (lane == 0u) {
      out[row] = floors[row];
    }
    return;
  }
  let first = own * params.width;
  let highest = bitcast<f32>(best[row].y);
  let least = floors[row].x;
  let inverse = rows[row].inverse_temperature;
  let filled = min(SLOTS, params.width);
  var wanted = 0.0;
  for (var pass_index = 0u; pass_index < 16u; pass_index++) {
    let step = 1u << (30u - 2u * pass_index);
    let bounds = max(vec4(found) + step * vec4(0u, 1u, 2u, 3u), vec4(least));
    for (var quad = lane; quad < SLOTS / 4u; quad += LANES) {
      var sums = mat4x4<f32>();
      for (var q = first / 4u + quad; 4u * q < first + params.width; q += SLOTS / 4u) {
        let bits = four(q);
        let i = 4u * q - first;
        sums[0] = add(sums[0], i, bits.x, bounds, highest, inverse);
        sums[1] = add(sums[1], i + 1u, bits.y, bounds, highest, inverse);
        sums[2] = add(sums[2], i + 2u, bits.z, bounds, highest, inverse);
        sums[3] = add(sums[3], i + 3u, bits.w, bounds, highest, inverse);
      }
      let s = (vec4(4u * quad - first % 4u) + vec4(0u, 1u, 2u, 3u)) % vec4(SLOTS);
      for (var c = 0u; c < 4u; c++) {
        slots[s[c]] = sums[c];
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      var above = vec4(0.0);
      for (var s = 0u; s < filled; s++) {
        above += slots[s];
      }
      if (pass_index == 0u) {
        wanted = rows[row].p * above.x;
      }
      // The key is the least bound with too little above it; the mass above a bound is that from the next bound on.
      let enough = select(vec4(0u), vec4(step), above >= vec4(wanted));
      found += enough.y + enough.z + enough.w;
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    out[row] = vec2(found, 0u);
  }
}
