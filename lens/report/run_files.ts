/** The files of a run, read without changing anything: what the manifests name, checked against their hashes. */

import { ResultsError } from "../../engine/errors.ts";
import { namesIn, readIfThere } from "../results/files.ts";
import { parseJson, readJsonFile } from "../results/json_file.ts";
import { checkedManifest, type Manifest, sha256 } from "../results/manifest.ts";
import type { JsonValue } from "../results/stable_json.ts";

/** The page that is made of all the others. */
export const REPORT_FILE = "report.html";

/** The step that makes it. */
export const REPORT_STEP = "report";

/** One results folder: of a run the outermost, or that of one of its commands. */
export class PartFiles {
  private constructor(
    readonly path: string,
    /** Within the run: empty for the outermost. */
    readonly name: string,
    readonly manifest: Manifest,
  ) {}

  /** The folder at `path`, or null if there is no run in it. One that has finished nothing itself may have parts that did. */
  static async open(path: string, name: string): Promise<PartFiles | null> {
    const manifest = await readJsonFile(path, "manifest.json");
    if (manifest !== null) return new PartFiles(path, name, checkedManifest(manifest, path));
    const fingerprint = await readJsonFile(path, "fingerprint.json");
    if (fingerprint === null || name !== "") return null;
    return new PartFiles(path, name, checkedManifest({ fingerprint, steps: {} }, path));
  }

  /** The command that made it. */
  get command(): string {
    const { command } = this.manifest.fingerprint;
    return typeof command === "string" ? command : "diff";
  }

  /** Whether it is a run of its own, with parts of its own: such as each ratio of a mixing experiment. */
  get isRun(): boolean {
    return ["run", "evidence"].includes(this.command);
  }

  /** The names of the files that the manifest lists, in order. */
  get files(): string[] {
    return Object.values(this.manifest.steps).flatMap(({ files }) => Object.keys(files)).sort();
  }

  /** Those whose whole name fits, with what the expression's groups caught. */
  matching(name: RegExp): { file: string; parts: string[] }[] {
    return this.files.flatMap((file) => {
      const found = name.exec(file);
      return found ? [{ file, parts: found.slice(1) }] : [];
    });
  }

  /**
   * The bytes of a listed file.
   *
   * @throws {ResultsError} if it is missing, or is not what the manifest says
   */
  async bytes(file: string): Promise<Uint8Array<ArrayBuffer>> {
    const record = Object.values(this.manifest.steps)
      .find(({ files }) => Object.hasOwn(files, file))?.files[file];
    const bytes = record && await readIfThere(`${this.path}/${file}`);
    if (bytes && sha256(bytes) === record.sha256) return new Uint8Array(bytes);
    throw new ResultsError(
      `Cannot use the results in "${this.path}": "${file}" ${
        bytes ? "was changed since it was written" : "is missing"
      }; run the command that made it again, or see deno task verify`,
    );
  }

  /** A listed JSON file. */
  async json<T>(file: string): Promise<T> {
    return parseJson(await this.bytes(file), this.path, file) as T;
  }

  /** A listed JSON file, or undefined where the manifest has none of that name. */
  async jsonIfListed<T>(file: string): Promise<T | undefined> {
    return this.files.includes(file) ? await this.json<T>(file) : undefined;
  }

  /** A field of the fingerprint. */
  said(field: string): JsonValue | undefined {
    return this.manifest.fingerprint[field];
  }
}

/** A file's path within the run. */
export function within({ name }: PartFiles, file: string): string {
  return name === "" ? file : `${name}/${file}`;
}

/**
 * The outermost folder of a run and those within it. A folder of one command alone is a run of one part.
 *
 * @throws {ResultsError} if there are no results
 */
export async function openParts(path: string): Promise<PartFiles[]> {
  const entries = await namesIn(path).catch(() => {
    throw new ResultsError(`Cannot read the results in "${path}": there is no such folder`);
  });
  const outer = await PartFiles.open(path, "");
  if (outer === null) {
    throw new ResultsError(
      `Cannot read the results in "${path}": there is no manifest.json, as deno task run and others write it`,
    );
  }
  const parts = [outer];
  for (const name of entries.filter((name) => !name.startsWith("."))) {
    if (!(await Deno.stat(`${path}/${name}`)).isDirectory) continue;
    const part = await PartFiles.open(`${path}/${name}`, name);
    if (part) parts.push(part);
  }
  return parts;
}
