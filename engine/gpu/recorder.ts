/**
 * Records dispatches and copies, then submits them as one command buffer.
 *
 * Recording is synchronous and cheap; pipelines are awaited only in {@link Recorder.submit}, so kernels that are met
 * for the first time compile side by side.
 */

import type { Gpu } from "./gpu.ts";
import type { Kernel } from "./kernel.ts";
import type { GpuTimer } from "./timer.ts";
import type { Params } from "./uniforms.ts";

interface Dispatch {
  kind: "dispatch";
  kernel: Kernel;
  buffers: readonly Bound[];
  params: Params;
  grid: Grid;
}

interface Copy {
  kind: "copy";
  from: GPUBuffer;
  fromOffset: number;
  to: GPUBuffer;
  toOffset: number;
  size: number;
}

type Command = Dispatch | Copy;

/** A buffer bound whole, or a part of it. */
export type Bound = GPUBuffer | GPUBufferBinding;

/** Workgroup counts along x, y and z. */
export type Grid = readonly [number, number, number];

/** The order of the commands is the order of their effects, as on the queue. */
export class Recorder {
  #commands: Command[] = [];
  #uploads: GPUBuffer[] = [];
  #closed = false;
  /** Measures what is dispatched here, where it is set. */
  timer?: GpuTimer;

  constructor(readonly gpu: Gpu) {
    gpu.buffers.openRecorders++;
  }

  /** Number of dispatches recorded so far. */
  get dispatches(): number {
    return this.#commands.filter((command) => command.kind === "dispatch").length;
  }

  /** The kernels recorded so far, each once. */
  get kernels(): Kernel[] {
    const dispatched = this.#commands.flatMap((c) => c.kind === "dispatch" ? [c.kernel] : []);
    return [...new Set(dispatched)];
  }

  /**
   * Records one dispatch. Buffers are at bindings 0, 1, … in this order; the parameters come after the last as a
   * uniform struct.
   */
  dispatch(kernel: Kernel, buffers: readonly Bound[], params: Params, grid: Grid): void {
    if (grid.includes(0)) return;
    this.#commands.push({ kind: "dispatch", kernel, buffers, params, grid });
  }

  /** Records a copy of `size` bytes. */
  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, size: number): void {
    this.#commands.push({ kind: "copy", from, fromOffset, to, toOffset, size });
  }

  /** A buffer with this content, valid until the submit. */
  upload(data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.gpu.buffers.acquire(data.byteLength, "upload");
    this.gpu.write(buffer, data);
    this.#uploads.push(buffer);
    return buffer;
  }

  /** Waits for the pipelines, encodes and submits. The recorder is then spent. */
  async submit(): Promise<void> {
    const pipelines = new Map<Kernel, GPUComputePipeline>();
    try {
      this.gpu.check();
      for (const command of this.#commands) {
        if (command.kind !== "dispatch" || pipelines.has(command.kernel)) continue;
        pipelines.set(command.kernel, await command.kernel.pipeline);
      }
      this.gpu.check();
      this.gpu.device.queue.submit([this.#encode(pipelines)]);
    } finally {
      this.close();
    }
    this.gpu.check();
  }

  /** Gives up what was recorded; {@link submit} does this itself. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.gpu.buffers.openRecorders--;
    for (const buffer of this.#uploads) this.gpu.buffers.release(buffer);
    this.#commands = [];
  }

  #encode(pipelines: Map<Kernel, GPUComputePipeline>): GPUCommandBuffer {
    const encoder = this.gpu.device.createCommandEncoder();
    const steps = passesAndCopies(this.#commands);
    const isPass = (step: Dispatch[] | Copy) => Array.isArray(step);
    const [first, last] = [steps.findIndex(isPass), steps.findLastIndex(isPass)];
    steps.forEach((step, i) => {
      if (Array.isArray(step)) {
        const timestampWrites = this.timer?.writes(i === first, i === last);
        const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
        this.#encodePass(pass, step, pipelines);
      } else {
        const { from, fromOffset, to, toOffset, size } = step;
        encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, size);
      }
    });
    if (first >= 0) this.timer?.resolve(encoder);
    return encoder.finish();
  }

  #encodePass(
    pass: GPUComputePassEncoder,
    dispatches: readonly Dispatch[],
    pipelines: Map<Kernel, GPUComputePipeline>,
  ): void {
    let bound: GPUComputePipeline | undefined;
    for (const { kernel, buffers, params, grid } of dispatches) {
      const pipeline = pipelines.get(kernel)!;
      if (pipeline !== bound) pass.setPipeline(bound = pipeline);
      pass.setBindGroup(0, this.gpu.bindGroup(kernel, pipeline, buffers, params));
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
  }
}

/** Dispatches that follow one another make one compute pass; copies stand between passes. */
function passesAndCopies(commands: readonly Command[]): (Dispatch[] | Copy)[] {
  const steps: (Dispatch[] | Copy)[] = [];
  for (const command of commands) {
    const open = steps.at(-1);
    if (command.kind === "copy") steps.push(command);
    else if (Array.isArray(open)) open.push(command);
    else steps.push([command]);
  }
  return steps;
}

/** Spreads `count` workgroups over x and y; the shader folds them back and ignores those past its end. */
export function foldGrid(count: number, most = 65535): Grid {
  if (count <= most) return [count, 1, 1];
  const y = Math.ceil(count / most);
  return [Math.ceil(count / y), y, 1];
}
