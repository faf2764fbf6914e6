/**
 * The variables that steer Vulkan and Deno's WebGPU. They must stand before the process asks for its first adapter:
 * wgpu and the Vulkan loader read them once.
 */

/** Set by `ensureAdapter()` for the restarted process: the folder of the software driver it runs on. */
export const SOFTWARE_DRIVER = "PALIMPSEST_SOFTWARE_DRIVER";

/** Set to 1 by users who do not want the driver to be downloaded. */
export const NO_FETCH = "PALIMPSEST_NO_FETCH";

/** With more of them the driver keeps to its own number of threads. */
const FEW_CORES = 4;

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
 */
export function prepareEnvironment(
  env: Pick<Deno.Env, "get" | "set"> = Deno.env,
  cores: number = navigator.hardwareConcurrency,
): void {
  if (Deno.build.os !== "linux") return;
  const isSet = (name: string) => (env.get(name) ?? "") !== "";
  if (!isSet("DENO_WEBGPU_BACKEND")) env.set("DENO_WEBGPU_BACKEND", "vulkan");
  const selects = isSet("MESA_VK_DEVICE_SELECT") || isSet("DRI_PRIME");
  if (!isSet("XDG_RUNTIME_DIR") && !selects) env.set("NODEVICE_SELECT", "1");
  if (!isSet("LP_NUM_THREADS") && cores <= FEW_CORES) env.set("LP_NUM_THREADS", String(2 * cores));
}
