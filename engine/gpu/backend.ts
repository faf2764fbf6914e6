/** The WebGPU implementations that palimpsest runs on, and how an adapter is had from each. */

import { DeviceError } from "../errors.ts";

/** `deno`: the runtime's own `navigator.gpu` (a browser's too). `dawn`: Google's, through the `webgpu` package. */
export type Backend = "deno" | "dawn";

/** What a user may ask for; `auto` takes the first of {@link BACKENDS} that has an adapter. */
export type BackendChoice = Backend | "auto";

/** In the order that `auto` tries them: the built-in one needs no permission and no native library. */
export const BACKENDS: readonly Backend[] = ["deno", "dawn"];

/** What an adapter is wanted for, as `GpuOptions` has it. */
export interface AdapterUse {
  /** `fast` wants f16, which Dawn hides on some adapters. */
  precision?: "f32" | "fast";
  /** Wants it where it is to be had. */
  both?: boolean;
}

/** Makes an instance of Dawn: `create` of the `webgpu` package. */
export type CreateDawn = (options: string[]) => unknown;

/**
 * Toggles of Dawn that fast mode needs: on Vulkan it hides `shader-f16` of NVIDIA's cards without the first, and everywhere what is an
 * experiment, as subgroup matrices are, without the others. Where nothing asks for f16, Dawn is as it comes.
 */
const HALF_TOGGLES = [
  "vulkan_enable_f16_on_nvidia",
  "allow_unsafe_apis",
  "use_vulkan_memory_model",
];

// Dawn's instances must outlive their devices: without a reference the garbage collector ends them.
const instances = new Map<string, GPU>();

/** The instance of Dawn for a use, made once for each set of options. */
export function dawnInstance(
  create: CreateDawn,
  { precision = "f32", both = false }: AdapterUse,
  made: Map<string, GPU> = instances,
): GPU {
  const half = both || precision === "fast";
  const options = half ? [`enable-dawn-features=${HALF_TOGGLES.join(",")}`] : [];
  const key = options.join(" ");
  let instance = made.get(key);
  if (!instance) made.set(key, instance = create(options) as GPU);
  return instance;
}

async function entryPoint(backend: Backend, use: AdapterUse): Promise<GPU | undefined> {
  if (backend === "deno") return globalThis.navigator?.gpu;
  const { create } = await import("webgpu");
  return dawnInstance(create, use);
}

/**
 * An adapter of one backend, or `undefined` where it has none.
 *
 * @throws {DeviceError} when the backend itself cannot be loaded.
 */
export async function requestAdapter(
  backend: Backend,
  use: AdapterUse = {},
): Promise<GPUAdapter | undefined> {
  let gpu: GPU | undefined;
  try {
    gpu = await entryPoint(backend, use);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError(`Cannot load the ${backend} backend: ${reason}`, { cause });
  }
  return (await gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? undefined;
}

/**
 * The adapter that a choice leads to.
 *
 * @throws {DeviceError} when there is none.
 */
export async function chooseAdapter(
  choice: BackendChoice,
  use: AdapterUse = {},
): Promise<{ backend: Backend; adapter: GPUAdapter }> {
  const tried = choice === "auto" ? BACKENDS : [choice];
  for (const backend of tried) {
    const adapter = await requestAdapter(backend, use);
    if (adapter) return { backend, adapter };
  }
  throw new DeviceError(
    `Cannot find a WebGPU adapter (backend ${tried.join(" or ")}): install a Vulkan driver, for ` +
      "example with apt-get install libvulkan1 mesa-vulkan-drivers, and see deno task doctor",
  );
}
