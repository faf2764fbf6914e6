// Matrix product of activations with stored weights through tiles in workgroup memory: the variant for GPUs where rows are no
// whole vec4s, which its siblings need (matmul_staged.wgsl). The bits of matmul.wgsl.
//
//   y[m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32; w [n, w_stride] f32, f16 or bf16 as stored, w_stride ≥ k, a multiple of 8, zeros past k
// y    [m, ldy] f32
// Sums:  chunks of 64 k's (two tiles), each from 0 with fma in rising k, then the chunks in order from 0.
// Error: |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, γ(j) = ju/(1 − ju), u = 2^-24; accumulate rounds product and sum.
//
// A workgroup of SIDE² threads computes a tile of 4·SIDE rows and columns, 4 × 4 outputs a thread. 32 k's of x and of w
// lie in workgroup memory as f32, 16 KiB in all where SIDE is 16 (the default limit), k-major and in vec4s of four rows: for one
// k a thread reads one vec4 of each. Slot (k, g) is at k·SIDE + (g ^ (k mod SIDE)): reads run over g at one k,
// without bank conflicts; writes run over k at one g, two-way at most for w where SIDE is 16 (it comes in pairs of k's).

const CHUNK = 64u;
const TILE_K = 32u;

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16
override SIDE: u32 = 16u; // 8 or 16

struct Params {
  m: u32,
  n: u32,
  k: u32,
  w_stride: u32, // in elements
  ldy: u32,
  first_column: u32,
  accumulate: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> x_tile: array<vec4<f32>, TILE_K * SIDE>;
var<workgroup> w_tile: array<vec4<f32>, TILE_K * SIDE>;

fn slot(k: u32, g: u32) -> u32 {
  return k * SIDE + (g ^ (k % SIDE));
}

// x[row, k], zero past the row's end. Rows past m repeat the last one; they are not stored.
fn activation(row: u32, k: u32) -> f32 {
  if (k >= p.k) { return 0.0; }
  return x[min(row, p.m - 1u) * p.k + k];
}

// w[column, k] and w[column, k + 1] as f32, exactly, k even; zeros past k.
fn weights(column: u32, k: u32) -> vec2<f32> {
  if (k >= p.k) { return vec2<f32>(); }
  let i = min(column, p.n - 1u) * p.w_stride + k;
  if (WEIGHT_DTYPE == 0u) { return bitcast<vec2<f32>>(vec2(w[i], w[i + 1u])); }
  let u = w[i / 2u];
  if (WEIGHT_DTYPE == 1u) { return unpack2x16float(u); }
  return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u));
}

// Fills both tiles: neighbouring threads load neighbouring k's of one row.
fn load_tiles(row: u32, column: u32, start: u32, thread: u32) {
  for (var g = thread / TILE_K; g < SIDE; g += SIDE * SIDE / TILE_K) {
    let k = thread % TILE_K;
    let r = row + g * 4u;
    x_tile[slot(k, g)] = vec4(activation(r, start + k), activation(r + 1u, start + k),
      activation(r + 2u, start + k), activation(r + 3u, start + k));
  }
  let k = thread % 16u * 2u;
  for (var g = thread / 16u; g < SIDE; g += SIDE * SIDE / 16u) {
    let c = column + g * 4u;
    let a = weights(c, start + k);
    let b = weights(c + 1u, start + k);
    let d = weights(c + 2u, start + k);
    let e = weights(c + 3u, start + k);
    w_tile[slot(k, g)] = vec4(a.x, b.x, d.x, e.x);
    w_tile[slot(k + 1u, g)] = vec4(a.y, b.y, d.y, e.y);
  }
}

fn put(row: u32, column: u32, dot: f32) {
  if (row >= p.m || column >= p.n) { return; }
  let i = row * p.ldy + p.first_column + column;
  if (p.accumulate == 1u) { y[i] = fma(p.scale, dot, y[i]); } else { y[i] = dot; }
}

fn put_row(row: u32, column: u32, total: vec4<f32>) {
  put(row, column, total.x);
  put(row, column + 1u, total.y);
  put(row, column + 2u, total.z);
  put(row, column + 3u, total.w);
}

@compute @workgroup_size(SIDE * SIDE)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let id = group.y * groups.x + group.x;
  let tile = 4u * SIDE;
  let across = (p.n + tile - 1u) / tile;
  let row = id / across * tile;
  let column = id % across * tile;
  if (row >= p.m) { return; } // the same for the whole workgroup
  let r = thread / SIDE;
  let c = thread % SIDE;
  var total = mat4x4<f32>(); // [i]: row i's four columns
  var acc = mat4x4<f32>();
  for (var start = 0u; start < p.k; start += TILE_K) {
    load_tiles(row, column, start, thread);
    workgroupBarrier();
    for (var k = 0u; k < TILE_K; k++) {
      let a = x_tile[slot(k, r)];
      let b = w_tile[slot(k, c)];
      acc = mat4x4(fma(a.xxxx, b, acc[0]), fma(a.yyyy, b, acc[1]), fma(a.zzzz, b, acc[2]), fma(a.wwww, b, acc[3]));
    }
    if ((start + TILE_K) % CHUNK == 0u || start + TILE_K >= p.k) {
      total += acc;
      acc = mat4x4<f32>();
    }
    workgroupBarrier();
  }
  put_row(row + r * 4u, column + c * 4u, total[0]);
  put_row(row + r * 4u + 1u, column + c * 4u, total[1]);
  put_row(row + r * 4u + 2u, column + c * 4u, total[2]);
  put_row(row + r * 4u + 3u, column + c * 4u, total[3]);
}
