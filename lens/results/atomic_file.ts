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
  const temporary = `${folder}/.${name}.tmp`;
  try {
    await writeAndSync(temporary, bytes);
    await Deno.rename(temporary, `${folder}/${name}`);
    await syncFolder(folder);
  } catch (cause) {
    await Deno.remove(temporary).catch(() => {});
    throw new ResultsError(
      `Cannot write "${name}" (${bytes.length} bytes) into "${folder}": ${reasonOf(cause)}`,
      { cause },
    );
  }
}

/** Why a file operation failed, in words. */
export function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/ENOSPC|os error 28|No space left/.test(message)) return "the disk is full";
  if (cause instanceof Deno.errors.PermissionDenied) return "permission denied";
  return message;
}

async function writeAndSync(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
  await file.sync();
}

/** The rename itself is on the disk only once its folder is; systems that cannot open folders do without. */
async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using handle = await Deno.open(folder);
  await handle.sync();
}
