// L2 norm of rows.
//
//   out[r] = sqrt(sum_i x[r, i]²)
//
// x [rows, width] f32; out [rows] f32
// Sums:  as in rmsnorm.wgsl: chunks of 64 in order with fma, then the chunks in order.
// Error: (n/2 + 9)·u relative to first order, u = 2^-24, n = 64 + width/64, sqrt within WGSL's 4.5 ULP.

override LANES: u32; // threads a row
override ROWS: u32; // rows a workgroup
override PARTIALS: u32; // at least ROWS × chunks a row

const CHUNK = 64u;

struct Params {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
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
  let width = params.width;
  let chunks = (width + CHUNK - 1u) / CHUNK;
  let slot = local.y * chunks;
  if (inside) {
    for (var c = local.x; c < chunks; c += LANES) {
      let end = min((c + 1u) * CHUNK, width);
      var sum = 0.0;
      for (var i = c * CHUNK; i < end; i++) {
        let value = x[row * width + i];
        sum = fma(value, value, sum);
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
