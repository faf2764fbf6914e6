// Root-mean-square norm of rows (Zhang and Sennrich 2019), as Llama applies it.
//
//   y[r, i] = weight[i] · (x[r, i] / sqrt(mean_i(x[r, i]²) + eps))
//   out[r, i] = y[r, i], or out[r, i] + y[r, i] with ADD: the bits of this kernel and add.wgsl after it
//
// x, out [rows, width] f32, two buffers; weight [width] f32
// Sums:  the squares in chunks of 64 consecutive elements, each summed in order with fma from 0, then the chunks in
//        order. The order depends on width alone: not on the rows beside it, nor on LANES and ROWS.
// Error: with u = 2^-24 and n = 64 + width/64, the mean of squares is within n·u relative (all terms are positive), so
//        y is within (n/2 + 18)·u relative, to first order: half of the sum's through the root, and 18 u for the
//        root, the divisions and the product under WGSL's accuracy (4.5 ULP for sqrt, 2.5 for division).
//        The sum with ADD is one rounding more.

override LANES: u32; // threads a row
override ROWS: u32; // rows a workgroup
override PARTIALS: u32; // at least ROWS × chunks a row
override ADD: bool = false;

const CHUNK = 64u;

struct Params {
  rows: u32,
  width: u32,
  eps: f32,
  zero: u32, // 0, which no compiler knows
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> partials: array<f32, PARTIALS>;

// The bits of a product that is to be added as it is: a compiler may fuse a product with a sum, but not through an exclusive or
// with a number that it does not know.
fn rounded(y: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(y) ^ params.zero);
}

@compute @workgroup_size(LANES, ROWS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
) {
  let row = (group.y * groups.x + group.x) * ROWS + local.y;
  let inside = row < params.rows;
  let width = params.width;
  let first = row * width;
  let chunks = (width + CHUNK - 1u) / CHUNK;
  let slot = local.y * chunks;
  if (inside) {
    for (var c = local.x; c < chunks; c += LANES) {
      let end = min((c + 1u) * CHUNK, width);
      var sum = 0.0;
      for (var i = c * CHUNK; i < end; i++) {
        let value = x[first + i];
        sum = fma(value, value, sum);
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
  let root = sqrt(total / f32(width) + params.eps);
  for (var i = local.x; i < width; i += LANES) {
    let y = weight[i] * (x[first + i] / root);
    if (ADD) {
      out[first + i] += rounded(y);
    } else {
      out[first + i] = y;
    }
  }
}
