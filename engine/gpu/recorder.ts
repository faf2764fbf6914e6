/**
 * Records dispatches and copies, then submits them as one command buffer.
 *
 * Recording is synchronous and cheap; pipelines are awaited only in {@link Recorder.submit}, so kernels that are met
 * for the first time compile side by side.
 */

import type { Gpu } from "./gpu.ts";
import type { Kernel } from "./kernel.ts";
import type { Params } from "./uniforms.ts";

type Command =
  | { kind: "dispatch"; kernel: Kernel; buffers: readonly Bound[]; params: Params; grid: Grid }
  | {
    kind: "copy";
    from: GPUBuffer;
    fromOffset: number;
    to: GPUBuffer;
    toOffset: number;
    size: number;
  };

/** A buffer bound whole, or a part of it. */
export type Bound = GPUBuffer | GPUBufferBinding;

/** Workgroup counts along x, y and z. */
export type Grid = readonly [number, number, number];

/** The order of the commands is the order of their effects, as on the queue. */
export class Recorder {
  #commands: Command[] = [];
  #uploads: GPUBuffer[] = [];
  #closed = false;

  constructor(readonly gpu: Gpu) {
    gpu.buffers.openRecorders++;
  }

  /** Number of dispatches recorded so far. */
  get dispatches(): number {
    return this.#commands.filter((command) => command.kind === "dispatch").length;
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
    let pass: GPUComputePassEncoder | undefined;
    let bound: GPUComputePipeline | undefined;
    for (const command of this.#commands) {
      if (command.kind === "copy") {
        pass?.end();
        pass = bound = undefined;
        const { from, fromOffset, to, toOffset, size } = command;
        encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, size);
        continue;
      }
      pass ??= encoder.beginComputePass();
      const pipeline = pipelines.get(command.kernel)!;
      if (pipeline !== bound) pass.setPipeline(bound = pipeline);
      pass.setBindGroup(
        0,
        this.gpu.bindGroup(command.kernel, pipeline, command.buffers, command.params),
      );
      pass.dispatchWorkgroups(...command.grid);
    }
    pass?.end();
    return encoder.finish();
  }
}

/** Spreads `count` workgroups over x and y; the shader folds them back and ignores those past its end. */
export function foldGrid(count: number, most = 65535): Grid {
  if (count <= most) return [count, 1, 1];
  const y = Math.ceil(count / most);
  return [Math.ceil(count / y), y, 1];
}
