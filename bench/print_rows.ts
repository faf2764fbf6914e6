/** Runs what adds rows, and prints those that there are, however it ends. */

import { DeviceError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { adapterName } from "../engine/gpu/profile.ts";
import type { Flags } from "../cli/args.ts";
import { formatRows, markdownRows, type Row } from "./row.ts";

/** How the rows are printed, and when at the latest. */
export const PRINT_FLAGS = {
  limit: {
    kind: "int",
    placeholder: "SECONDS",
    min: 1,
    max: 86_400,
    help: "end after so long with the rows that there are",
  },
  json: { kind: "bool", help: "print one JSON object" },
  markdown: { kind: "bool", help: "print the table as Markdown" },
} as const satisfies Flags;

/** Values of {@link PRINT_FLAGS}. */
export interface PrintOptions {
  limit: number | undefined;
  json: boolean;
  markdown: boolean;
}

/**
 * Waits for `work`, which adds to `rows`, and prints them. Work that fails, is interrupted or reaches its limit leaves the rows
 * that it has, with a word on why there are no more; what it failed with is thrown after that.
 *
 * @throws {DeviceError} when the limit leaves no row at all
 */
export async function printRows(
  gpu: Pick<Gpu, "adapter" | "backend" | "tuning">,
  rows: readonly Row[],
  work: Promise<void>,
  { limit, json, markdown }: PrintOptions,
  signal: AbortSignal,
  print: (text: string) => void = console.log,
): Promise<void> {
  const limits = limit === undefined ? [] : [AbortSignal.timeout(1000 * limit)];
  const why = await endOf(work, AbortSignal.any([signal, ...limits]));
  const late = why instanceof DOMException && why.name === "TimeoutError";
  if (rows.length > 0 || why === undefined) {
    const message = late ? `the limit of ${limit} s was reached` : (why as Error)?.message;
    const cut = why === undefined ? undefined : message ?? String(why);
    const adapter = adapterName(gpu.adapter);
    const { backend } = gpu;
    const tuned = Object.keys(gpu.tuning.choices).length;
    if (json) print(JSON.stringify({ adapter, backend, tuned, rows, cut }));
    else {
      const title = `${adapter}, ${backend}${tuned ? `, tuned (${tuned} size classes)` : ""}`;
      const table = (markdown ? markdownRows : formatRows)(rows);
      print([title, table, ...(cut === undefined ? [] : [`Cut short: ${cut}`])].join("\n\n"));
    }
  }
  if (late && rows.length === 0) throw new DeviceError(`Cannot measure anything in ${limit} s`);
  if (why !== undefined && !late) throw why;
}

/** Waits for work until it is done or given up: nothing, what it failed with, or why it was given up. */
async function endOf(work: Promise<void>, signal: AbortSignal): Promise<unknown> {
  const { promise: aborted, resolve } = Promise.withResolvers<unknown>();
  signal.addEventListener("abort", () => resolve(signal.reason));
  if (signal.aborted) resolve(signal.reason);
  return await Promise.race([work.then(() => undefined, (error) => error), aborted]);
}
