/**
 * The variables that steer Vulkan and Deno's WebGPU. They must stand before the process asks for its first adapter:
 * wgpu and the Vulkan loader read them once.
 */

import { userCache } from "../user_cache.ts";

/** Set by `ensureAdapter()` for the restarted process: the folder of the software driver it runs on. */
export const SOFTWARE_DRIVER = "PALIMPSEST_SOFTWARE_DRIVER";

/** Set to 1 by users who do not want the driver to be downloaded. */
export const NO_FETCH = "PALIMPSEST_NO_FETCH";

/** With more of them the driver keeps to its own number of threads. */
const FEW_CORES = 4;

/** What LLVM needs of a processor to compute with vectors of 512 bits as it does with shorter ones. */
const WIDE_VECTORS = ["avx512f", "avx512bw", "avx512dq", "avx512vl"];

/** What of a machine the settings go by. */
export interface Machine {
  cores: number;
  /** `/proc/cpuinfo`, or as much of it as can be read. */
  cpus: string;
}

function thisMachine(): Machine {
  let cpus = "";
  try {
    if (Deno.build.os === "linux") cpus = Deno.readTextFileSync("/proc/cpuinfo");
  } catch { /* what is not known is not there */ }
  return { cores: navigator.hardwareConcurrency, cpus };
}

function hasWideVectors({ cpus }: Machine): boolean {
  const flags = /^flags\s*:(.*)$/m.exec(cpus)?.[1].split(/\s+/) ?? [];
  return WIDE_VECTORS.every((flag) => flags.includes(flag));
}

/** A folder for what is compiled for wide vectors, made if need be: Mesa makes none above its own. `undefined` where there can be none. */
function wideCache(env: Pick<Deno.Env, "get">): string | undefined {
  try {
    const folder = userCache("mesa-512", "compiled kernels", (name) => env.get(name));
    Deno.mkdirSync(folder, { recursive: true });
    return folder;
  } catch {
    return undefined;
  }
}

/** The variables under which the loader finds the driver of `folder` and nothing else. */
export function driverVariables(
  folder: string,
  libraryPath: string | undefined = Deno.env.get("LD_LIBRARY_PATH"),
): Record<string, string> {
  const icd = `${folder}/vk_swiftshader_icd.json`;
  return {
    [SOFTWARE_DRIVER]: folder,
    LD_LIBRARY_PATH: libraryPath ? `${folder}:${libraryPath}` : folder,
    VK_ICD_FILENAMES: icd,
    VK_DRIVER_FILES: icd,
  };
}

/**
 * Settles what this process will see as an adapter; call it before the first `requestAdapter()`.
 *
 * - On Linux, wgpu falls back to OpenGL where there is no Vulkan. OpenGL ES does not promise the fused `fma` that every sum
 *   is written with, so an OpenGL adapter counts as none, unless `DENO_WEBGPU_BACKEND=gl` asks for it.
 * - Without a desktop session, Mesa's device-select layer prints an error for every adapter; it is switched off there,
 *   unless the user selects a device with it.
 * - Mesa's software driver gets two threads a core on machines of few cores. With one a core Linux often wakes two threads on the
 *   core of the one that wakes them, where the first does all of a small dispatch before the second begins: decoding took a
 *   fifth longer.
 * - It computes with vectors of 256 bits wherever there are no fewer; with the 512 of processors that have them, products are a
 *   third quicker. What it compiled it finds again by the driver and not by the width, so that such code is kept apart.
 */
export function prepareEnvironment(
  env: Pick<Deno.Env, "get" | "set"> = Deno.env,
  machine: Machine = thisMachine(),
): void {
  if (Deno.build.os !== "linux") return;
  const isSet = (name: string) => (env.get(name) ?? "") !== "";
  if (!isSet("DENO_WEBGPU_BACKEND")) env.set("DENO_WEBGPU_BACKEND", "vulkan");
  const selects = isSet("MESA_VK_DEVICE_SELECT") || isSet("DRI_PRIME");
  if (!isSet("XDG_RUNTIME_DIR") && !selects) env.set("NODEVICE_SELECT", "1");
  const { cores } = machine;
  if (!isSet("LP_NUM_THREADS") && cores <= FEW_CORES) env.set("LP_NUM_THREADS", String(2 * cores));
  if (!isSet("LP_NATIVE_VECTOR_WIDTH") && hasWideVectors(machine)) {
    const cache = env.get("MESA_SHADER_CACHE_DIR") || wideCache(env);
    if (cache) {
      env.set("LP_NATIVE_VECTOR_WIDTH", "512");
      env.set("MESA_SHADER_CACHE_DIR", cache);
    }
  }
}
