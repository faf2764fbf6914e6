/** Whether every file of a run is what its manifest says, and the manifest what was written. */

import { REPORT_STEP } from "../report/run_files.ts";
import { readIfThere } from "../results/files.ts";
import { checkedManifest, type Manifest, manifestDigest, sha256 } from "../results/manifest.ts";
import { type JsonValue, stableJson } from "../results/stable_json.ts";
import type { Problem } from "./problem.ts";

/** What was found in one folder and those within it. */
export interface Checksums {
  /** Files that were hashed. */
  files: number;
  /** The digest of the outermost manifest; null where that is damaged. */
  digest: string | null;
  problems: Problem[];
}

/** Not results: the lock that a writer holds. */
const LOCK = ".lock";

/**
 * Checks a folder and those within it.
 *
 * @param name of the folder within the run, ending with a slash; empty for the outermost
 */
export async function checkFiles(path: string, name = ""): Promise<Checksums> {
  const found: Checksums = { files: 0, digest: null, problems: [] };
  const wrong = (file: string, problem: string) =>
    found.problems.push({ file: name + file, problem });
  const manifest = await readManifest(path, wrong);
  found.files++;
  if (!manifest) return found;
  found.digest = manifest.digest ?? null;
  const listed = new Map(
    Object.values(manifest.steps).flatMap(({ files }) => Object.entries(files)),
  );
  for (const [file, record] of listed) {
    const bytes = await readIfThere(`${path}/${file}`);
    if (bytes === null) wrong(file, "it is missing");
    else if (bytes.length !== record.bytes) {
      wrong(file, `it was changed: ${bytes.length} bytes, the manifest says ${record.bytes}`);
    } else if (sha256(bytes) !== record.sha256) {
      wrong(file, "it was changed: its SHA-256 is another");
    }
    found.files++;
  }
  await checkFingerprint(path, manifest, wrong);
  found.files++;
  for await (const entry of Deno.readDir(path)) {
    if (entry.name === LOCK || OWN.has(entry.name) || listed.has(entry.name)) continue;
    if (entry.isDirectory && await isPart(`${path}/${entry.name}`)) {
      const inner = await checkFiles(`${path}/${entry.name}`, `${name}${entry.name}/`);
      found.files += inner.files;
      found.problems.push(...inner.problems);
      checkPartDigest(manifest, entry.name, inner.digest, wrong);
    } else if (UNFINISHED.has(entry.name)) {
      wrong(entry.name, "a step was begun and not finished: run its command again");
    } else wrong(entry.name, "no manifest lists it");
  }
  for (const part of Object.keys(partsOf(manifest))) {
    if (!await isPart(`${path}/${part}`)) wrong(`${part}/manifest.json`, "it is missing");
  }
  found.problems.sort((a, b) => a.file < b.file ? -1 : 1);
  return found;
}

const OWN = new Set(["manifest.json", "fingerprint.json"]);
const UNFINISHED = new Set([".pending.json", "checkpoints"]);

type Wrong = (file: string, problem: string) => void;

async function readManifest(path: string, wrong: Wrong): Promise<Manifest | null> {
  const bytes = await readIfThere(`${path}/manifest.json`);
  if (bytes === null) return wrong("manifest.json", "it is missing"), null;
  let manifest: Manifest;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const value = JSON.parse(text);
    manifest = checkedManifest(value, path);
    if (stableJson(value, "manifest.json") !== text) {
      wrong("manifest.json", "it was changed: it is not spelt as it was written");
    }
  } catch {
    return wrong("manifest.json", "it was changed: it is no manifest any more"), null;
  }
  if (manifest.digest === undefined) {
    wrong(
      "manifest.json",
      "it has no digest of itself: it was changed, or written by an older version",
    );
  } else if (manifest.digest !== manifestDigest(manifest)) {
    wrong("manifest.json", "it was changed: its digest is another");
  }
  return manifest;
}

async function checkFingerprint(path: string, manifest: Manifest, wrong: Wrong): Promise<void> {
  const bytes = await readIfThere(`${path}/fingerprint.json`);
  const written = stableJson(manifest.fingerprint as JsonValue, "fingerprint.json");
  if (bytes === null) wrong("fingerprint.json", "it is missing");
  else if (sha256(bytes) !== sha256(new TextEncoder().encode(written))) {
    wrong("fingerprint.json", "it was changed: the manifest has another fingerprint");
  }
}

/** The report is made of all parts: it says of which. */
function checkPartDigest(
  manifest: Manifest,
  part: string,
  digest: string | null,
  wrong: Wrong,
): void {
  const known = partsOf(manifest)[part];
  if (!manifest.steps[REPORT_STEP] || digest === null || known === digest) return;
  wrong(
    `${part}/manifest.json`,
    "it is not the one that the report was made of: deno task report makes it of this one",
  );
}

function partsOf({ steps }: Manifest): Record<string, unknown> {
  return (steps[REPORT_STEP]?.parts ?? {}) as Record<string, unknown>;
}

async function isPart(path: string): Promise<boolean> {
  return await Deno.stat(`${path}/manifest.json`).then(() => true, () => false);
}
