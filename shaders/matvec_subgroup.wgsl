// Matrix product of one row of activations, or a few, with stored weights, for adapters with subgroups: as matvec.wgsl, whose formula,
// shapes and bindings hold here, but lanes hand their sums to each other instead of through workgroup memory and a barrier.
//
//   y[m, first_column + n] = Σ_k x[m, k] · w[n, k]
//                          = fma(scale, that, y)      accumulate = 1 (LoRA, residual)
//
// x    [m, k] f32, in a buffer of a multiple of 16 bytes
// w    [n, w_stride] f32, f16 or bf16 as stored, w_stride ≥ k, a multiple of 8, zeros past k; y [m, ldy] f32
// Sums:  chunks of 64 k's, each from 0 with fma in rising k by one lane, then the chunks in order from 0, whatever ROWS and LANES:
//        the same bits as matvec.wgsl. A shuffle moves bits; nothing is left to a subgroup's own order of adding.
// Error: |dot − exact| ≤ γ(64 + ⌈k/64⌉)·Σ|x||w|, γ(j) = ju/(1 − ju), u = 2^-24; accumulate rounds product and sum.
//
// A workgroup of 128 threads takes ROWS rows by 128 / LANES columns. LANES threads have a column, and each of them every LANES-th
// chunk of it: it asks for the chunk's 128 bytes (of f32 for half of it) at once, so that whole lines are fetched once. The rows of x lie
// in workgroup memory, in vec4s of one chunk side by side with those of the others: vec4 q of chunk c is at q·LANES + (c ^ (q mod LANES)),
// so that neither the reads, over c, nor the writes, over q, meet in a bank.
//
// The LANES threads of a column must be in one subgroup, in order: WGSL does not promise it, adapters do it so. deno task tune takes the
// variant only where it gives the bits of the others, and without it the variant is not used.

enable subgroups;

const CHUNK = 64u;
const THREADS = 128u;

override WEIGHT_DTYPE: u32 = 2u; // 0 f32, 1 f16, 2 bf16
override ROWS: u32 = 1u; // 1, 4 or 8
override LANES: u32 = 4u; // a power of 2, at most 32 / ROWS and the smallest size of a subgroup

struct Params {
  m: u32, n: u32, k: u32,
  w_stride: u32, ldy: u32, first_column: u32, // in elements
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> x_tile: array<vec4<f32>, ROWS * LANES * 16u>;
var<private> acc: array<f32, 8>;

fn slot(row: u32, chunk: u32, q: u32) -> u32 {
  return (row * 16u + q) * LANES + (chunk ^ (q % LANES));
}

// x[row, k … k + 3], zeros past the row's end. Rows past m repeat the last one; they are not stored.
fn activations(row: u32, k: u32) -> vec4<f32> {
  if (k >= p.k) { return vec4<f32>(); }
  let i = min(row, p.m - 1u) * p.k + k;
  let low = x[i / 4u];
  if (p.k % 4u == 0u) { return low; }
  let high = x[i / 4u + 1u];
  var v = select(low, vec4(low.yzw, high.x), i % 4u == 1u);
  v = select(v, vec4(low.zw, high.xy), i % 4u == 2u);
  v = select(v, vec4(low.w, high.xyz), i % 4u == 3u);
  return select(vec4<f32>(), v, vec4(k, k + 1u, k + 2u, k + 3u) < vec4(p.k));
}

// Four k's of the lane's chunk: the q-th vec4 of each row, in rising k.
fn step(chunk: u32, q: u32, v: vec4<f32>) {
  for (var r = 0u; r < ROWS; r++) {
    let a = x_tile[slot(r, chunk, q)];
    acc[r] = fma(a.w, v.w, fma(a.z, v.z, fma(a.y, v.y, fma(a.x, v.x, acc[r]))));
  }
}

// The chunk that begins at k, in 128 bytes at a time; zeros past the row's end.
fn sum_chunk(chunk: u32, row_start: u32, k: u32) {
  let per = select(8u, 4u, WEIGHT_DTYPE == 0u); // k's in a vec4<u32>
  for (var part = 0u; part < CHUNK; part += 8u * per) {
    var u: array<vec4<u32>, 8>;
    for (var j = 0u; j < 8u; j++) {
      let at = k + part + j * per;
      if (at < p.w_stride) { u[j] = w[(row_start + at) / per]; } else { u[j] = vec4<u32>(); }
    }
    for (var j = 0u; j < 8u; j++) {
      let v = u[j];
      let q = (part + j * per) / 4u;
      if (WEIGHT_DTYPE == 0u) {
        step(chunk, q, bitcast<vec4<f32>>(v));
      } else if (WEIGHT_DTYPE == 1u) {
        step(chunk, q, vec4(unpack2x16float(v.x), unpack2x16float(v.y)));
        step(chunk, q + 1u, vec4(unpack2x16float(v.z), unpack2x16float(v.w)));
      } else {
        step(chunk, q, bitcast<vec4<f32>>(vec4(v.x << 16u, v.x & 0xffff0000u, v.y << 16u, v.y & 0xffff0000u)));
        step(chunk, q + 1u, bitcast<vec4<f32>>(vec4(v.z << 16u, v.z & 0xffff0000u, v.w << 16u, v.w & 0xffff0000u)));
      }
    }
  }
}

fn put(row: u32, column: u32, dot: f32) {
  if (row >= p.m || column >= p.n) { return; }
  let i = row * p.ldy + p.first_column + column;
  if (p.accumulate == 1u) { y[i] = fma(p.scale, dot, y[i]); } else { y[i] = dot; }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let id = group.y * groups.x + group.x;
  let columns = THREADS / LANES;
  let across = (p.n + columns - 1u) / columns;
  let row = id / across * ROWS;
  if (row >= p.m) { return; } // the same for the whole workgroup
  let column = id % across * columns + thread / LANES;
  let lane = thread % LANES;
  let row_start = min(column, p.n - 1u) * p.w_stride;
  let first = invocation - invocation % LANES; // of the column's lanes
  var total: array<f32, 8>;
  for (var start = 0u; start < p.k; start += LANES * CHUNK) {
    for (var i = thread; i < ROWS * LANES * 16u; i += THREADS) {
      let r = i / (LANES * 16u);
      let k = i % (LANES * 16u) * 4u;
      x_tile[slot(r, k / CHUNK, k % CHUNK / 4u)] = activations(row + r, start + k);
    }
    workgroupBarrier();
    acc = array<f32, 8>();
    if (start + lane * CHUNK < p.k) { sum_chunk(lane, row_start, start + lane * CHUNK); }
    workgroupBarrier(); // before the next chunks of x come
    let chunks = min(LANES, (p.k - start + CHUNK - 1u) / CHUNK);
    for (var r = 0u; r < ROWS; r++) {
      for (var c = 0u; c < chunks; c++) { total[r] += subgroupShuffle(acc[r], first + c); }
    }
  }
  for (var r = lane; r < ROWS; r += LANES) { put(row + r, column, total[r]); }
}
