/** The device: opened with everything the adapter allows, watched for errors, and the owner of all that lives on it. */

import { DeviceError, OutOfMemoryError } from "../errors.ts";
import { type Backend, type BackendChoice, chooseAdapter } from "./backend.ts";
import { BindGroups } from "./bind_groups.ts";
import { BufferPool } from "./buffers.ts";
import { KernelCache } from "./kernel.ts";
import { Loss } from "./loss.ts";
import { MATRICES, type MatrixUnit, matrixUnit } from "./matrix_unit.ts";
import { Naps } from "./naps.ts";
import {
  type AdapterDescription,
  adapterName,
  describeAdapter,
  type DeviceProfile,
  lanesOf,
  profileOf,
  registersOf,
} from "./profile.ts";
import { Readback } from "./readback.ts";
import { Recorder } from "./recorder.ts";
import { DeviceTensor } from "./tensor.ts";
import { TexelPool, unusedTexture } from "./texels.ts";
import { Timings } from "./timings.ts";
import { Tuning } from "./tuning.ts";
import { Waits } from "./waits.ts";

/** The limits that kernels and buffers run into; each is requested at the adapter's maximum. */
export const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
  "maxTextureDimension2D",
  "maxStorageTexturesPerShaderStage",
] as const;

/** Values of {@link LIMITS}. */
export type Limits = Record<typeof LIMITS[number], number>;

/** Asked for where the adapter has them; nothing needs them. */
const FEATURES: readonly GPUFeatureName[] = ["timestamp-query", "subgroups"];

/** `fast` rounds what matrix products take to f16; all else, and all sums, are f32 in both. */
export type Precision = "f32" | "fast";

/** How to open a device. */
export interface GpuOptions {
  /** Which implementation; `auto` takes the first that has an adapter. */
  backend?: BackendChoice;
  /** The most device memory to use, in bytes; unlimited when absent. */
  memoryBudget?: number;
  /** Kernel variants of another class than the adapter's own, where its names mislead, and for tests and audits. */
  profile?: DeviceProfile;
  /** `fast` asks for a device that can compute with f16, and begins with it (default: `f32`). */
  precision?: Precision;
  /** Begins with f32, and asks for what `fast` needs where the adapter has it: audits look at both. */
  both?: boolean;
  /** Which variants of kernels run at which size; without it the ops go by their own rules. */
  tuning?: Tuning;
  /** Lower limits on buffers and bindings than the adapter's, to test what a smaller adapter would do. */
  limits?: Partial<Limits>;
}

/** A WebGPU device with its caches. */
export class Gpu {
  readonly buffers: BufferPool;
  /** The fewest threads of a subgroup; 0 where the device has none. */
  readonly subgroupSize: number;
  /** Lanes that a software adapter computes side by side, 8 or 16, for kernels to which it matters; 8 where that is not known. */
  lanes: 8 | 16;
  /** Registers that a thread may have before some go to memory. */
  registers: number;
  /** Cores of the machine, for kernels that would leave some of many idle; where that is not known, more than most have. */
  cores = globalThis.navigator?.hardwareConcurrency ?? 64;
  /** Whether the device was opened for `fast`: the scales of weights are then measured when they are brought. */
  readonly half: boolean;
  /** The subgroup matrices that products of fast mode go through; absent where the device has none. */
  matrices: MatrixUnit | undefined;
  /** Textures that kernels for software adapters read through. */
  readonly texels: TexelPool;
  readonly kernels: KernelCache;
  readonly bindGroups: BindGroups;
  readonly timings = new Timings();
  /** What asks whether the device has done something. */
  readonly waits: Waits;
  /** What is recorded next goes by it. */
  tuning = Tuning.none;
  /** So does this. It may change only where the device was opened for `fast`. */
  precision: Precision = "f32";
  #unused: { read: GPUBuffer; write: GPUBuffer; texels: GPUTexture } | undefined;
  #failure: DeviceError | undefined;
  #closing = false;
  readonly #loss: Loss;
  readonly #unload = () => this.close();
  /** How a wait leaves the cores to a driver that needs them. */
  #waiting: <T>(work: Promise<T>) => Promise<T> = (work) => work;

