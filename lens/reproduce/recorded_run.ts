/** What a results folder says of how it was made: its command lines, its inputs, and its files with those of its parts. */

import { ResultsError } from "../../engine/errors.ts";
import { readIfThere } from "../results/files.ts";
import { readJsonFile } from "../results/json_file.ts";
import { checkedManifest } from "../results/manifest.ts";
import type { JsonValue } from "../results/stable_json.ts";
import { compareFile, type FileComparison } from "./compare.ts";

/** A folder of results as it was recorded. */
export interface RecordedRun {
  /** The command lines that made its steps, each once, in the order of the steps; the name comes first. */
  commands: string[][];
  /** Of the folder, and of folders within under their names: `diff.adapter`. */
  fingerprint: Record<string, JsonValue | undefined>;
  /** Names of the folder's own steps. */
  steps: string[];
  /** Paths below the folder of every file of every step, also of folders within. */
  files: string[];
}

/**
 * Reads a run's records.
 *
 * @throws {ResultsError} if the folder is no finished run
 */
export async function readRecordedRun(folder: string): Promise<RecordedRun> {
  const value = await readJsonFile(folder, "manifest.json");
  if (value === null) {
    throw new ResultsError(
      `Cannot reproduce "${folder}": it has no manifest.json, so it is no finished run`,
    );
  }
  const { steps, fingerprint: own } = checkedManifest(value, folder);
  const fingerprint: RecordedRun["fingerprint"] = { ...own };
  const commands = Object.values(steps).map(({ command }) => commandOf(command, folder));
  const files = Object.values(steps).flatMap((step) => Object.keys(step.files));
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory || await readIfThere(`${folder}/${name}/manifest.json`) === null) continue;
    const part = await readRecordedRun(`${folder}/${name}`);
    files.push(...part.files.map((file) => `${name}/${file}`));
    for (const [key, of] of Object.entries(part.fingerprint)) fingerprint[`${name}.${key}`] = of;
  }
  const distinct = new Map(commands.map((command) => [JSON.stringify(command), command]));
  return {
    commands: [...distinct.values()],
    fingerprint,
    steps: Object.keys(steps),
    files: files.sort(),
  };
}

function commandOf(value: JsonValue | undefined, folder: string): string[] {
  if (Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === "string")) {
    return [...value] as string[];
  }
  throw new ResultsError(
    `Cannot reproduce "${folder}": its manifest does not say with which command it was made (it is of an older version)`,
  );
}

/**
 * A command line with another results folder in the place of the one that it wrote to. Flags that only say how the
 * outcome is shown are dropped.
 */
export function redirected(
  command: readonly string[],
  { from, to, backend }: { from: string; to: string; backend?: string },
): string[] {
  const trim = (path: string) => path.replace(/^\.\//, "").replace(/(?<=.)\/+$/, "");
  const old = trim(from);
  const moved = (path: string) => {
    const plain = trim(path);
    return plain === old ? to : plain.startsWith(`${old}/`) ? to + plain.slice(old.length) : path;
  };
  const [name, ...rest] = command;
  const out: string[] = [];
  let named = false;
  for (let i = 0; i < rest.length; i++) {
    const [, flag, inline] = /^(--[a-z-]+)(?:=([\s\S]*))?$/.exec(rest[i]) ?? [];
    if (flag === "--json" || flag === "--overwrite" || flag === "--debug") continue;
    if (flag === "--out" || backend !== undefined && flag === "--backend") {
      if (inline === undefined) i++;
      named ||= flag === "--out";
      if (flag === "--out") out.push(`--out=${to}`);
      continue;
    }
    out.push(inline === undefined ? moved(rest[i]) : `${flag}=${moved(inline)}`);
  }
  // A command without --out chose its folder by its inputs; some have none, and name the folder they write to.
  const mentions = out.some((argument) => argument === to || argument.endsWith(`=${to}`));
  if (!named && !mentions) out.push(`--out=${to}`);
  if (backend !== undefined) out.push(`--backend=${backend}`);
  return [name, ...out];
}

/** Fields of the fingerprints that differ: what the new run was not given alike. */
export function changedInputs(old: RecordedRun, fresh: RecordedRun): string[] {
  const keys = new Set([...Object.keys(old.fingerprint), ...Object.keys(fresh.fingerprint)]);
  return [...keys].filter((key) =>
    JSON.stringify(old.fingerprint[key]) !== JSON.stringify(fresh.fingerprint[key])
  );
}

/** Compares every file of two runs. */
export async function compareRuns(
  old: { folder: string; run: RecordedRun },
  fresh: { folder: string; run: RecordedRun },
): Promise<FileComparison[]> {
  const names = [...new Set([...old.run.files, ...fresh.run.files])].sort();
  const compared: FileComparison[] = [];
  for (const file of names) {
    const [a, b] = await Promise.all(
      [old, fresh].map(({ folder }) => readIfThere(`${folder}/${file}`)),
    );
    if (a && b) {
      compared.push(
        await compareFile(file, a as Uint8Array<ArrayBuffer>, b as Uint8Array<ArrayBuffer>),
      );
    } else if (a || b) {
      compared.push({ file, state: a ? "missing" : "extra", differences: [] });
    }
  }
  return compared;
}
