/**
 * Records dispatches and copies, then submits them as one command buffer; as several where something has to be brought to
 * the device in between.
 *
 * Recording is synchronous and cheap; pipelines are awaited only in {@link Recorder.submit}, so kernels that are met
 * for the first time compile side by side.
 */

import type { Gpu } from "./gpu.ts";
import type { Kernel } from "./kernel.ts";
import { encodeTexelCopy, type TexelCopy } from "./texels.ts";
import type { GpuTimer } from "./timer.ts";
import type { Params } from "./uniforms.ts";
import { WordMap } from "./word_map.ts";

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

interface ToTexels extends TexelCopy {
  kind: "texels";
}

/** Something that must be on the device before what follows is submitted. */
interface Need {
  kind: "need";
  what: Bringable;
}

/** What a command buffer is made of. */
type Encoded = Dispatch | Copy | ToTexels;

type Command = Encoded | Need;

/** Dispatches of one compute pass, or what stands between two. */
type Step = Dispatch[] | Copy | ToTexels;

/** What can be brought to the device; see {@link Recorder.need}. */
export interface Bringable {
  bring(): Promise<void>;
}

/** A buffer bound whole, or a part of it, or a texture. */
export type Bound = GPUBuffer | GPUBufferBinding | GPUTexture;

/** Numbers for the device. */
type Words = Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** Workgroup counts along x, y and z. */
export type Grid = readonly [number, number, number];

/** The order of the commands is the order of their effects, as on the queue. */
export class Recorder {
  #commands: Command[] = [];
  #uploads: GPUBuffer[] = [];
  readonly #shared = new Map<object, WordMap<GPUBuffer>>();
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

  /**
   * Has something brought to the device before what is recorded from here on is submitted, and after what was recorded before
   * is.
   */
  need(what: Bringable): void {
    this.#commands.push({ kind: "need", what });
  }

  /** Records a copy of bytes of a buffer to a texture; both numbers are multiples of 16. */
  copyToTexels(copy: TexelCopy): void {
    this.#commands.push({ kind: "texels", ...copy });
  }

  /** A buffer with this content, valid until the submit. */
  upload(data: Words): GPUBuffer {
    const buffer = this.gpu.buffers.acquire(data.byteLength, "upload");
    this.gpu.write(buffer, data);
    this.#uploads.push(buffer);
    return buffer;
  }

  /**
   * The same, and one buffer for all that an owner uploads with the same content: each write to a buffer is work for the driver,
   * and what steps have in common needs but one.
   */
  uploadOnce(owner: object, data: Words): GPUBuffer {
    const known = this.#shared.get(owner) ?? new WordMap();
    this.#shared.set(owner, known);
    const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
    let buffer = known.get(words);
    if (!buffer) known.add(words, buffer = this.upload(data));
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
      const parts = partsOf(this.#commands);
      for (const [i, { need, commands }] of parts.entries()) {
        await need?.bring();
        this.gpu.check();
        const ends = { first: i === 0, last: i === parts.length - 1 };
        this.gpu.submit(this.#encode(commands, pipelines, ends));
      }
    } finally {
      this.close();
    }
    this.gpu.check();
    const { timings } = this.gpu;
    if (timings.detailed) timings.during("compute", this.gpu.finish()).catch(() => {}); // found by the next check
  }

  /** Gives up what was recorded; {@link submit} does this itself. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.gpu.buffers.openRecorders--;
    for (const buffer of this.#uploads) this.gpu.buffers.release(buffer);
    this.#shared.clear();
    this.#commands = [];
  }

  #encode(
    commands: readonly Encoded[],
    pipelines: Map<Kernel, GPUComputePipeline>,
    ends: { first: boolean; last: boolean },
  ): GPUCommandBuffer {
    const encoder = this.gpu.device.createCommandEncoder();
    const steps = passesAndCopies(commands);
    const isPass = (step: Step) => Array.isArray(step);
    // The recorder's first and last pass are in its first and last part.
    const first = ends.first ? steps.findIndex(isPass) : -1;
    const last = ends.last ? steps.findLastIndex(isPass) : -1;
    steps.forEach((step, i) => {
      if (Array.isArray(step)) {
        const timestampWrites = this.timer?.writes(i === first, i === last);
        const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
        this.#encodePass(pass, step, pipelines);
      } else if (step.kind === "texels") {
        encodeTexelCopy(encoder, step);
      } else {
        const { from, fromOffset, to, toOffset, size } = step;
        encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, size);
      }
    });
    if (last >= 0) this.timer?.resolve(encoder);
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
      pass.setBindGroup(0, this.gpu.bindGroups.get(kernel, pipeline, buffers, params));
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
  }
}

/** Cuts the commands where something is needed; needs without commands in between are parts of their own. */
function partsOf(commands: readonly Command[]) {
  const parts: { need?: Bringable; commands: Encoded[] }[] = [{ commands: [] }];
  for (const command of commands) {
    if (command.kind === "need") parts.push({ need: command.what, commands: [] });
    else parts[parts.length - 1].commands.push(command);
  }
  return parts;
}

/** Dispatches that follow one another make one compute pass; copies stand between passes. */
function passesAndCopies(commands: readonly Encoded[]): Step[] {
  const steps: Step[] = [];
  for (const command of commands) {
    const open = steps.at(-1);
    if (command.kind !== "dispatch") steps.push(command);
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
