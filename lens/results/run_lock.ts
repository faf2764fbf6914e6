/** One process at a time in a results folder. */

import { ResultsError } from "../../engine/errors.ts";
import { reasonOf } from "./atomic_file.ts";

/** Name of the lock file. */
export const LOCK_NAME = ".lock";

/**
 * Takes the lock of a folder. It is the operating system's lock on the file, which holds the owner's process id for people
 * to read: when its process dies the lock is gone, so a file that was left behind locks nobody out.
 *
 * @returns the file to close when done
 * @throws {ResultsError} if another process has it
 */
export async function takeLock(folder: string): Promise<Deno.FsFile> {
  const path = `${folder}/${LOCK_NAME}`;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true, write: true, create: true });
  } catch (cause) {
    throw new ResultsError(`Cannot use the results folder "${folder}": ${reasonOf(cause)}`, {
      cause,
    });
  }
  if (!await file.tryLock(true)) {
    file.close();
    const owner = (await Deno.readTextFile(path).catch(() => "")).trim();
    throw new ResultsError(
      `Cannot use the results folder "${folder}": another run is writing to it (process ${
        owner || "unknown"
      }); wait for it or use another --out`,
    );
  }
  await file.truncate(0);
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return file;
}
