// Matrix product of activations with stored weights, both rounded to f16, by the matrix units of a GPU: the kernel of fast mode where
// Dawn and the adapter have subgroup matrices of f16 whose sums are f32. matmul_half.wgsl is the one for others.
//
//   y[m, first_column + n] = Σ_k x̂[m, k] · ŵ[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//   x̂[m, k] = f16(s[m] · x[m, k]) / s[m], and ŵ so too; s are the powers of two of row_scale.wgsl
//
// x    [m, k] f32, k a multiple of 8, x_scale [m]; w [n, k] f32, f16 or bf16 as stored, w_scale [n]; y [m, ldy] f32
// Sums:  from 0, K products at a time in rising k; how a unit adds these, WebGPU leaves open. A row has the same in every batch.
// Error: |dot − exact| ≤ that of matmul_half.wgsl + (k + ⌈k/K⌉)·2^-22·Σ|x̂||ŵ|, if the unit cuts off what it adds at 2^-22 of the
//        largest or better; audits hold adapters to it.
//
// A workgroup has DOWN × ACROSS subgroups, each with HIGH × WIDE matrices of M × N outputs. TILE_K k's of x and w lie in workgroup
// memory, row by row, while the next ones are on their way. If subgroups are smaller than they might be, those left over only fetch.

enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // it does not know which threads are one subgroup

// The host writes its own numbers into these six lines: sizes of subgroup matrices cannot be overrides.
const WEIGHT_DTYPE = 2u; // 0 f32, 1 f16, 2 bf16
const M = 16u; const N = 16u; const K = 16u; // powers of 2
const HIGH = 4u; const WIDE = 2u; // one, two or eight in all
const DOWN = 2u; const ACROSS = 4u;
const TILE_K = 32u; // a multiple of K
const SUBGROUP = 32u; // the most threads that one has
const THREADS = DOWN * ACROSS * SUBGROUP; const LAST = HIGH * WIDE - 1u;
const ROWS = DOWN * HIGH * M; const COLUMNS = ACROSS * WIDE * N;
const STRIDE = TILE_K + 8u; // rows do not begin in the same bank
const PER = select(8u, 4u, WEIGHT_DTYPE == 0u); // weights in 16 bytes
const X_LOADS = (ROWS * TILE_K / 4u + THREADS - 1u) / THREADS; // of 16 bytes, by a thread
const W_LOADS = (COLUMNS * TILE_K / PER + THREADS - 1u) / THREADS;
alias Left = subgroup_matrix_left<f16, K, M>;
alias Right = subgroup_matrix_right<f16, N, K>;
alias Sums = subgroup_matrix_result<f32, N, M>;

struct Params { m: u32, n: u32, k: u32, w_stride: u32, ldy: u32, first_column: u32, accumulate: u32, scale: f32 } // in elements
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> x_scale: array<f32>;
@group(0) @binding(4) var<storage, read> w_scale: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> x_tile: array<vec4<f16>, ROWS * STRIDE / 4u>;
var<workgroup> w_tile: array<vec4<f16>, COLUMNS * STRIDE / 4u>;
var<workgroup> sums: array<f32, DOWN * ACROSS * M * N>;

var<private> thread: u32; var<private> subgroup: u32;
var<private> row: u32; var<private> column: u32; // the first of the workgroup's
// What a thread fetched of both sides, and what that is multiplied by.
var<private> next_x: array<vec4<f32>, X_LOADS>; var<private> by_x: array<f32, X_LOADS>;
var<private> next_w: array<vec4<u32>, W_LOADS>; var<private> by_w: array<f32, W_LOADS>;

fn left(at: u32) -> Left { return subgroupMatrixLoad<Left, row_major>(&x_tile, at / 4u, STRIDE / 4u); }
fn right(at: u32) -> Right { return subgroupMatrixLoad<Right, col_major>(&w_tile, at / 4u, STRIDE / 4u); }
fn multiply(a: Left, b: Right, c: Sums) -> Sums { return subgroupMatrixMultiplyAccumulate(a, b, c); }
fn put_sums(at: u32, c: Sums) { subgroupMatrixStore<row_major>(&sums, at, c, N); }

// The row of a tile that the thread's load i is of, and the k from which on it has `per` numbers.
fn place(i: u32, per: u32) -> vec2<u32> { let at = i * THREADS + thread; return vec2(at / (TILE_K / per), at % (TILE_K / per) * per); }

