// Makes logits ready for sampling, in place: the repetition penalty (Keskar et al. 2019, CTRL), and numbers only.
//
//   x ← x / penalty where x > 0, x · penalty elsewhere     for the tokens that the row's sequence has seen
//   NaN ← −∞,  +∞ ← the largest finite number,  −0 ← +0    so that equal numbers have equal bits
//
// x    [rows, width] f32; the grid is (⌈width / 64⌉, rows)
// rows [rows] of each row's settings, see sampling.ts; a greedy row without a penalty (1) stays as it is
// seen [slots, words] bitmaps of tokens: token i is bit i % 32 of word i / 32; words = 0 leaves the penalty out
// Sums:  none. Error: that of one division (2.5 ULP) or one product.

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
  words: u32,
}

@group(0) @binding(0) var<storage, read> rows: array<Row>;
@group(0) @binding(1) var<storage, read> seen: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const INFINITY = 0x7f800000u;
const MINUS_INFINITY = 0xff800000u;
const LARGEST = 0x7f7fffffu;

fn is_seen(row: u32, token: u32) -> bool {
  if (params.words == 0u || rows[row].penalty == 1.0) {
    return false;
  }
  let word = seen[rows[row].slot * params.words + token / 32u];
  return ((word >> (token % 32u)) & 1u) == 1u;
}

// By its bits: WGSL need not know infinities and NaN.
fn number(bits: u32) -> u32 {
  let size = bits & 0x7fffffffu;
  if (size > INFINITY) {
    return MINUS_INFINITY;
  }
  if (bits == INFINITY) {
    return LARGEST;
  }
  return select(bits, 0u, size == 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.x;
  let row = id.y;
  if (row >= params.rows) {
    return;
  }
  let penalty = rows[row].penalty;
  if (token >= params.width || (rows[row].greedy == 1u && penalty == 1.0)) {
    return;
  }
  let i = row * params.width + token;
  var bits = number(x[i]);
  if (bits != MINUS_INFINITY && is_seen(row, token)) {
    let value = bitcast<f32>(bits);
    bits = number(bitcast<u32>(select(value * penalty, value / penalty, value > 0.0)));
  }
  x[i] = bits;
}
