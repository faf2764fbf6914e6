/**
 * The folder of a run. It belongs to one set of inputs and options (its fingerprint), is written by one process at a time,
 * and holds
 *
 * - `fingerprint.json`: what the run was started with; another run does not continue it;
 * - the files of its steps, each written whole or not at all;
 * - `manifest.json`: what was finished, with the size and sha256 of every file; rewritten last whenever a step is finished;
 * - until then `.pending.json`, the files of the unfinished step, and `checkpoints/`, from which an interrupted step resumes.
 */

import { ResultsError } from "../../engine/errors.ts";
import { TEMPORARY_NAME, writeAtomically } from "./atomic_file.ts";
import { recordedCommandLine } from "./command_line.ts";
import { makeFolder, namesIn, readIfThere, removeIfThere } from "./files.ts";
import { parseJson, readJsonFile, writeJsonFile } from "./json_file.ts";
import {
  checkedManifest,
  checkSameRun,
  type FileRecord,
  type Manifest,
  manifestDigest,
  sha256,
} from "./manifest.ts";
import { LOCK_NAME, takeLock } from "./run_lock.ts";
import { type JsonValue, stableJson } from "./stable_json.ts";

/** Options of {@link RunFolder.open}. */
export interface RunFolderOptions {
  /** All that the results depend on: inputs (with hashes) and options. Names and values appear in messages. */
  fingerprint: Record<string, JsonValue>;
  /** Whether to remove what another or the same run wrote and start anew (default: false). */
  overwrite?: boolean;
}

const FINGERPRINT = "fingerprint.json";
const MANIFEST = "manifest.json";
const PENDING = ".pending.json";
const CHECKPOINTS = "checkpoints";

/** A run's folder, open for writing. Close it when done. */
export class RunFolder {
  #pending: Set<string>;

  private constructor(
    /** The folder's path. */
    readonly path: string,
    private manifest: Manifest,
    pending: string[],
    private readonly lock: Deno.FsFile,
  ) {
    this.#pending = new Set(pending);
  }

