// Matrix product of activations with stored weights, four chunks of k's at once: the variant for GPUs where there are more rows than
// matvec.wgsl takes and fewer tiles than cores, so that time goes by in waiting for the next tile. The bits of matmul.wgsl.
//
//   y[m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32, k a multiple of 8; w [n, k] f32, f16 or bf16 as stored; y [m, ldy] f32
// Sums:  chunks of 64 k's (four tiles), each from 0 with fma in rising k by one group of threads, then the chunks in order from 0.
// Error: |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, γ(j) = ju/(1 − ju), u = 2^-24; accumulate rounds product and sum.
//
// A workgroup computes 32 × 32 outputs. Each of its four groups of 64 threads has a chunk of its own, 4 × 4 outputs a thread, tile by
// tile as in matmul_staged.wgsl: the next one is on its way to registers meanwhile. Then the chunks' sums take the tiles' place in
// workgroup memory, 16 KiB in all (the default limit), and a thread adds those of four outputs.

const CHUNK = 64u;
const TILE_K = 16u;
const SIDE = 8u;
const GROUPS = 4u;
const HALF = TILE_K * SIDE; // vec4s of a tile of x, and of one of w

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16

struct Params {
  m: u32, n: u32, k: u32,
  w_stride: u32, ldy: u32, first_column: u32, // in elements
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

// By groups: k-major tiles of x and w, in vec4s of four rows. Then rows of the threads' blocks, by rows, groups and threads.
var<workgroup> shared_memory: array<vec4<f32>, 2u * GROUPS * HALF>;

// Reads, over g at one k, do not meet in a bank.
fn slot(k: u32, g: u32) -> u32 { return k * SIDE + (g ^ (k % SIDE)); }

// What a thread fetched: of four rows of x, or of w, the same 16 bytes' worth of k's.
struct Fetched { a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32> }

fn activations(row: u32, k: u32) -> vec4<u32> {
  return bitcast<vec4<u32>>(x[(min(row, p.m - 1u) * p.k + k) / 4u]);
}
fn weights(column: u32, k: u32) -> vec4<u32> {
  return w[(min(column, p.n - 1u) * p.w_stride + k) / select(8u, 4u, WEIGHT_DTYPE == 0u)];
}

// The first 32 threads of a group have four k's of four rows of x each; the next 16, or 32, have eight or four k's of four columns
// of w. Rows past the end repeat the last one; they are not stored. k's past the end are not read again.
fn fetch(row: u32, column: u32, start: u32, thread: u32) -> Fetched {
  if (thread < 4u * SIDE) {
    let r = row + thread / 4u * 4u;
    let k = start + thread % 4u * 4u;
    if (k >= p.k) { return Fetched(); }
    return Fetched(activations(r, k), activations(r + 1u, k), activations(r + 2u, k), activations(r + 3u, k));
  }
  let per = select(8u, 4u, WEIGHT_DTYPE == 0u);
  let parts = TILE_K / per;
  let i = thread - 4u * SIDE;
  let c = column + i / parts * 4u;
  let k = start + i % parts * per;
  if (i >= parts * SIDE || k >= p.k) { return Fetched(); }
  return Fetched(weights(c, k), weights(c + 1u, k), weights(c + 2u, k), weights(c + 3u, k));
}

// Two k's of weights that lie in one u32, exactly.
fn pair(u: u32) -> vec2<f32> {
  if (WEIGHT_DTYPE == 1u) { return unpack2x16float(u); }
  return bitcast<vec2<f32>>(vec2(u << 16u, u & 0xffff0000u));
}
fn put_pair(at: u32, k: u32, g: u32, u: vec4<u32>) {
  let a = pair(u.x); let b = pair(u.y); let c = pair(u.z); let d = pair(u.w);
  shared_memory[at + slot(k, g)] = vec4(a.x, b.x, c.x, d.x);
  shared_memory[at + slot(k + 1u, g)] = vec4(a.y, b.y, c.y, d.y);
}

// Turns what was fetched, and puts it into the group's tiles, which begin at `at`.
fn stage(v: Fetched, at: u32, thread: u32) {
  let wide = WEIGHT_DTYPE == 0u || thread < 4u * SIDE; // four k's of 32 bits
  let i = thread % (4u * SIDE);
  let tile = at + select(HALF, 0u, thread < 4u * SIDE);
  if (wide) {
    let f = transpose(mat4x4(bitcast<vec4<f32>>(v.a), bitcast<vec4<f32>>(v.b), bitcast<vec4<f32>>(v.c), bitcast<vec4<f32>>(v.d)));
    let g = i / 4u; let k = i % 4u * 4u;
    shared_memory[tile + slot(k, g)] = f[0]; shared_memory[tile + slot(k + 1u, g)] = f[1];
    shared_memory[tile + slot(k + 2u, g)] = f[2]; shared_memory[tile + slot(k + 3u, g)] = f[3];
    return;
  }
  if (i >= 2u * SIDE) { return; }
  let g = i / 2u; let k = i % 2u * 8u;
  put_pair(tile, k, g, vec4(v.a.x, v.b.x, v.c.x, v.d.x)); put_pair(tile, k + 2u, g, vec4(v.a.y, v.b.y, v.c.y, v.d.y));
  put_pair(tile, k + 4u, g, vec4(v.a.z, v.b.z, v.c.z, v.d.z)); put_pair(tile, k + 6u, g, vec4(v.a.w, v.b.w, v.c.w, v.d.w));
}

fn put(row: u32, column: u32, dot: f32) {
  if (row >= p.m || column >= p.n) { return; }
  let i = row * p.ldy + p.first_column + column;
  if (p.accumulate == 1u) { y[i] = fma(p.scale, dot, y[i]); } else { y[i] = dot; }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  let id = group.y * groups.x + group.x;
  let across = (p.n + 4u * SIDE - 1u) / (4u * SIDE);
  let row = id / across * 4u * SIDE;
  let column = id % across * 4u * SIDE;
  if (row >= p.m) { return; } // the same for the whole workgroup
  let own = index / 64u; // the group, and the row of four outputs whose chunks this thread adds
  let thread = index % 64u;
  let r = thread / SIDE; let c = thread % SIDE;
  let at = own * 2u * HALF;
  let chunks = (p.k + CHUNK - 1u) / CHUNK;
  var total = vec4<f32>();
  var next = fetch(row, column, own * CHUNK, thread);
  for (var first = 0u; first < chunks; first += GROUPS) {
    var acc = mat4x4<f32>(); // [i]: row i's four columns
    for (var part = 0u; part < CHUNK; part += TILE_K) {
      stage(next, at, thread);
      workgroupBarrier();
      let start = (first + own) * CHUNK + part;
      next = fetch(row, column, start + select(TILE_K, TILE_K + (GROUPS - 1u) * CHUNK, part + TILE_K == CHUNK), thread);
      for (var k = 0u; k < min(TILE_K, p.k - min(start, p.k)); k++) {
        let a = shared_memory[at + slot(k, r)];
        let b = shared_memory[at + HALF + slot(k, c)];
        acc = mat4x4(fma(a.xxxx, b, acc[0]), fma(a.yyyy, b, acc[1]), fma(a.zzzz, b, acc[2]), fma(a.wwww, b, acc[3]));
      }
      workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) { shared_memory[(i * GROUPS + own) * 64u + thread] = acc[i]; }
    workgroupBarrier();
    for (var i = 0u; i < min(GROUPS, chunks - first); i++) { total += shared_memory[(own * GROUPS + i) * 64u + thread]; }
    workgroupBarrier();
  }
  let y_row = row + 4u * r + own; let y_column = column + 4u * c;
  put(y_row, y_column, total.x); put(y_row, y_column + 1u, total.y);
  put(y_row, y_column + 2u, total.z); put(y_row, y_column + 3u, total.w);
}
