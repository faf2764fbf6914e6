// Sets the component of rows along unit vectors.
//
//   MODE 0:  x[r] ← x[r] + (coefficient − ⟨x[r], v⟩) · v     for every entry (r, v, coefficient)
//   MODE 1:  x[r] ← x[r] + ⟨others[o] − x[r], v⟩ · v         for every entry (r, v, o): the component of row o of others
//
// x [rows, width] f32, in place; vectors [count, width] f32, each of length 1; others [other rows, width] f32 (not read in
// MODE 0); entries [count] of (row, vector, coefficient as f32 bits or row of others, unused). No row may stand in two
// entries of one dispatch.
// Sums:  the dot product in chunks of 64 in order with fma, then the chunks in order.
// Error: the dot is within (64 + width/64)·u·Σ|x||v| (u = 2^-24, first order), in MODE 1 (65 + width/64)·u·Σ|o − x||v|;
//        the update adds one rounding each of the difference (MODE 0), the product and the sum. Equal rows stay as they are.

override MODE: u32;
override LANES: u32; // threads an entry
override ROWS: u32; // entries a workgroup
override PARTIALS: u32; // at least ROWS × chunks a row

const CHUNK = 64u;

struct Params {
  entries: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> entries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read> others: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> partials: array<f32, PARTIALS>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let index = (group.y * groups.x + group.x) * ROWS + local.y;
  let inside = index < params.entries;
  let entry = entries[min(index, params.entries - 1u)];
  let width = params.width;
  let row = entry.x * width;
  let vector = entry.y * width;
  let other = entry.z * width;
  let chunks = (width + CHUNK - 1u) / CHUNK;
  let slot = local.y * chunks;
  if (inside) {
    for (var c = local.x; c < chunks; c += LANES) {
      let end = min((c + 1u) * CHUNK, width);
      var sum = 0.0;
      for (var i = c * CHUNK; i < end; i++) {
        var value = x[row + i];
        if (MODE == 1u) {
          value = others[other + i] - value;
        }
        sum = fma(value, vectors[vector + i], sum);
      }
      partials[slot + c] = sum;
    }
  }
  workgroupBarrier();
  if (!inside) {
    return;
  }
  var dot = 0.0;
  for (var c = 0u; c < chunks; c++) {
    dot += partials[slot + c];
  }
  var change = dot;
  if (MODE == 0u) {
    change = bitcast<f32>(entry.z) - dot;
  }
  for (var i = local.x; i < width; i += LANES) {
    x[row + i] = fma(change, vectors[vector + i], x[row + i]);
  }
}
