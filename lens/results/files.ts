/** File operations whose failures are ResultsErrors. */

import { ResultsError } from "../../engine/errors.ts";
import { reasonOf } from "./atomic_file.ts";

/** Makes a folder and its parents, if they are not there. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (cause) {
    const isFile = cause instanceof Deno.errors.AlreadyExists;
    throw new ResultsError(
      `Cannot make the results folder "${path}": ${isFile ? "it is a file" : reasonOf(cause)}`,
      { cause },
    );
  }
}

/** The names in a folder, in order. */
export async function namesIn(path: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(path), (entry) => entry.name)).sort();
}

/** The bytes of a file, or null if there is none. */
export async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new ResultsError(`Cannot read "${path}": ${reasonOf(cause)}`, { cause });
  }
}

/** Removes a file or a folder with all it holds, if it is there. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    throw new ResultsError(`Cannot remove "${path}": ${reasonOf(cause)}`, { cause });
  }
}
