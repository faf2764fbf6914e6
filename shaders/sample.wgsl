// Draws one token a row by the inverse of the cumulative distribution.
//
//   mass of token i = exp(−(highest − x[i]) / temperature) where its key is at least the row's floor and the exponent
//   is not under −depth (min-p: depth = −ln min_p), else 0; the token is the first at which the running sum of the
//   masses is above u · total
//   u = the upper 24 bits of the first word of Philox4x32-10 (Salmon et al. 2011) for the counter (step, stream, 0,
//   SAMPLING) and the seed as its key, over 2^24
//
// x      [rows, width] f32 as penalise.wgsl leaves it, read as in token_loss.wgsl; one workgroup a row
// rows   [rows] of each row's settings, see sampling.ts; the draw is that of the row's step + params.step; a greedy row
//        keeps its largest
// floors [rows] of (ordered key, ·), see kth_largest.wgsl
// best   [rows] of (index of the largest, its value as f32 bits); the index becomes the token; a row without a largest
//        (0xffffffff) stays as it is
// Sums:  as in nucleus.wgsl: 256 slots of every 256th element, each in order, then the slots in order. Tokens follow
//        one another in this order too.
// Error: the running sums and the total are within (width/256 + 262 + 7·ln width)·u relative, as in nucleus.wgsl; u has
//        24 bits, so that masses under 2^-24 of the total are drawn in steps of that size.

override LANES: u32; // threads a row, at most 256
override TEXELS: bool; // x is in the texture, not in the buffer

const SLOTS = 256u;
const SAMPLING = 0x73616d70u; // tells these draws from others of the same seed
const NONE = 0xffffffffu;

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
  step: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read> rows: array<Row>;
@group(0) @binding(3) var<storage, read> floors: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> best: array<vec2<u32>>;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> slots: array<f32, SLOTS>;

// The bits of the numbers 4q … 4q + 3 of all rows.
fn four(q: u32) -> vec4<u32> {
  if (TEXELS) {
    return textureLoad(texels, vec2(q % 1024u, q / 1024u));
  }
  return x[q];
}

fn mass(bits: u32, highest: f32, least: u32, inverse: f32, depth: f32) -> f32 {
  let key = select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
  let exponent = (highest - bitcast<f32>(bits)) * inverse;
  let kept = key >= least && bits != 0xff800000u && exponent <= depth;
  return select(0.0, exp(-exponent), kept);
}

// (high, low) word of the 64-bit product, from products of 16-bit halves.
fn multiply(a: u32, b: u32) -> vec2<u32> {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2((a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u), a * b);
}

fn uniform_number(row: u32) -> f32 {
  var c = vec4(rows[row].step + params.step, rows[row].stream, 0u, SAMPLING);
  var key = vec2(rows[row].seed_low, rows[row].seed_high);
  for (var round = 0u; round < 10u; round++) {
    let p = multiply(0xd2511f53u, c.x);
    let q = multiply(0xcd9e8d57u, c.z);
    c = vec4(q.x ^ c.y ^ key.x, q.y, p.x ^ c.w ^ key.y, p.y);
    key += vec2(0x9e3779b9u, 0xbb67ae85u);
  }
  return f32(c.x >> 8u) * 0x1p-24;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = group.y * groups.x + group.x;
  let row = params.row + own;
  if (own >= params.rows || rows[row].greedy == 1u) {
    return;
  }
  let first = own * params.width;
  let highest = bitcast<f32>(best[row].y);
  let least = floors[row].x;
  let inverse = rows[row].inverse_temperature;
  let depth = rows[row].depth;
  let filled = min(SLOTS, params.width);
  for (var quad = lane; quad < SLOTS / 4u; quad += LANES) {
    var sums = vec4(0.0);
    for (var q = first / 4u + quad; 4u * q < first + params.width; q += SLOTS / 4u) {
      let bits = four(q);
      for (var c = 0u; c < 4u; c++) {
        // What stands before the row is far behind its end as well: indices wrap around.
        if (4u * q + c - first < params.width) {
          sums[c] += mass(bits[c], highest, least, inverse, depth);
        }
      }
    }
    let s = (vec4(4u * quad - first % 4u) + vec4(0u, 1u, 2u, 3u)) % vec4(SLOTS);
    for (var c = 0u; c < 4u; c++) {
      slots[s[c]] = sums[c];
    }
  }
  workgroupBarrier();
  if (lane > 0u || best[row].x == NONE) {
    return;
  }
  var total = 0.0;
  for (var s = 0u; s < filled; s++) {
    total += slots[s];
  }
  let bound = uniform_number(row) * total;
  var slot = 0u;
  var before = 0.0;
  while (slot < filled - 1u && before + slots[slot] <= bound) {
    before += slots[slot];
    slot++;
  }
  var token = best[row].x;
  var sum = 0.0;
  var open = true; // every element is read, so that none waits for the one before
  for (var i = slot; i < params.width; i += SLOTS) {
    sum += mass(four((first + i) / 4u)[(first + i) % 4u], highest, least, inverse, depth);
    if (open && before + sum > bound) {
      token = i;
      open = false;
    }
  }
  best[row].x = token;
}
