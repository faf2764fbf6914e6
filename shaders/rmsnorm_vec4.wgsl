// RMSNorm of rows whose width is a multiple of 4: rmsnorm.wgsl with four elements a load and a store. Formula, order of
// sums, error bound and bits are those of rmsnorm.wgsl. (On software adapters a load costs the same however wide it is; on
// GPUs neighbouring threads go through 16 bytes each.)
//
//   y[r, i] = weight[i] · (x[r, i] / sqrt(mean_i(x[r, i]²) + eps))
//   out[r, i] = y[r, i], or out[r, i] + y[r, i] with ADD: the bits of this kernel and add.wgsl after it
//
// x, out [rows, width] f32, two buffers; weight [width] f32; width a multiple of 4
// Sums:  the squares in chunks of 64 consecutive elements, each summed in order with fma from 0, then the chunks in
//        order.
// Error: of y (n/2 + 18)·u relative to first order, u = 2^-24, n = 64 + width/64; the sum with ADD is one rounding more.

override LANES: u32; // threads a row
override ROWS: u32; // rows a workgroup
override PARTIALS: u32; // at least ROWS × chunks a row
override ADD: bool = false;

const CHUNK4 = 16u; // vec4s in a chunk of 64 elements

struct Params {
  rows: u32,
  width: u32,
  eps: f32,
  zero: u32, // 0, which no compiler knows
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> partials: array<f32, PARTIALS>;

// The bits of a product that is to be added as it is: a compiler may fuse a product with a sum, but not through an exclusive or
// with a number that it does not know.
fn rounded(y: vec4<f32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(y) ^ vec4(params.zero));
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let row = (group.y * groups.x + group.x) * ROWS + local.y;
  let inside = row < params.rows;
  let width4 = params.width / 4u;
  let first = row * width4;
  let chunks = (width4 + CHUNK4 - 1u) / CHUNK4;
  let slot = local.y * chunks;
  if (inside) {
    for (var c = local.x; c < chunks; c += LANES) {
      let end = min((c + 1u) * CHUNK4, width4);
      var sum = 0.0;
      for (var i = c * CHUNK4; i < end; i++) {
        let v = x[first + i];
        sum = fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
      }
      partials[slot + c] = sum;
    }
  }
  workgroupBarrier();
  if (!inside) {
    return;
  }
  var total = 0.0;
  for (var c = 0u; c < chunks; c++) {
    total += partials[slot + c];
  }
  let root = sqrt(total / f32(params.width) + params.eps);
  for (var i = local.x; i < width4; i += LANES) {
    let y = weight[i] * (x[first + i] / root);
    if (ADD) {
      out[first + i] += rounded(y);
    } else {
      out[first + i] = y;
    }
  }
}