// Past the ends of both sides there are zeros.
fn fetch(start: u32) {
  for (var i = 0u; i < X_LOADS; i++) {
    let at = place(i, 4u) + vec2(row, start);
    next_x[i] = vec4<f32>();
    if (at.x < p.m && at.y < p.k) { next_x[i] = x[(at.x * p.k + at.y) / 4u]; }
  }
  for (var i = 0u; i < W_LOADS; i++) {
    let at = place(i, PER) + vec2(column, start);
    next_w[i] = vec4<u32>();
    if (at.x < p.n && at.y < p.k) { next_w[i] = w[(at.x * p.w_stride + at.y) / PER]; }
  }
}

// Two weights that lie in one u32.
fn pair(u: u32) -> vec2<f32> {
  if (WEIGHT_DTYPE == 1u) { return unpack2x16float(u); }
  return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u));
}
fn stage() {
  for (var i = 0u; i < X_LOADS; i++) {
    let at = place(i, 4u);
    if (at.x < ROWS) { x_tile[(at.x * STRIDE + at.y) / 4u] = vec4<f16>(by_x[i] * next_x[i]); }
  }
  for (var i = 0u; i < W_LOADS; i++) {
    let at = place(i, PER); let to = (at.x * STRIDE + at.y) / 4u; let u = next_w[i];
    if (at.x >= COLUMNS) { continue; }
    if (WEIGHT_DTYPE == 0u) { w_tile[to] = vec4<f16>(by_w[i] * bitcast<vec4<f32>>(u)); continue; }
    w_tile[to] = vec4<f16>(by_w[i] * vec4(pair(u.x), pair(u.y)));
    w_tile[to + 1u] = vec4<f16>(by_w[i] * vec4(pair(u.z), pair(u.w)));
  }
}

fn inverse(s: f32) -> f32 { return bitcast<f32>(0x7f000000u - bitcast<u32>(s)); } // 1 / s, exactly

fn put(r: u32, c: u32, sum: f32) {
  if (r >= p.m || c >= p.n) { return; }
  let i = r * p.ldy + p.first_column + c;
  let dot = sum * inverse(x_scale[r]) * inverse(w_scale[c]);
  if (p.accumulate == 1u) { y[i] = fma(p.scale, dot, y[i]); } else { y[i] = dot; }
}

// Brings one matrix of each subgroup to where it belongs.
fn finish(one: u32, total: Sums) {
  if (subgroup < DOWN * ACROSS) { put_sums(subgroup * M * N, total); }
  workgroupBarrier();
  for (var e = thread; e < DOWN * ACROSS * M * N; e += THREADS) {
    let block = e / (M * N);
    let r = (block / ACROSS * HIGH + one / WIDE) * M + e / N % M;
    let c = (block % ACROSS * WIDE + one % WIDE) * N + e % N;
    put(row + r, column + c, sums[e]);
  }
  workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) own: u32) {
  let id = group.y * groups.x + group.x; let across = (p.n + COLUMNS - 1u) / COLUMNS;
  if (id / across * ROWS >= p.m) { return; } // the same for the whole workgroup
  thread = lane; subgroup = own; row = id / across * ROWS; column = id % across * COLUMNS;
  let x_at = subgroup / ACROSS * HIGH * M * STRIDE; let w_at = subgroup % ACROSS * WIDE * N * STRIDE;
  for (var i = 0u; i < X_LOADS; i++) { by_x[i] = x_scale[min(row + place(i, 4u).x, p.m - 1u)]; }
  for (var i = 0u; i < W_LOADS; i++) { by_w[i] = w_scale[min(column + place(i, PER).x, p.n - 1u)]; }
  fetch(0u);
  var total: array<Sums, HIGH * WIDE>;
  for (var start = 0u; start < p.k; start += TILE_K) {
    stage();
    workgroupBarrier();
    fetch(start + TILE_K);
    for (var k = 0u; k < TILE_K && subgroup < DOWN * ACROSS; k += K) {
      var a: array<Left, HIGH>;
      for (var i = 0u; i < HIGH; i++) { a[i] = left(x_at + i * M * STRIDE + k); }
      for (var j = 0u; j < WIDE; j++) {
        let b = right(w_at + j * N * STRIDE + k);
        for (var i = 0u; i < HIGH; i++) { total[i * WIDE + j] = multiply(a[i], b, total[i * WIDE + j]); }
      }
    }
    workgroupBarrier();
  }
  // Matrices are in registers, which no loop can number.
  finish(0u, total[0]);
  if (LAST > 0u) { finish(1u, total[min(1u, LAST)]); }
  if (LAST > 1u) {
    finish(2u, total[min(2u, LAST)]); finish(3u, total[min(3u, LAST)]); finish(4u, total[min(4u, LAST)]);
    finish(5u, total[min(5u, LAST)]); finish(6u, total[min(6u, LAST)]); finish(7u, total[min(7u, LAST)]);
  }
}