  /**
   * Opens or makes the folder of a run. A folder with the same fingerprint is continued: finished steps need not be done again.
   *
   * @throws {ResultsError} if it cannot be written, is in use, belongs to another run, or holds other files
   */
  static async open(path: string, options: RunFolderOptions): Promise<RunFolder> {
    await makeFolder(path);
    const lock = await takeLock(path);
    try {
      const entries = (await namesIn(path)).filter((name) => name !== LOCK_NAME);
      const foreign = entries.find((name) => !TEMPORARY_NAME.test(name));
      const isRun = entries.includes(FINGERPRINT);
      if (!isRun && foreign !== undefined) {
        throw new ResultsError(
          `Cannot use the results folder "${path}": it holds files that are no results ("${foreign}"); use another --out`,
        );
      }
      if (isRun && !options.overwrite) {
        checkSameRun(await readJsonFile(path, FINGERPRINT), options.fingerprint, path);
      } else {
        if (isRun) await removeRun(path);
        await writeJsonFile(path, FINGERPRINT, options.fingerprint);
      }
      for (const name of entries.filter((name) => TEMPORARY_NAME.test(name))) {
        await removeIfThere(`${path}/${name}`);
      }
      const written = await readJsonFile(path, MANIFEST);
      const manifest = written === null
        ? { fingerprint: options.fingerprint, steps: {} }
        : checkedManifest(written, path);
      return new RunFolder(path, manifest, pendingNames(await readJsonFile(path, PENDING)), lock);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** Whether a step is finished and every file of it is still what it was. */
  async has(step: string): Promise<boolean> {
    if (!Object.hasOwn(this.manifest.steps, step)) return false;
    for (const [name, record] of Object.entries(this.manifest.steps[step].files)) {
      const bytes = await readIfThere(`${this.path}/${name}`);
      if (bytes === null || bytes.length !== record.bytes || sha256(bytes) !== record.sha256) {
        return false;
      }
    }
    return true;
  }

  /** What was said when a step was finished, its files among it; undefined if it is not finished. */
  step(name: string): Manifest["steps"][string] | undefined {
    return Object.hasOwn(this.manifest.steps, name) ? this.manifest.steps[name] : undefined;
  }

  /** Writes a file of the unfinished step. */
  async writeBytes(name: string, bytes: Uint8Array): Promise<void> {
    checkName(name);
    if (!this.#pending.has(name)) {
      this.#pending.add(name);
      await writeJsonFile(this.path, PENDING, [...this.#pending]);
    }
    await writeAtomically(this.path, name, bytes);
  }

  /** Writes a file of the unfinished step as JSON with sorted keys; NaN and infinities are refused. */
  async writeJson(name: string, value: JsonValue): Promise<void> {
    await this.writeBytes(name, new TextEncoder().encode(stableJson(value, name)));
  }

  /** Reads a file of this run. */
  async readBytes(name: string): Promise<Uint8Array> {
    checkName(name);
    const bytes = await readIfThere(`${this.path}/${name}`);
    if (bytes === null) {
      throw new ResultsError(
        `Cannot read "${name}" of the results folder "${this.path}": it is missing`,
      );
    }
    return bytes;
  }

  /** Reads a JSON file of this run. */
  async readJson(name: string): Promise<JsonValue> {
    return parseJson(await this.readBytes(name), this.path, name);
  }

  /** Keeps part of an unfinished step, so that an interrupted run need not begin it again. */
  async writeCheckpoint(name: string, bytes: Uint8Array): Promise<void> {
    checkName(name);
    await makeFolder(`${this.path}/${CHECKPOINTS}`);
    await writeAtomically(`${this.path}/${CHECKPOINTS}`, name, bytes);
  }

  /** Reads what {@link writeCheckpoint} kept, or null. */
  async readCheckpoint(name: string): Promise<Uint8Array | null> {
    checkName(name);
    return await readIfThere(`${this.path}/${CHECKPOINTS}/${name}`);
  }

  /**
   * Finishes a step: puts the files written since the last one, with their hashes, and `fields` (versions, adapter, counts …)
   * into the manifest, beside the command line that made it, then removes the checkpoints, and files that the step had when it was finished before and has no more.
   */
  async finish(step: string, fields: Record<string, JsonValue> = {}): Promise<void> {
    const files: Record<string, FileRecord> = {};
    for (const name of this.#pending) {
      const bytes = await this.readBytes(name);
      files[name] = { bytes: bytes.length, sha256: sha256(bytes) };
    }
    const command = recordedCommandLine();
    const made = command ? { ...fields, command: [...command] } : fields;
    const steps = { ...this.manifest.steps, [step]: { ...made, files } };
    const manifest = { ...this.manifest, steps } as Manifest;
    manifest.digest = manifestDigest(manifest);
    await writeJsonFile(this.path, MANIFEST, manifest as unknown as JsonValue);
    const before = Object.keys(this.step(step)?.files ?? {});
    this.manifest = manifest;
    this.#pending.clear();
    await removeIfThere(`${this.path}/${PENDING}`);
    await removeIfThere(`${this.path}/${CHECKPOINTS}`);
    // What the step left when it was done with other settings belongs to nobody now.
    const listed = new Set(Object.values(steps).flatMap((one) => Object.keys(one.files)));
    for (const name of before.filter((name) => !listed.has(name))) {
      checkName(name);
      await removeIfThere(`${this.path}/${name}`);
    }
  }

  /** Lets other processes use the folder. */
  close(): void {
    this.lock.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Removes what a run wrote, and nothing else; its fingerprint is left for the next to replace. */
async function removeRun(path: string): Promise<void> {
  // Damaged records must not stand in the way of starting anew.
  const manifest = await readJsonFile(path, MANIFEST)
    .then((value) => checkedManifest(value, path)).catch(() => null);
  const pending = pendingNames(await readJsonFile(path, PENDING).catch(() => null));
  const finished = Object.values(manifest?.steps ?? {}).flatMap((step) => Object.keys(step.files));
  const files = [...finished, ...pending].filter((name) => FILE_NAME.test(name));
  for (const name of [...files, CHECKPOINTS, PENDING, MANIFEST]) {
    await removeIfThere(`${path}/${name}`);
  }
}

/** The names in `.pending.json`, as far as they can be names of ours. */
function pendingNames(value: JsonValue): string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((name) => typeof name === "string" && FILE_NAME.test(name));
}

const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** Files lie in the folder itself, and never under the names that the folder needs. */
function checkName(name: string): void {
  if (!FILE_NAME.test(name) || [FINGERPRINT, MANIFEST, CHECKPOINTS].includes(name)) {
    throw new ResultsError(`Cannot use "${name}" as the name of a results file`);
  }
}
