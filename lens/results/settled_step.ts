/** A step of a run whose result is one JSON file, made with settings of its own. */

import type { RunFolder } from "./run_folder.ts";
import { type JsonValue, stableJson } from "./stable_json.ts";

/** Which step, and with what it is made. */
export interface SettledStep {
  /** Its name; the file is `NAME.json`. */
  step: string;
  /** What the result depends on beside the folder's own fingerprint. */
  settings: Record<string, JsonValue>;
  /** More for the manifest, once the step is done. */
  provenance?: () => Promise<Record<string, JsonValue>>;
}

/**
 * The result of a step: read where it is finished and was made with these settings, else computed and kept. A result of other
 * settings is replaced.
 */
export async function settledStep<T>(
  folder: RunFolder,
  { step, settings, provenance }: SettledStep,
  compute: () => Promise<T>,
): Promise<T> {
  const file = `${step}.json`;
  const same = (a: JsonValue | undefined) =>
    a !== undefined && stableJson(a, step) === stableJson(settings, step);
  if (!same(folder.step(step)?.settings) || !await folder.has(step)) {
    await folder.writeJson(file, await compute() as JsonValue);
    await folder.finish(step, { settings, ...await provenance?.() });
  }
  return await folder.readJson(file) as T;
}
