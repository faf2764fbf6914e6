/**
 * The laboratory of the matrix products: `deno run -A bench/lab/matmul_lab.ts [--no-time]`.
 *
 * Every version is first held to a float64 reference under its error bound and to the same bits as the naive one; then all
 * are timed in turn, and the medians printed as GFLOP/s and as ratios to the naive one.
 *
 * Versions
 *   naive    one thread an output, the order of sums written down plainly (lab/matmul/naive.wgsl)
 *   rows R   shaders/matmul.wgsl, R × 16 outputs a thread
 *   tiled    shaders/matmul_tiled.wgsl, 64 × 64 tiles in workgroup memory
 *   staged   shaders/matmul_staged.wgsl, the same, the next tile on its way while one is multiplied
 *   block N  shaders/matmul_blocked.wgsl, 8 × 8 outputs a thread, in tiles of N × N
 *   split    shaders/matmul_split.wgsl, 32 × 32 tiles, four chunks of k's at once
 *
 * The others, and what was tried and dropped, are in README.md with their numbers. The uniform and the texel version are not timed
 * here, as the host cuts or copies their inputs: `deno task bench` times the latter.
 */

interface Version {
  name: string;
  file: URL;
  constants: Record<string, number>;
  groups: (m: number, n: number) => number;
  /** Whether it takes rows of so many (default: it does). */
  takes?: (k: number) => boolean;
}

const shader = (path: string) => new URL(path, import.meta.url);
const VERSIONS: Version[] = [
  {
    name: "naive",
    file: shader("matmul/naive.wgsl"),
    constants: {},
    groups: (m, n) => Math.ceil(m * n / 64),
  },
  ...[1, 2, 4, 8, 16].map((rows) => ({
    name: `rows ${rows}`,
    file: shader("../../shaders/matmul.wgsl"),
    constants: { ROWS: rows },
    groups: (m: number, n: number) => Math.ceil(Math.ceil(m / rows) * Math.ceil(n / 16) / 8),
  })),
  {
    name: "tiled",
    file: shader("../../shaders/matmul_tiled.wgsl"),
    constants: {},
    groups: (m, n) => Math.ceil(m / 64) * Math.ceil(n / 64),
  },
  {
    name: "staged",
    file: shader("../../shaders/matmul_staged.wgsl"),
    constants: {},
    takes: (k) => k % 8 === 0,
    groups: (m, n) => Math.ceil(m / 64) * Math.ceil(n / 64),
  },
  ...[64, 128].map((tile) => ({
    name: `block ${tile}`,
    file: shader("../../shaders/matmul_blocked.wgsl"),
    constants: { SIDE: tile / 8 },
    takes: (k: number) => k % 8 === 0,
    groups: (m: number, n: number) => Math.ceil(m / tile) * Math.ceil(n / tile),
  })),
  {
    name: "split",
    file: shader("../../shaders/matmul_split.wgsl"),
    constants: {},
    takes: (k) => k % 8 === 0,
    groups: (m, n) => Math.ceil(m / 32) * Math.ceil(n / 32),
  },
];
const DTYPES = ["f32", "f16", "bf16"];
const CHUNK = 64;
const SIZES = [[640, 768, 768], [2048, 192, 192], [2048, 512, 192], [2048, 192, 512], [
  512,
  2048,
  192,
]]
  .concat([[16, 192, 192], [1, 2048, 2048], [2048, 16, 192], [2048, 192, 16]]);

const adapter = await navigator.gpu.requestAdapter();
if (!adapter) throw new Error("Cannot run the laboratory: no WebGPU adapter was found");
const device = await adapter.requestDevice();
device.addEventListener("uncapturederror", (event) => {
  console.error((event as GPUUncapturedErrorEvent).error.message);
  Deno.exit(1);
});

const pipelines = new Map<string, Promise<GPUComputePipeline>>();
function pipeline(version: Version, dtype: number, k: number) {
  const constants: Record<string, number> = { ...version.constants, WEIGHT_DTYPE: dtype };
  if ("ROWS" in constants) constants.ALIGNED = Number(k % 4 === 0);
  const key = version.file + JSON.stringify(constants);
  const made = pipelines.get(key) ?? Deno.readTextFile(version.file).then((code) => {
    const module = device.createShaderModule({ code });
    return device.createComputePipeline({
      layout: "auto",
      compute: { module, entryPoint: "main", constants },
    });
  });
  pipelines.set(key, made);
  return made;
}

function upload(
  data: Float32Array | Uint16Array | Uint32Array,
  usage: number = GPUBufferUsage.STORAGE,
) {
  const size = Math.ceil(data.byteLength / 16) * 16;
  const copy = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size, usage: usage | copy, mappedAtCreation: true });
  new Uint8Array(buffer.getMappedRange()).set(new Uint8Array(data.buffer, 0, data.byteLength));
  buffer.unmap();
  return buffer;
}

let seed = 1;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1;

/** One product: its inputs on both sides. The weights are multiples of 2^-7 in (-1, 1), exact in each dtype. */
function problem(m: number, n: number, k: number, dtype: number) {
  const stride = Math.ceil(k / 8) * 8, ldy = n + 3, firstColumn = 2;
  const x = Float32Array.from({ length: m * k }, random);
  const w = new Float32Array(n * stride);
  for (let i = 0; i < w.length; i++) if (i % stride < k) w[i] = Math.round(random() * 127) / 128;
  const stored = dtype === 0
    ? w
    : dtype === 1
    ? new Uint16Array(new Float16Array(w).buffer)
    : Uint16Array.from(new Uint32Array(w.buffer), (bits) => bits >>> 16);
  const y = Float32Array.from({ length: m * ldy }, random);
  const buffers = { x: upload(x), w: upload(stored) };
  return { m, n, k, dtype, stride, ldy, firstColumn, x, w, y, buffers };
}
type Problem = ReturnType<typeof problem>;

