// RMSNorm with the sums in whatever order is fast: for bench/invariance_cost.ts, which holds it against rmsnorm_vec4.wgsl.
//
//   out[r, i] = weight[i] · (x[r, i] / sqrt(mean_i(x[r, i]²) + eps))
//
// x, out [rows, width] f32; weight [width] f32; width a multiple of 4
// Sums:  thread l takes the vec4s l, l + LANES, …, each of their four elements in an accumulator of its own; then the threads'
//        sums in order. So the order depends on LANES.

override LANES: u32; // threads a row
override ROWS: u32; // rows a workgroup
override PARTIALS: u32; // not needed here; the host sets it

struct Params {
  rows: u32,
  width: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> partials: array<f32, LANES * ROWS + 0u * PARTIALS>;

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let row = (group.y * groups.x + group.x) * ROWS + local.y;
  let inside = row < params.rows;
  let quads = params.width / 4u;
  let first = row * quads;
  if (inside) {
    var sum = vec4<f32>();
    for (var i = local.x; i < quads; i += LANES) {
      let value = x[first + i];
      sum = fma(value, value, sum);
    }
    partials[local.y * LANES + local.x] = sum.x + sum.y + sum.z + sum.w;
  }
  workgroupBarrier();
  if (!inside) {
    return;
  }
  var total = 0.0;
  for (var l = 0u; l < LANES; l++) {
    total += partials[local.y * LANES + l];
  }
  let root = sqrt(total / f32(params.width) + params.eps);
  for (var i = local.x; i < quads; i += LANES) {
    out[first + i] = weight[i] * (x[first + i] / root);
  }
}
