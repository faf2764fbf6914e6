/** What a run was started with, and what it finished: `fingerprint.json` and `manifest.json`. */

import { createHash } from "node:crypto";
import { ResultsError } from "../../engine/errors.ts";
import { type JsonValue, stableJson } from "./stable_json.ts";

/** Size and hash of a file. */
export interface FileRecord {
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** `manifest.json`. */
export interface Manifest {
  fingerprint: Record<string, JsonValue>;
  /** By step: the fields given to {@link RunFolder.finish}, and the step's files. */
  steps: Record<string, { [field: string]: JsonValue } & { files: Record<string, FileRecord> }>;
  /** {@link manifestDigest} of all else. */
  digest?: string;
}

/** SHA-256 in hex of the manifest's other fields as {@link stableJson} writes them: it covers every file's hash, too. */
export function manifestDigest({ digest: _, ...rest }: Manifest): string {
  return sha256(
    new TextEncoder().encode(stableJson(rest as unknown as JsonValue, "manifest.json")),
  );
}

/** SHA-256 in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A manifest as read from a file: of the right shape, or refused. */
export function checkedManifest(value: JsonValue, folder: string): Manifest {
  const steps = (value as { steps?: JsonValue } | null)?.steps;
  if (!isObject(steps) || !Object.values(steps).every((step) => isObject(step) && hasFiles(step))) {
    throw new ResultsError(
      `Cannot continue the results in "${folder}": manifest.json is malformed; use --overwrite or another --out`,
    );
  }
  return value as unknown as Manifest;
}

function hasFiles(step: { [key: string]: JsonValue | undefined }): boolean {
  return isObject(step.files) && Object.values(step.files).every((file) => {
    return isObject(file) && typeof file.bytes === "number" && typeof file.sha256 === "string";
  });
}

/**
 * Compares the fingerprint of a folder with that of the run which wants it.
 *
 * @throws {ResultsError} if they differ, naming the first three differences
 */
export function checkSameRun(
  foundValue: JsonValue,
  wanted: Record<string, JsonValue>,
  folder: string,
): void {
  const found = isObject(foundValue) ? foundValue : {};
  const text = (value: JsonValue | undefined) =>
    value === undefined ? "not set" : stableJson(value, "fingerprint.json").trim();
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].sort();
  const different = keys.filter((key) => text(found[key]) !== text(wanted[key]));
  if (different.length === 0) return;
  const shown = different.slice(0, 3).map((key) => {
    const against = wanted[key] === undefined ? "now" : "not";
    return `${key} ${text(found[key]).slice(0, 60)}, ${against} ${text(wanted[key]).slice(0, 60)}`;
  });
  throw new ResultsError(
    `Cannot continue the results in "${folder}": they belong to another run (${
      shown.join("; ")
    }); use --overwrite or another --out`,
  );
}

function isObject(
  value: JsonValue | undefined,
): value is { readonly [key: string]: JsonValue | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
