/** Shows how far downloads are: a bar (or lines, see progress.ts) for each large file, nothing for small ones. */

import { type Progress, type ProgressOptions, startProgress } from "./progress.ts";
import { visible } from "./visible.ts";

/** Smaller files are here before one has read that they are coming. */
const SHOWN_BYTES = 2_000_000;

const MEGABYTE = 1_000_000;

/** Takes what {@link downloadProgress} shows: how many of a file's bytes are here. */
export type DownloadListener = (file: string, done: number, total: number) => void;

/**
 * A listener for `onProgress` of the Hub. One file is shown at a time; of those that come at once, the next is shown when
 * the one before it is complete.
 *
 * @param start begins to show a piece of work; a test brings its own
 */
export function downloadProgress(
  start: (options: ProgressOptions) => Progress = startProgress,
): DownloadListener {
  let shown: { file: string; progress: Progress } | undefined;
  return (file, done, total) => {
    if (total < SHOWN_BYTES || (done === total && shown?.file !== file)) return;
    shown ??= { file, progress: start(describe(file, done, total)) };
    if (shown.file !== file) return;
    shown.progress.update(megabytes(done));
    if (done < total) return;
    shown.progress.done();
    shown = undefined;
  };
}

function describe(file: string, begun: number, total: number): ProgressOptions {
  // The bar's format has its fields in braces.
  const name = visible(file).replace(/[{}]/g, "?");
  return {
    label: `Downloading ${name}`,
    total: megabytes(total),
    unit: "MB",
    begun: megabytes(begun),
  };
}

function megabytes(bytes: number): number {
  return Math.floor(bytes / MEGABYTE);
}
