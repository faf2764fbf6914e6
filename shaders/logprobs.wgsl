// Log-probabilities, in nats, of the token that was chosen and of the likeliest ones, by the model's own distribution.
//
//   out[step, r, 0]     ← (ids[place of r], ln softmax(x[r])[that token])
//   out[step, r, 1 + j] ← (top[r, j].index, ln softmax(x[r])[that token])      for j below k
//   ln softmax(x)[i] = (x[i] − max) − ln Σ exp(x − max)
//
// x      [rows, width] f32: logits before a penalty or a temperature; read as in token_loss.wgsl; one workgroup a row
// places [rows] where a row's token stands in ids; ids below width
// top    [rows, k] of (index, value as f32 bits), see top_k.wgsl; not read where k = 0
// out    [steps, rows, 1 + k] of (token, f32 bits)
// Sums:  as in token_loss.wgsl: 256 slots of ceil(width / 256) consecutive elements; each slot is summed in order, then the
//        slots in order. The order depends on width alone, not on LANES.
// Error: as in token_loss.wgsl: (width/256 + 270 + 11·ln width + 2·|result|)·u to first order, u = 2^-24.

override LANES: u32; // threads a row, at most 256
override TEXELS: bool; // x is in the texture, not in the buffer

const SLOTS = 256u;

struct Params {
  rows: u32,
  width: u32,
  row: u32, // where these rows begin among those of the other buffers
  k: u32,
  before: u32, // rows of the steps before
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read> top: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec2<u32>>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> tops: array<f32, 256>; // the lanes' highest numbers
var<workgroup> slots: array<f32, SLOTS>;

// Numbers 4q … 4q + 3 of all rows.
fn four(q: u32) -> vec4<f32> {
  if (TEXELS) {
    return bitcast<vec4<f32>>(textureLoad(texels, vec2(q % 1024u, q / 1024u)));
  }
  return x[q];
}

// Which of the numbers i … i + 3 lie from begin on and before end.
fn inside(i: u32, begin: u32, end: u32) -> vec4<bool> {
  let at = vec4(i) + vec4(0u, 1u, 2u, 3u);
  return (at >= vec4(begin)) & (at < vec4(end));
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
  let start = own * params.width;
  let size = (params.width + SLOTS - 1u) / SLOTS;

  let stop = start + params.width;
  var most = vec4(-3.4e38);
  for (var q = start / 4u + lane; 4u * q < stop; q += LANES) {
    most = max(most, select(vec4(-3.4e38), four(q), inside(4u * q, start, stop)));
  }
  tops[lane] = max(max(most.x, most.y), max(most.z, most.w));
  workgroupBarrier();
  var highest = tops[0];
  for (var l = 1u; l < LANES; l++) {
    highest = max(highest, tops[l]);
  }

  for (var s = lane; s < SLOTS; s += LANES) {
    let begin = start + min(s * size, params.width);
    let end = start + min((s + 1u) * size, params.width);
    var sum = 0.0;
    for (var q = begin / 4u; 4u * q < end; q++) {
      let terms = select(vec4(0.0), exp(four(q) - highest), inside(4u * q, begin, end));
      sum = (((sum + terms.x) + terms.y) + terms.z) + terms.w;
    }
    slots[s] = sum;
  }
  workgroupBarrier();
  if (lane == 0u) {
    var total = 0.0;
    for (var s = 0u; s < SLOTS; s++) {
      total += slots[s];
    }
    let first = (params.before + row) * (params.k + 1u);
    for (var j = 0u; j <= params.k; j++) {
      var token = ids[places[row]];
      if (j > 0u) {
        token = top[row * params.k + j - 1u].x;
      }
      let at = start + token;
      let logprob = (four(at / 4u)[at % 4u] - highest) - log(total);
      out[first + j] = vec2(token, bitcast<u32>(logprob));
    }
  }
}
