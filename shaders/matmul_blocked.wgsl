// Matrix product of activations with stored weights, 8 × 8 outputs a thread: the variant for GPUs with many registers where there
// are many rows. Where matmul_staged.wgsl reads two vec4s of workgroup memory for 16 fma, this reads four for 64. Same bits.
//
//   y[m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32, k a multiple of 8; w [n, k] f32, f16 or bf16 as stored; y [m, ldy] f32
// Sums:  chunks of 64 k's (eight tiles), each from 0 with fma in rising k, then the chunks in order from 0.
// Error: |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, γ(j) = ju/(1 − ju), u = 2^-24; accumulate rounds product and sum.
//
// A workgroup of SIDE² threads computes a tile of 8·SIDE rows and columns, 8 k's at a time, from one half of workgroup memory while
// the next tile is on its way to the other: see matmul_staged.wgsl. 16 KiB in all where SIDE is 16 (the default limit).
// Tiles are k-major, in vec4s of four rows. A thread has four rows and columns of the tile's first half and as many of its second,
// and 32 threads cover 4 × 8 of those: what they read for one k is next to each other, or the same.

const CHUNK = 64u;
const TILE_K = 8u;

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16
override SIDE: u32 = 16u; // 8 or 16
override HALF: u32 = 2u * TILE_K * SIDE;

struct Params {
  m: u32, n: u32, k: u32,
  w_stride: u32, ldy: u32, first_column: u32, // in elements
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> x_tile: array<vec4<f32>, 2u * HALF>;
var<workgroup> w_tile: array<vec4<f32>, 2u * HALF>;

// The threads that put the first four k's of some rows into place do not meet those that put the last four in a bank.
fn slot(k: u32, g: u32) -> u32 { return k * 2u * SIDE + (g ^ (k & 4u)); }

// What a thread fetched: of four rows of x, or of w, the same 16 bytes' worth of k's.
struct Fetched { a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32> }

fn activations(row: u32, k: u32) -> vec4<u32> {
  return bitcast<vec4<u32>>(x[(min(row, p.m - 1u) * p.k + k) / 4u]);
}
fn weights(column: u32, k: u32) -> vec4<u32> {
  return w[(min(column, p.n - 1u) * p.w_stride + k) / select(8u, 4u, WEIGHT_DTYPE == 0u)];
}

// The first 4·SIDE threads have four k's of four rows of x each; then as many, or half as many, have four or eight k's of four
// columns of w. Rows past the end repeat the last one; they are not stored.
fn fetch(row: u32, column: u32, k: u32, thread: u32) -> Fetched {
  if (k >= p.k) { return Fetched(); }
  if (thread < 4u * SIDE) {
    let r = row + thread / 2u * 4u;
    let at = k + thread % 2u * 4u;
    return Fetched(activations(r, at), activations(r + 1u, at), activations(r + 2u, at), activations(r + 3u, at));
  }
  let parts = select(1u, 2u, WEIGHT_DTYPE == 0u);
  let i = thread - 4u * SIDE;
  if (i >= 2u * SIDE * parts) { return Fetched(); }
  let c = column + i / parts * 4u;
  let at = k + i % parts * 4u;
  return Fetched(weights(c, at), weights(c + 1u, at), weights(c + 2u, at), weights(c + 3u, at));
}

// Two k's of weights that lie in one u32, exactly.
fn pair(u: u32) -> vec2<f32> {
  if (WEIGHT_DTYPE == 1u) { return unpack2x16float(u); }
  return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u));
}
fn put_pair(at: u32, k: u32, g: u32, u: vec4<u32>) {
  let a = pair(u.x); let b = pair(u.y); let c = pair(u.z); let d = pair(u.w);
  w_tile[at + slot(k, g)] = vec4(a.x, b.x, c.x, d.x);
  w_tile[at + slot(k + 1u, g)] = vec4(a.y, b.y, c.y, d.y);
}

