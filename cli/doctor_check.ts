/** Proves that an adapter computes: one tiny dispatch whose result is known exactly. */

const SAXPY = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  y[id.x] = fma(2.0, x[id.x], y[id.x]);
}`;

const LENGTH = 64;
// SwiftShader takes a second to compile; a driver that takes this long hangs.
const TIMEOUT_MS = 60_000;

/** 2·x + y on small whole numbers: exact in float32, on every adapter. */
async function saxpy(device: GPUDevice): Promise<string | undefined> {
  const bytes = 4 * LENGTH;
  const x = Float32Array.from({ length: LENGTH }, (_, i) => i);
  const y = Float32Array.from({ length: LENGTH }, (_, i) => 1000 - i);
  const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const xBuffer = device.createBuffer({ size: bytes, usage: storage });
  const yBuffer = device.createBuffer({ size: bytes, usage: storage });
  const back = device.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(xBuffer, 0, x);
  device.queue.writeBuffer(yBuffer, 0, y);
  const pipeline = await device.createComputePipelineAsync({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: SAXPY }), entryPoint: "main" },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [xBuffer, yBuffer].map((buffer, binding) => ({ binding, resource: { buffer } })),
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(yBuffer, 0, back, 0, bytes);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  const result = new Float32Array(back.getMappedRange().slice(0));
  back.unmap();
  const wrong = result.findIndex((value, i) => value !== 2 * x[i] + y[i]);
  if (wrong < 0) return undefined;
  return `it computes wrongly: 2·${x[wrong]} + ${y[wrong]} = ${result[wrong]}`;
}

/** Why the adapter cannot be used, or `undefined` when it computes. */
export async function checkAdapter(adapter: GPUAdapter): Promise<string | undefined> {
  const device = await adapter.requestDevice();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<string>((resolve) => {
    timer = setTimeout(
      () => resolve("it does not answer: one dispatch took over a minute"),
      TIMEOUT_MS,
    );
  });
  try {
    device.pushErrorScope("validation");
    const problem = await Promise.race([saxpy(device), timeout]);
    const error = await Promise.race([device.popErrorScope(), timeout]);
    if (error && typeof error !== "string") return `it reports an error: ${error.message}`;
    return problem;
  } finally {
    clearTimeout(timer);
    device.destroy();
  }
}
