// Hands the chosen tokens on: to the next forward pass, to the history that the host reads, and to the penalty.
//
//   ids[r] = token, 0 where none was found;  history[step, r] = token, or 0xffffffff;  seen[slot of r] gains the token
//
// best    [rows] of (token, ·); ids [rows]; history [steps, rows]
// rows    [rows] of each row's settings, see sampling.ts, each slot once; seen [slots, words], see penalise.wgsl; words = 0 leaves it as it is
// Sums: none. Error: none.

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
  words: u32,
  step: u32,
}

@group(0) @binding(0) var<storage, read> best: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> rows: array<Row>;
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> history: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

const NONE = 0xffffffffu;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= params.rows) {
    return;
  }
  let token = best[row].x;
  history[params.step * params.rows + row] = token;
  ids[row] = select(token, 0u, token == NONE);
  if (token != NONE && params.words > 0u) {
    let word = rows[row].slot * params.words + token / 32u;
    seen[word] = seen[word] | (1u << (token % 32u));
  }
}
