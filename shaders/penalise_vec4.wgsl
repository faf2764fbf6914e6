// Makes logits ready for sampling, in place: penalise.wgsl with four numbers a thread, for vocabularies that are multiples of 4. Its bits.
//
//   x ← x / penalty where x > 0, x · penalty elsewhere     for the tokens that the row's sequence has seen
//   NaN ← −∞,  +∞ ← the largest finite number,  −0 ← +0    so that equal numbers have equal bits
//
// x    [rows, width] f32, width a multiple of 4; the grid is (⌈width / 256⌉, rows)
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
@group(0) @binding(2) var<storage, read_write> x: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

const INFINITY = 0x7f800000u;
const MINUS_INFINITY = 0xff800000u;
const LARGEST = 0x7f7fffffu;

// Of four tokens from the given one on, each a bit.
fn seen_of(row: u32, token: u32) -> vec4<bool> {
  if (params.words == 0u || rows[row].penalty == 1.0) {
    return vec4(false);
  }
  let word = seen[rows[row].slot * params.words + token / 32u] >> (token % 32u);
  return (vec4(word) & vec4(1u, 2u, 4u, 8u)) != vec4(0u);
}

// By their bits: WGSL need not know infinities and NaN.
fn numbers(bits: vec4<u32>) -> vec4<u32> {
  let size = bits & vec4(0x7fffffffu);
  let finite = select(select(bits, vec4(LARGEST), bits == vec4(INFINITY)), vec4(0u), size == vec4(0u));
  return select(finite, vec4(MINUS_INFINITY), size > vec4(INFINITY));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = 4u * id.x;
  let row = id.y;
  if (row >= params.rows) {
    return;
  }
  let penalty = rows[row].penalty;
  if (token >= params.width || (rows[row].greedy == 1u && penalty == 1.0)) {
    return;
  }
  let i = (row * params.width + token) / 4u;
  let bits = numbers(x[i]);
  let value = bitcast<vec4<f32>>(bits);
  let penalised = numbers(bitcast<vec4<u32>>(select(value * penalty, value / penalty, value > vec4(0.0))));
  x[i] = select(bits, penalised, seen_of(row, token) & (bits != vec4(MINUS_INFINITY)));
}