  private constructor(
    readonly device: GPUDevice,
    readonly backend: Backend,
    readonly adapter: AdapterDescription,
    readonly profile: DeviceProfile,
    /** What to stay within: the device's own limits, or the lower ones that were asked for. */
    readonly limits: Readonly<Limits>,
    memoryBudget: number,
  ) {
    this.half = device.features.has("shader-f16");
    const { subgroupMinSize } = device.adapterInfo ?? {};
    this.lanes = lanesOf(adapter);
    this.registers = registersOf(adapter);
    this.subgroupSize = device.features.has("subgroups") ? subgroupMinSize ?? 0 : 0;
    this.bindGroups = new BindGroups(device);
    this.buffers = new BufferPool(device, {
      limits,
      budget: memoryBudget,
      onDestroy: (resource) => this.bindGroups.forget(resource),
      onTrim: () => this.texels.trim(),
      kept: () => this.texels.pooledBytes,
    });
    this.waits = new Waits(backend === "deno");
    this.texels = new TexelPool(this.buffers, limits);
    this.kernels = new KernelCache(device, this.timings, (work) => this.orLost(work));
    if (backend === "dawn" && profileOf(adapter) === "software") {
      const naps = new Naps();
      this.#waiting = (work) => naps.during(work);
    }
    globalThis.addEventListener?.("unload", this.#unload);
    device.addEventListener("uncapturederror", (event) => {
      const error = (event as GPUUncapturedErrorEvent).error;
      event.preventDefault?.();
      this.#failure ??= toDeviceError(error);
    });
    this.#loss = new Loss(device.lost.then((info) => {
      if (!this.#closing) {
        this.#failure ??= new DeviceError(
          `The GPU device was lost (${info.reason}): ${
            info.message || "the driver gave no reason"
          }`,
        );
      }
      throw this.#failure ?? new DeviceError("The GPU device is closed");
    }));
  }

  /**
   * Opens a device with the adapter's highest limits.
   *
   * @throws {DeviceError} when there is no adapter, it refuses, or it cannot do what `fast` needs.
   */
  static async open(options: GpuOptions = {}): Promise<Gpu> {
    const { backend, adapter } = await chooseAdapter(options.backend ?? "auto", options);
    // Lower limits are kept by the pools: WebGPU gives every device its defaults at least.
    const requiredLimits = {} as Limits;
    const limits = {} as Limits;
    for (const name of LIMITS) {
      requiredLimits[name] = adapter.limits[name];
      limits[name] = Math.min(options.limits?.[name] ?? Infinity, adapter.limits[name]);
    }
    const description = describeAdapter(adapter);
    const { features } = adapter;
    const has = { backend, name: adapterName(description), features };
    const requiredFeatures = requestedFeatures(has, options);
    let device: GPUDevice;
    try {
      device = await adapter.requestDevice({
        label: "palimpsest",
        requiredLimits,
        requiredFeatures,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceError(`Cannot open the ${backend} adapter: ${reason}`, { cause });
    }
    const profile = options.profile ?? profileOf(description);
    const budget = options.memoryBudget ?? Infinity;
    const gpu = new Gpu(device, backend, description, profile, limits, budget);
    if (requiredFeatures.includes(MATRICES)) gpu.matrices = matrixUnit(adapter);
    if (options.tuning) gpu.tuning = options.tuning;
    if (options.precision) gpu.precision = options.precision;
    return gpu;
  }

  /** Starts recording commands. */
  record(): Recorder {
    // Once there are commands nothing can be freed any more.
    this.buffers.makeRoom();
    return new Recorder(this);
  }

  /** Does what begins with recording, in a precision; what others record meanwhile is as it was. */
  inPrecision<T>(precision: Precision, record: () => T): T {
    const before = this.precision;
    this.precision = precision;
    try {
      return record();
    } finally {
      this.precision = before;
    }
  }

  /** A tensor with room for `shape` f32 or u32 elements, contents undefined, from the pool. */
  tensor(shape: readonly number[]): DeviceTensor {
    const elements = shape.reduce((product, size) => product * size, 1);
    return new DeviceTensor(this, this.buffers.acquire(elements * 4), shape);
  }

  /** A tensor with these values. */
  tensorFrom(
    data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    shape: readonly number[],
  ): DeviceTensor {
    const buffer = this.buffers.create("tensor", data.byteLength);
    this.write(buffer, data);
    return new DeviceTensor(this, buffer, shape);
  }

  /** Puts `data` at the beginning of a buffer. */
  write(buffer: GPUBuffer, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): void {
    if (data.byteLength === 0) return; // deno ends the process over an empty write
    this.device.queue.writeBuffer(buffer, 0, data);
  }

  /**
   * Runs what makes buffers, and waits for the device to say whether it has them.
   *
   * @throws {OutOfMemoryError} if not: the device can still be used, and what was made is to be destroyed
   */
  async allocating<T>(make: () => T): Promise<T> {
    this.device.pushErrorScope("out-of-memory");
    let made: { value: T } | { thrown: unknown };
    try {
      made = { value: make() };
    } catch (thrown) {
      made = { thrown };
    }
    const error = await this.orLost(this.device.popErrorScope());
    if ("thrown" in made) throw made.thrown;
    if (error) throw new OutOfMemoryError(`The GPU ran out of memory: ${error.message}`);
    return made.value;
  }

  /**
   * Brings tensors back, all in one wait: on some backends a wait costs 10 ms however little it brings.
   *
   * @param signal ends the waiting, not the work
   */
  async read(tensors: readonly DeviceTensor[], signal?: AbortSignal): Promise<ArrayBuffer[]> {
    this.check();
    const encoder = this.device.createCommandEncoder();
    const back = new Readback(this);
    back.record({ copy: (...copy) => encoder.copyBufferToBuffer(...copy) }, tensors);
    this.submit(encoder.finish());
    return await back.arrive(signal);
  }

  /** Has the device do this after all that was submitted before. */
  submit(commands: GPUCommandBuffer): void {
    this.waits.askAll();
    this.device.queue.submit([commands]);
  }

  /** Waits until everything submitted is done. */
  async finish(): Promise<void> {
    this.check();
    await this.orLost(this.waits.ask(() => this.device.queue.onSubmittedWorkDone()));
    this.check();
  }

  /** Fails with the first error that the device reported on its own; validation errors come late, but not silently. */
  check(): void {
    if (this.#failure) throw this.#failure;
    if (this.#closing) throw new DeviceError("The GPU device is closed");
  }

  /** What is bound in the place of what a dispatch makes no use of: to be read, to be written, and a texture to be written. */
  get unused(): { read: GPUBuffer; write: GPUBuffer; texels: GPUTexture } {
    const buffer = () => this.device.createBuffer({ label: "unused", size: 16, usage: 0x80 }); // STORAGE
    return this.#unused ??= { read: buffer(), write: buffer(), texels: unusedTexture(this.device) };
  }

  /**
   * Ends the device and frees its memory, once it has done what was submitted: a driver that is at work while its process ends,
   * such as compiling in a thread of its own, may crash it. So the process does not end before, whoever ends it.
   */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    globalThis.removeEventListener?.("unload", this.#unload);
    // Deno's implementation does not come back from this until then; Dawn's `destroy` itself waits.
    if (this.backend === "deno") this.device.queue.onSubmittedWorkDone().catch(() => {});
    this.device.destroy();
  }

  /** [Symbol.dispose] so that `using gpu = await Gpu.open()` closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** What a wait for the device gives, or why it is lost: on some backends a wait then never ends, or ends well. An abort ends it too. */
  async orLost<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    if (!signal) return await this.#waiting(this.#loss.during(work));
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      if (signal.aborted) abort();
      return await this.#waiting(this.#loss.during(Promise.race([work, aborted])));
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/**
 * What to ask of an adapter.
 *
 * @throws {DeviceError} if it has not what the precision needs
 */
export function requestedFeatures(
  adapter: { backend: Backend; name: string; features: Pick<ReadonlySet<string>, "has"> },
  { precision = "f32", both = false }: Pick<GpuOptions, "precision" | "both">,
): GPUFeatureName[] {
  const { backend, name, features } = adapter;
  const found = FEATURES.filter((feature) => features.has(feature));
  const half = features.has("shader-f16");
  if (half && (both || precision === "fast")) {
    return [...found, "shader-f16", ...features.has(MATRICES) ? [MATRICES] : []];
  }
  if (precision === "f32") return found;
  throw new DeviceError(
    `Cannot compute in fast mode: the adapter has no shader-f16 (${name}, ${backend}); ` +
      "compute in f32, or use another backend or driver",
  );
}

function toDeviceError(error: GPUError): DeviceError {
  const outOfMemory = /OutOfMemory/.test(error.constructor?.name ?? "") ||
    /out of memory/i.test(error.message);
  return outOfMemory
    ? new OutOfMemoryError(`The GPU ran out of memory: ${error.message}`)
    : new DeviceError(`The GPU reported an error: ${error.message}`);
}
