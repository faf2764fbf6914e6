// L2 norm of rows whose width is a multiple of 4: row_norm.wgsl with four elements a load.
//
//   out[r] = sqrt(sum_i x[r, i]²)
//
// x [rows, width] f32, width a multiple of 4; out [rows] f32
// Sums:  as in row_norm.wgsl: chunks of 64 in order with fma, then the chunks in order. The same bits.
// Error: (n/2 + 9)·u relative to first order, u = 2^-24, n = 64 + width/64, sqrt within WGSL's 4.5 ULP.

override LANES: u32; // threads a row
override ROWS: u32; // rows a workgroup
override PARTIALS: u32; // at least ROWS × chunks a row

const CHUNK4 = 16u; // vec4s in a chunk of 64 elements

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> partials: array<f32, PARTIALS>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let row = (group.y * groups.x + group.x) * ROWS + local.y;
  let inside = row < params.rows;
  let width4 = params.width / 4u;
  let chunks = (width4 + CHUNK4 - 1u) / CHUNK4;
  let slot = local.y * chunks;
  if (inside) {
    for (var c = local.x; c < chunks; c += LANES) {
      let end = min((c + 1u) * CHUNK4, width4);
      var sum = 0.0;
      for (var i = c * CHUNK4; i < end; i++) {
        let v = x[row * width4 + i];
        sum = fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
      }
      partials[slot + c] = sum;
    }
  }
  workgroupBarrier();
  if (!inside || local.x > 0u) {
    return;
  }
  var total = 0.0;
  for (var c = 0u; c < chunks; c++) {
    total += partials[slot + c];
  }
  out[row] = sqrt(total);
}
