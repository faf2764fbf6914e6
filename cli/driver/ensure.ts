/** Sees to it that there is a WebGPU adapter, before any work begins. */

import { DeviceError } from "../../engine/errors.ts";
import { type BackendChoice, BACKENDS, requestAdapter } from "../../engine/gpu/backend.ts";
import { driverVariables, NO_FETCH, prepareEnvironment, SOFTWARE_DRIVER } from "./environment.ts";
import { restartSelf } from "./restart.ts";
import { driverFolder, installDriver, isInstalled, isSupported } from "./swiftshader.ts";

/** The quicker way out, for messages. */
export const APT_ADVICE = "apt-get install libvulkan1 mesa-vulkan-drivers";

/** How to ask {@link ensureAdapter}. */
export interface EnsureOptions {
  backend: BackendChoice;
  /** Takes the lines that tell the user what is going on; standard error by default. */
  notify?: (line: string) => void;
}

const printError = (line: string) => console.error(line);

async function hasAdapter(choice: BackendChoice): Promise<boolean> {
  // Dawn asks the same Vulkan for more than the built-in backend does, and complains on standard error: where the
  // built-in one finds nothing, it is asked only if there is no driver to fetch.
  const automatic = isSupported() ? BACKENDS.slice(0, 1) : BACKENDS;
  for (const backend of choice === "auto" ? automatic : [choice]) {
    if (await requestAdapter(backend)) return true;
  }
  return false;
}

/**
 * Returns when this process has an adapter. Where it has none, fetches a software driver (once; it is kept in the user's
 * cache) and starts the same command line anew on it: the call then does not return.
 *
 * @throws {DeviceError} when there is no adapter and no driver can be had; the message names the ways out.
 */
export async function ensureAdapter(options: EnsureOptions): Promise<void> {
  const { backend, notify = printError } = options;
  prepareEnvironment();
  if (await hasAdapter(backend)) return;
  await restartOnDriver(backend, notify);
}

/**
 * Starts this command line anew on the software driver, which is fetched if need be; does not return.
 *
 * @throws {DeviceError} when this process runs on that driver already, or it cannot be had.
 */
export async function restartOnDriver(
  backend: BackendChoice,
  notify: (line: string) => void = printError,
): Promise<never> {
  const used = Deno.env.get(SOFTWARE_DRIVER);
  if (used) {
    throw new DeviceError(
      `Cannot find a WebGPU adapter (backend ${backend}), not even with the software driver in "${used}": ` +
        `install a Vulkan driver (${APT_ADVICE}), and see deno task doctor`,
    );
  }
  return restartSelf(driverVariables(await obtainDriver(backend, notify)));
}

/** The folder of the software driver, fetched if need be. */
async function obtainDriver(
  backend: BackendChoice,
  notify: (line: string) => void,
): Promise<string> {
  const problem = `Cannot find a WebGPU adapter (backend ${backend})`;
  if (!isSupported()) {
    const machine = `${Deno.build.os} on ${Deno.build.arch}`;
    throw new DeviceError(
      `${problem}: install the GPU's Vulkan driver, or a software one (on Debian: ${APT_ADVICE}); ` +
        `none can be fetched for ${machine}`,
    );
  }
  const folder = driverFolder();
  if (isInstalled(folder)) {
    notify(`No WebGPU adapter: using SwiftShader, a software driver (${APT_ADVICE}: 4x faster)`);
    return folder;
  }
  if (Deno.env.get(NO_FETCH) === "1") {
    throw new DeviceError(
      `${problem}: install a Vulkan driver (${APT_ADVICE}), or unset ${NO_FETCH} and a software driver is fetched`,
    );
  }
  notify("No WebGPU adapter: fetching SwiftShader, a software driver (68 MB, once)");
  notify(`A quicker one, if you are root: ${APT_ADVICE}`);
  try {
    await installDriver(folder);
  } catch (cause) {
    if (!(cause instanceof DeviceError)) throw cause;
    throw new DeviceError(
      `${problem}, nor fetch a software driver: ${cause.message}. ` +
        `Install a Vulkan driver (${APT_ADVICE}), or put that right and try again`,
      { cause },
    );
  }
  notify(`The driver is in ${folder}; starting again on it`);
  return folder;
}
