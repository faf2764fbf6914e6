/** The report as the last step of a run: made of all other files, and of nothing else. */

import { ResultsError } from "../../engine/errors.ts";
import { readIfThere } from "../results/files.ts";
import { readJsonFile } from "../results/json_file.ts";
import { RunFolder } from "../results/run_folder.ts";
import type { JsonValue } from "../results/stable_json.ts";
import { type PartFiles, REPORT_FILE, REPORT_STEP } from "./run_files.ts";
import { renderRun } from "./render.ts";
import { readRun } from "./run_results.ts";

/**
 * Makes `report.html` of a run's folder, unless the one that is there is the same, and puts it into the manifest together with
 * the digests of the manifests of the parts: so the outermost manifest's digest stands for every file of the run.
 *
 * @param opened the folder, where it is open for writing already
 * @returns the page's path
 * @throws {ResultsError} if there are no results, or they cannot be read or written
 */
export async function writeReport(path: string, opened?: RunFolder): Promise<string> {
  const run = await readRun(path);
  const bytes = new TextEncoder().encode(renderRun(run));
  const parts = partDigests(run.parts);
  if (!await isCurrent(path, run.parts, bytes, parts)) {
    using own = opened ? undefined : await openAsIs(path);
    const folder = (opened ?? own)!;
    await folder.writeBytes(REPORT_FILE, bytes);
    await folder.finish(REPORT_STEP, { parts });
  }
  return `${path}/${REPORT_FILE}`;
}

/** The digests of the parts' manifests, by the parts' names. */
export function partDigests(parts: readonly PartFiles[]): Record<string, string> {
  return Object.fromEntries(
    parts.filter(({ name }) => name !== "")
      .map(({ name, manifest }) => [name, manifest.digest ?? ""]),
  );
}

async function isCurrent(
  path: string,
  parts: readonly PartFiles[],
  bytes: Uint8Array,
  digests: Record<string, string>,
): Promise<boolean> {
  const outer = parts.find(({ name }) => name === "");
  const step = outer?.manifest.steps[REPORT_STEP];
  if (!step || JSON.stringify(step.parts) !== JSON.stringify(digests)) return false;
  const there = await readIfThere(`${path}/${REPORT_FILE}`);
  return there !== null && there.length === bytes.length &&
    there.every((byte, i) => byte === bytes[i]);
}

/** A run's folder, to be added to whoever made it. */
async function openAsIs(path: string): Promise<RunFolder> {
  const fingerprint = await readJsonFile(path, "fingerprint.json");
  if (fingerprint === null || typeof fingerprint !== "object" || Array.isArray(fingerprint)) {
    throw new ResultsError(
      `Cannot add a report to "${path}": it is no results folder itself; name one of those within it`,
    );
  }
  return await RunFolder.open(path, { fingerprint: fingerprint as Record<string, JsonValue> });
}