// Turns what was fetched, and puts it into the half of the tiles that begins at `at`.
fn stage(v: Fetched, at: u32, thread: u32) {
  let f = transpose(mat4x4(bitcast<vec4<f32>>(v.a), bitcast<vec4<f32>>(v.b), bitcast<vec4<f32>>(v.c), bitcast<vec4<f32>>(v.d)));
  if (thread < 4u * SIDE) {
    let g = thread / 2u; let k = thread % 2u * 4u;
    x_tile[at + slot(k, g)] = f[0]; x_tile[at + slot(k + 1u, g)] = f[1];
    x_tile[at + slot(k + 2u, g)] = f[2]; x_tile[at + slot(k + 3u, g)] = f[3];
    return;
  }
  let i = thread - 4u * SIDE;
  if (WEIGHT_DTYPE == 0u) {
    if (i >= 4u * SIDE) { return; }
    let g = i / 2u; let k = i % 2u * 4u;
    w_tile[at + slot(k, g)] = f[0]; w_tile[at + slot(k + 1u, g)] = f[1];
    w_tile[at + slot(k + 2u, g)] = f[2]; w_tile[at + slot(k + 3u, g)] = f[3];
    return;
  }
  if (i >= 2u * SIDE) { return; }
  put_pair(at, 0u, i, vec4(v.a.x, v.b.x, v.c.x, v.d.x)); put_pair(at, 2u, i, vec4(v.a.y, v.b.y, v.c.y, v.d.y));
  put_pair(at, 4u, i, vec4(v.a.z, v.b.z, v.c.z, v.d.z)); put_pair(at, 6u, i, vec4(v.a.w, v.b.w, v.c.w, v.d.w));
}

fn added(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(fma(a.xxxx, b, sums[0]), fma(a.yyyy, b, sums[1]), fma(a.zzzz, b, sums[2]), fma(a.wwww, b, sums[3]));
}

fn put(row: u32, column: u32, dot: f32) {
  if (row >= p.m || column >= p.n) { return; }
  let i = row * p.ldy + p.first_column + column;
  if (p.accumulate == 1u) { y[i] = fma(p.scale, dot, y[i]); } else { y[i] = dot; }
}
fn put_row(row: u32, column: u32, total: vec4<f32>) {
  put(row, column, total.x); put(row, column + 1u, total.y); put(row, column + 2u, total.z); put(row, column + 3u, total.w);
}
fn put_rows(row: u32, column: u32, total: mat4x4<f32>) {
  put_row(row, column, total[0]); put_row(row + 1u, column, total[1]);
  put_row(row + 2u, column, total[2]); put_row(row + 3u, column, total[3]);
}

@compute @workgroup_size(SIDE * SIDE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let id = group.y * groups.x + group.x;
  let tile = 8u * SIDE;
  let across = (p.n + tile - 1u) / tile;
  let row = id / across * tile;
  let column = id % across * tile;
  if (row >= p.m) { return; } // the same for the whole workgroup
  let r = thread / (4u * SIDE) * 4u + thread % 32u / 8u;
  let c = thread / 32u % (SIDE / 8u) * 8u + thread % 8u;
  // By quarters of the thread's block, [i]: row i's four columns.
  var total0 = mat4x4<f32>(); var total1 = mat4x4<f32>(); var total2 = mat4x4<f32>(); var total3 = mat4x4<f32>();
  var acc0 = mat4x4<f32>(); var acc1 = mat4x4<f32>(); var acc2 = mat4x4<f32>(); var acc3 = mat4x4<f32>();
  stage(fetch(row, column, 0u, thread), 0u, thread);
  workgroupBarrier();
  for (var start = 0u; start < p.k; start += TILE_K) {
    let at = start / TILE_K % 2u * HALF;
    let next = fetch(row, column, start + TILE_K, thread);
    for (var k = 0u; k < TILE_K; k++) {
      let a = x_tile[at + slot(k, r)]; let b = x_tile[at + slot(k, SIDE + r)];
      let d = w_tile[at + slot(k, c)]; let e = w_tile[at + slot(k, SIDE + c)];
      acc0 = added(acc0, a, d); acc1 = added(acc1, a, e); acc2 = added(acc2, b, d); acc3 = added(acc3, b, e);
    }
    if ((start + TILE_K) % CHUNK == 0u || start + TILE_K >= p.k) {
      total0 += acc0; total1 += acc1; total2 += acc2; total3 += acc3;
      acc0 = mat4x4<f32>(); acc1 = mat4x4<f32>(); acc2 = mat4x4<f32>(); acc3 = mat4x4<f32>();
    }
    stage(next, HALF - at, thread);
    workgroupBarrier();
  }
  let low = row + 4u * r; let left = column + 4u * c; let half = 4u * SIDE;
  put_rows(low, left, total0); put_rows(low, left + half, total1);
  put_rows(low + half, left, total2); put_rows(low + half, left + half, total3);
}