/** Prepares a version on a problem; `run(times)` submits it that often and waits. */
async function prepare(version: Version, q: Problem, accumulate = false) {
  const made = await pipeline(version, q.dtype, q.k);
  const params = new Uint32Array([
    q.m,
    q.n,
    q.k,
    q.stride,
    q.ldy,
    q.firstColumn,
    Number(accumulate),
    0,
  ]);
  new Float32Array(params.buffer)[7] = 0.3;
  const y = upload(q.y);
  const buffers = [q.buffers.x, q.buffers.w, y, upload(params, GPUBufferUsage.UNIFORM)];
  const group = device.createBindGroup({
    layout: made.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const groups = version.groups(q.m, q.n), across = Math.min(groups, 65535);
  const run = async (times: number) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(made);
    pass.setBindGroup(0, group);
    for (let i = 0; i < times; i++) pass.dispatchWorkgroups(across, Math.ceil(groups / across));
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  };
  return { run, y };
}

async function result(version: Version, q: Problem, accumulate = false) {
  const { run, y } = await prepare(version, q, accumulate);
  await run(1);
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const read = device.createBuffer({ size: y.size, usage });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(y, 0, read, 0, y.size);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  return new Float32Array(read.getMappedRange().slice(0), 0, q.y.length);
}

function expect(holds: boolean, what: string) {
  if (!holds) throw new Error(`Check failed: ${what}`);
}

/** The float64 reference: within the bound, and nothing written outside the window. */
function checkReference(
  q: Problem,
  y: Float32Array,
  accumulate: boolean,
  what: string,
) {
  const u = 2 ** -24, steps = CHUNK + Math.ceil(q.k / CHUNK) + 3;
  for (let row = 0; row < q.m; row++) {
    for (let i = 0; i < q.ldy; i++) {
      const at = row * q.ldy + i, n = i - q.firstColumn;
      if (n < 0 || n >= q.n) {
        expect(Object.is(y[at], q.y[at]), `${what} wrote outside its window at [${row}, ${i}]`);
        continue;
      }
      let dot = 0, size = 0;
      for (let k = 0; k < q.k; k++) {
        const term = q.x[row * q.k + k] * q.w[n * q.stride + k];
        dot += term;
        size += Math.abs(term);
      }
      const want = accumulate ? q.y[at] + Math.fround(0.3) * dot : dot;
      const slack = steps * u / (1 - steps * u) * (size + (accumulate ? Math.abs(q.y[at]) : 0));
      expect(Math.abs(y[at] - want) <= slack, `${what} [${row}, ${n}] is ${y[at]}, not ${want}`);
    }
  }
}

const same = (a: Float32Array, b: Float32Array) => a.every((v, i) => Object.is(v, b[i]));

async function check(n: number, k: number, dtype: number) {
  const q = problem(37, n, k, dtype);
  q.x.fill(NaN, 36 * k); // the last row must not leak into the one before
  q.buffers.x = upload(q.x);
  const alone = { ...q, m: 1, y: q.y.slice(35 * q.ldy, 36 * q.ldy), buffers: { ...q.buffers } };
  alone.buffers.x = upload(q.x.slice(35 * k));
  for (const accumulate of [false, true]) {
    let first: Float32Array | undefined;
    for (const version of VERSIONS) {
      if (version.takes && !version.takes(k)) continue;
      const what = `${version.name}, ${DTYPES[dtype]}, n ${n}, k ${k}`;
      const y = await result(version, q, accumulate);
      first ??= y;
      if (version === VERSIONS[0]) {
        checkReference({ ...q, m: 36 }, y, accumulate, what);
      }
      expect(same(y.slice(0, 36 * q.ldy), first.slice(0, 36 * q.ldy)), `${what}: other bits`);
      const row = await result(version, alone, accumulate);
      expect(same(row, y.slice(35 * q.ldy, 36 * q.ldy)), `${what}: other bits for a row alone`);
    }
  }
}

async function time([m, n, k]: number[]) {
  const q = problem(m, n, k, 2);
  const runs = await Promise.all(VERSIONS.map((version) => prepare(version, q)));
  const times: number[][] = runs.map(() => []);
  const timed = async (i: number, repeats: number) => {
    const start = performance.now();
    await runs[i].run(repeats);
    return (performance.now() - start) / repeats;
  };
  for (let i = 0; i < runs.length; i++) await timed(i, 1);
  const repeats: number[] = [];
  for (let i = 0; i < runs.length; i++) {
    repeats[i] = Math.max(1, Math.round(60 / await timed(i, 1)));
  }
  for (let turn = 0; turn < 3; turn++) {
    for (let i = 0; i < runs.length; i++) times[i].push(await timed(i, repeats[i]));
  }
  const median = times.map((t) => t.sort((a, b) => a - b)[1]);
  const cells = median.map((t) =>
    `${(2 * m * n * k / t / 1e6).toFixed(2)} ×${(median[0] / t).toFixed(1)}`
  );
  console.log([`${m}×${n}×${k}`, ...cells].map((cell) => cell.padEnd(15)).join(""));
}

for (const n of [1, 5, 8, 9, 100]) {
  for (const k of [1, 3, 7, 8, 63, 64, 65, 100, 200]) await check(n, k, (n + k) % 3);
}
console.log("All versions are within the bound and give the same bits");
if (!Deno.args.includes("--no-time")) {
  console.log(["m×n×k", ...VERSIONS.map((v) => v.name)].map((cell) => cell.padEnd(15)).join(""));
  for (const size of SIZES) await time(size);
}
