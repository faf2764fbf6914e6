/**
 * Checks a run without a device: every file against the hash that the manifest has of it, every number that follows from other
 * files of the run by deriving it again, and the report by making it again.
 *
 * What was measured on a device (the means, the readouts' tokens, losses, texts) follows from no file of the run: those are
 * covered by their hashes. And hashes protect against damage and careless edits, not against somebody who changes a file and
 * then makes all that follows from it anew, the manifest among it: for that, note the run's digest elsewhere.
 */

import { ResultsError } from "../../engine/errors.ts";
import { PartFiles, REPORT_FILE } from "../report/run_files.ts";
import { readRun, type RunResults } from "../report/run_results.ts";
import { renderRun } from "../report/render.ts";
import { checkFiles } from "./checksums.ts";
import { deriveAgents, deriveOrganisms } from "./derive_agents.ts";
import { checkDelta, deriveDiff } from "./derive_diff.ts";
import {
  deriveCausal,
  deriveMixing,
  deriveSimilarity,
  deriveSteering,
  deriveSummary,
} from "./derive_effects.ts";
import { compareValues, type Derived, type Problem } from "./problem.ts";

/** What was found. */
export interface Verification {
  /** SHA-256 that stands for the whole run: that of the outermost manifest, which has those of all parts; null if damaged. */
  digest: string | null;
  /** Files that were hashed, the manifests among them. */
  files: number;
  /** Numbers that were derived again. */
  numbers: number;
  /** Whether there is a report, and it was made again. */
  report: boolean;
  /** None for a run that is as it was written. */
  problems: Problem[];
}

/**
 * Checks the run in a folder.
 *
 * @throws {ResultsError} if there is no such folder, or it holds no results
 */
export async function verifyRun(path: string): Promise<Verification> {
  if (await PartFiles.open(path, "").catch(() => "damaged") === null) {
    throw new ResultsError(
      `Cannot verify "${path}": there is no manifest.json, as deno task run and others write it`,
    );
  }
  const { files, digest, problems } = await checkFiles(path);
  const result: Verification = { digest, files, numbers: 0, report: false, problems };
  // What follows from a damaged file follows wrongly: the damage is what has to be said.
  if (problems.length > 0) return result;
  try {
    await deriveAll(path, result);
  } catch (cause) {
    if (cause instanceof ResultsError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ResultsError(
      `Cannot derive the numbers of "${path}" again: its files are not of the form that this version writes (${why})`,
      { cause },
    );
  }
  return result;
}

async function deriveAll(path: string, result: Verification): Promise<void> {
  const run = await readRun(path);
  const { diff, parts } = run;
  const [outer] = parts;
  if (diff) {
    const { numbers, problems } = checkDelta(diff);
    result.numbers += numbers;
    result.problems.push(...problems);
  }
  const means = diff && {
    firstPosition: diff.firstPosition,
    at: (layer: number) => diff.layers.find((one) => one.layer === layer)?.means,
  };
  const derived: Derived[] = diff ? await deriveDiff(diff) : [];
  for (const part of parts.filter(({ name, isRun }) => name === "" || !isRun)) {
    derived.push(...await deriveSteering(part), ...await deriveCausal(part, means));
    derived.push(...await deriveAgents(part));
  }
  derived.push(...await deriveSimilarity(outer, run), ...deriveSummary(run));
  derived.push(...await deriveMixing(outer, run), ...await deriveOrganisms(outer, run));
  for (const one of derived) {
    const { numbers, difference } = compareValues(one);
    result.numbers += numbers;
    if (difference !== null) result.problems.push({ file: one.file, problem: difference });
  }
  for (const part of parts.filter(({ name, isRun }) => name !== "" && isRun)) {
    const inner: Verification = { ...result, numbers: 0, problems: [] };
    await deriveAll(part.path, inner);
    result.numbers += inner.numbers;
    result.problems.push(
      ...inner.problems.map(({ file, problem }) => ({ file: `${part.name}/${file}`, problem })),
    );
  }
  await checkReport(outer, run, result);
}

async function checkReport(outer: PartFiles, run: RunResults, result: Verification): Promise<void> {
  if (!outer.files.includes(REPORT_FILE)) return;
  const there = new TextDecoder().decode(await outer.bytes(REPORT_FILE));
  result.report = true;
  if (there === renderRun(run)) return;
  result.problems.push({
    file: REPORT_FILE,
    problem: "made again, it comes out otherwise: deno task report writes it anew",
  });
}
