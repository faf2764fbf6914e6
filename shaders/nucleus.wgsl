// Top-p (nucleus sampling, Holtzman et al. 2020): the least value that is kept.
//
//   floor = the least key t for which the tokens above t have less than p of the mass: the smallest set of the
//   likeliest tokens with at least p of it, and all that equal the least of them. At least the largest is kept.
//   The mass of a token is exp(−(highest − x) / temperature), 0 where the exponent is under −87.
//
// x      [rows, width] f32 as penalise.wgsl leaves it; one workgroup a row
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
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read> best: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> floors: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> slots: array<vec4<f32>, SLOTS>;
var<workgroup> found: u32; // the bits of the key so far

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
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) {
    return;
  }
  if (rows[row].greedy == 1u || rows[row].p == 1.0) {
    if (lane == 0u) {
      out[row] = floors[row];
    }
    return;
  }
  let first = row * params.width;
  let highest = bitcast<f32>(best[row].y);
  let least = floors[row].x;
  let inverse = rows[row].inverse_temperature;
  let filled = min(SLOTS, params.width);
  var wanted = 0.0;
  for (var pass_index = 0u; pass_index < 16u; pass_index++) {
    let step = 1u << (30u - 2u * pass_index);
    let bounds = max(vec4(found) + step * vec4(0u, 1u, 2u, 3u), vec4(least));
    for (var s = lane; s < filled; s += LANES) {
      var sums = vec4(0.0);
      for (var i = s; i < params.width; i += SLOTS) {
        let bits = x[first + i];
        let key = ordered_key(bits);
        if (key >= bounds.x) {
          sums += select(vec4(0.0), vec4(mass(bits, highest, inverse)), vec4(key) >= bounds);
        }
      }
      slots[s] = sums;
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
