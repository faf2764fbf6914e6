/**
 * SwiftShader, Vulkan on the CPU, for machines without a Vulkan driver: taken out of the npm package
 * `@sparticuz/chromium` (Deno downloads it, so the user's registry settings hold), checked against a pinned hash, and kept in
 * the user's cache. Nothing is installed, and no root is needed.
 */

import { Buffer } from "node:buffer";
import { brotliDecompressSync } from "node:zlib";
import { DeviceError } from "../../engine/errors.ts";
import { userCache } from "../user_cache.ts";
import { downloadArchive, VERSION } from "./download.ts";
import { readTar } from "./tar.ts";

const SHA256 = "c89023060ed60c960fc528fb08e24aa515f7a3235e6f0e80ba7ee21165a4ea3a";
// The archive holds 15 MB; a bound keeps a wrong one from filling the memory.
const MAX_BYTES = 64 << 20;

/** The archive's files that make the driver; the others are OpenGL for a browser. */
const DRIVER_FILES = ["libvulkan.so.1", "libvk_swiftshader.so", "vk_swiftshader_icd.json"];

/** Where the driver is kept. */
export function driverFolder(env: (name: string) => string | undefined = Deno.env.get): string {
  // The version in the path keeps a newer driver from meeting an older one's files.
  return userCache(`swiftshader-${VERSION}`, "a software driver", env);
}

/** Whether the package has a driver for this machine. */
export function isSupported(build: { os: string; arch: string } = Deno.build): boolean {
  return build.os === "linux" && build.arch === "x86_64";
}

/** Whether all of the driver's files lie in `folder`. */
export function isInstalled(folder: string): boolean {
  return DRIVER_FILES.every((name) => {
    try {
      return Deno.statSync(`${folder}/${name}`).size > 0;
    } catch {
      return false;
    }
  });
}

/**
 * Unpacks the driver's three files into `folder`.
 *
 * @throws {DeviceError} when the archive is not the pinned one, or a file is missing in it.
 */
export async function unpackDriver(
  archive: Uint8Array<ArrayBuffer>,
  folder: string,
  sha256: string = SHA256,
): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", archive)).toHex();
  if (digest !== sha256) {
    throw new DeviceError(
      `Cannot use the downloaded driver: its SHA-256 is ${digest}, not ${sha256}`,
    );
  }
  const tar = brotliDecompressSync(Buffer.from(archive), { maxOutputLength: MAX_BYTES });
  const files = readTar(new Uint8Array(tar));
  for (const name of DRIVER_FILES) {
    const file = files.find((candidate) => candidate.name === name);
    if (!file) throw new DeviceError(`Cannot use the downloaded driver: it lacks ${name}`);
    await Deno.writeFile(`${folder}/${name}`, file.data);
  }
}

/** What {@link installDriver} may be given by a test in place of the real thing. */
export interface InstallOptions {
  download?: (work: string) => Promise<Uint8Array<ArrayBuffer>>;
  sha256?: string;
}

/**
 * Puts the driver into `folder`. The folder appears whole or not at all, and processes that do this at the same time do
 * not disturb each other.
 *
 * @throws {DeviceError} when the download fails, is not what it should be, or the folder cannot be written.
 */
export async function installDriver(folder: string, options: InstallOptions = {}): Promise<void> {
  const { download = downloadArchive, sha256 = SHA256 } = options;
  if (isInstalled(folder)) return;
  let work: string | undefined;
  try {
    const parent = folder.slice(0, folder.lastIndexOf("/"));
    await Deno.mkdir(parent, { recursive: true });
    work = await Deno.makeTempDir({ dir: parent, prefix: ".fetch-" });
    const fresh = `${work}/driver`;
    await Deno.mkdir(fresh);
    await unpackDriver(await download(work), fresh, sha256);
    await moveInto(fresh, folder);
  } catch (cause) {
    if (cause instanceof DeviceError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DeviceError(`Cannot put a software driver into "${folder}": ${reason}`, { cause });
  } finally {
    if (work) await Deno.remove(work, { recursive: true });
  }
}

async function moveInto(fresh: string, folder: string): Promise<void> {
  try {
    await Deno.rename(fresh, folder);
  } catch (error) {
    // Another process was first, or an older folder has lost a file.
    if (isInstalled(folder)) return;
    if (!(await exists(folder))) throw error;
    await Deno.remove(folder, { recursive: true });
    await Deno.rename(fresh, folder);
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
