/** Files that are there whole or not at all. */

import { ResultsError } from "../../engine/errors.ts";

/** Names of files being written; what a dead process left under such a name can be removed. */
export const TEMPORARY_NAME = /^\..*\.tmp$/;

/**
 * Writes a file under a temporary name in the same folder, makes sure that it is on the disk, and renames it. If that fails,
 * nothing is left behind and an older file stays as it was.
 *
 * @throws {ResultsError} if it cannot be written: no right to, disk full, …
 */
export async function writeAtomically(
  folder: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  await writeInParts(folder, name, bytes.length, (write) => write(0, bytes));
}

/** Writes bytes at an offset of the file. */
export type WriteAt = (offset: number, bytes: Uint8Array) => Promise<void>;

/**
 * {@link writeAtomically} for a file that is larger than memory: `fill` writes it in parts, in any order. When `fill` fails, its
 * error passes through, and nothing is left behind either.
 *
 * @param size for messages, in bytes
 */
export async function writeInParts(
  folder: string,
  name: string,
  size: number,
  fill: (write: WriteAt) => Promise<void>,
): Promise<void> {
  const temporary = `${folder}/.${name}.tmp`;
  const failed = (cause: unknown) =>
    new ResultsError(
      `Cannot write "${name}" (${size} bytes) into "${folder}": ${reasonOf(cause)}`,
      { cause },
    );
  const guarded = <T>(work: Promise<T>) =>
    work.catch((cause) => {
      throw failed(cause);
    });
  try {
    using file = await guarded(
      Deno.open(temporary, { write: true, create: true, truncate: true }),
    );
    await fill((offset, bytes) => guarded(writeAll(file, offset, bytes)));
    await guarded(file.sync());
    await guarded(Deno.rename(temporary, `${folder}/${name}`));
    await guarded(syncFolder(folder));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Why a file operation failed, in words. */
export function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/ENOSPC|os error 28|No space left/.test(message)) return "the disk is full";
  if (cause instanceof Deno.errors.PermissionDenied) return "permission denied";
  return message;
}

async function writeAll(file: Deno.FsFile, offset: number, bytes: Uint8Array): Promise<void> {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}

/** The rename itself is on the disk only once its folder is; systems that cannot open folders do without. */
async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using handle = await Deno.open(folder);
  await handle.sync();
}
