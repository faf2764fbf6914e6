// RMSNorm of rows that a product is to read from a texture, for software adapters: rmsnorm_vec4.wgsl, whose formula, order of sums,
// error bound and bits it has.
//
//   y[r, i] = weight[i] · (x[r, i] / sqrt(mean_i(x[r, i]²) + eps))
//
// x [rows, width], weight [width] f32, width a multiple of 4; y in rows of 1024 texels, and x too with TEXELS
// Sums:  the squares in chunks of 64 consecutive elements, each summed in order with fma from 0, then the chunks in order.
// Error: (n/2 + 18)·u relative to first order, u = 2^-24, n = 64 + width/64.
//
// A workgroup takes sixteen rows: first a lane has the root of a row, then every sixteenth vec4 of all of them, as a load from a buffer,
// the weight's too, is what costs most.

override TEXELS: bool;

struct Params { rows: u32, width_vec4: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var x_texels: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var y: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(4) var<uniform> p: Params;
var<workgroup> roots: array<f32, 16>;

fn place_of(i: u32) -> vec2<u32> { return vec2(i % 1024u, i / 1024u); }
fn value(i: u32) -> vec4<f32> {
  if (TEXELS) { return bitcast<vec4<f32>>(textureLoad(x_texels, place_of(i))); }
  return x[i];
}

fn root_of(row: u32) -> f32 {
  let first = row * p.width_vec4;
  var total = 0.0;
  for (var start = 0u; start < p.width_vec4; start += 16u) {
    var sum = 0.0;
    for (var i = start; i < min(start + 16u, p.width_vec4); i++) {
      let v = value(first + i);
      sum = fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
    }
    total += sum;
  }
  return sqrt(total / f32(4u * p.width_vec4) + p.eps);
}

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = (group.y * groups.x + group.x) * 16u;
  if (first >= p.rows) { return; }
  let rows = min(16u, p.rows - first);
  if (lane < rows) { roots[lane] = root_of(first + lane); }
  workgroupBarrier();
  for (var i = lane; i < p.width_vec4; i += 16u) {
    let w = weight[i];
    for (var r = 0u; r < rows; r++) {
      let at = (first + r) * p.width_vec4 + i;
      textureStore(y, place_of(at), bitcast<vec4<u32>>(w * (value(at) / roots[r])));
    }
  }
}
