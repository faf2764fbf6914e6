/** The WebGPU implementations that palimpsest runs on, and how an adapter is had from each. */

import { DeviceError } from "../errors.ts";

/** `deno`: the runtime's own `navigator.gpu` (a browser's too). `dawn`: Google's, through the `webgpu` package. */
export type Backend = "deno" | "dawn";

/** What a user may ask for; `auto` takes the first of {@link BACKENDS} that has an adapter. */
export type BackendChoice = Backend | "auto";

/** In the order that `auto` tries them: the built-in one needs no permission and no native library. */
export const BACKENDS: readonly Backend[] = ["deno", "dawn"];

// Dawn's instance must outlive its devices: without a reference the garbage collector ends them.
let dawnInstance: GPU | undefined;

async function entryPoint(backend: Backend): Promise<GPU | undefined> {
  if (backend === "deno") return globalThis.navigator?.gpu;
  if (!dawnInstance) {
    const { create } = await import("webgpu");
    dawnInstance = create([]) as GPU;
  }
  return dawnInstance;
}

/**
 * An adapter of one backend, or `undefined` where it has none.
 *
 * @throws {DeviceError} when the backend itself cannot be loaded.
 */
export async function requestAdapter(backend: Backend): Promise<GPUAdapter | undefined> {
  let gpu: GPU | undefined;
  try {
    gpu = await entryPoint(backend);
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
): Promise<{ backend: Backend; adapter: GPUAdapter }> {
  const tried = choice === "auto" ? BACKENDS : [choice];
  for (const backend of tried) {
    const adapter = await requestAdapter(backend);
    if (adapter) return { backend, adapter };
  }
  throw new DeviceError(
    `Cannot find a WebGPU adapter (backend ${tried.join(" or ")}): install a Vulkan driver, for ` +
      "example with apt-get install libvulkan1 mesa-vulkan-drivers, and see deno task doctor",
  );
}
