/** Keeps two processes from fetching the same file at once. */

import { dirname } from "node:path";
import type { Sleep } from "./retry.ts";

const POLL_MS = 200;

/** How {@link withLock} waits. */
export interface LockOptions {
  sleep: Sleep;
  signal?: AbortSignal;
  /** Called once if another process has the lock. */
  onWait?: () => void;
}

/**
 * Runs `work` while this process holds the lock of a file, which is made if need be and stays. The lock is the system's
 * (flock), as that of Python's library: it ends with the process, whatever becomes of it.
 *
 * @param work is told whether there is a lock: some network file systems have none
 */
export async function withLock<T>(
  path: string,
  options: LockOptions,
  work: (locked: boolean) => Promise<T>,
): Promise<T> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { write: true, create: true });
  const locked = await acquire(file, options);
  try {
    return await work(locked);
  } finally {
    if (locked) await file.unlock().catch(() => {});
  }
}

async function acquire(file: Deno.FsFile, options: LockOptions): Promise<boolean> {
  const { sleep, signal, onWait } = options;
  try {
    for (let waits = 0; !await file.tryLock(true); waits++) {
      if (waits === 0) onWait?.();
      await sleep(POLL_MS, signal);
    }
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof Error)) throw error;
    return false;
  }
}
