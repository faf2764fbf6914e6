/** How far the files of one run are from those of another that should be the same. */

import { memorySource } from "../../engine/weights/byte_source.ts";
import { Checkpoint } from "../../engine/weights/checkpoint.ts";

/** One file of both runs. */
export interface FileComparison {
  file: string;
  /** `missing`: the new run does not have it; `extra`: only the new run has it. */
  state: "identical" | "different" | "missing" | "extra";
  /** Of the tensors of a safetensors file the largest ‖new − old‖ / ‖old‖; of other files the largest relative difference of a number. */
  distance?: number;
  /** Tensors or fields that differ, the first few with how. */
  differences: string[];
}

/** Differences that are named. */
const SHOWN = 5;

/** Compares one file's bytes, and where they differ what they hold. */
export async function compareFile(
  file: string,
  old: Uint8Array<ArrayBuffer>,
  fresh: Uint8Array<ArrayBuffer>,
): Promise<FileComparison> {
  if (old.length === fresh.length && old.every((byte, i) => byte === fresh[i])) {
    return { file, state: "identical", differences: [] };
  }
  const found = { file, state: "different" as const };
  try {
    if (file.endsWith(".safetensors")) return { ...found, ...await tensorDistance(old, fresh) };
    if (/\.jsonl?$/.test(file)) {
      const [a, b] = [old, fresh].map((bytes) => parse(file, bytes));
      const fields = new FieldDifferences();
      fields.compare(a, b, "");
      return { ...found, distance: fields.distance, differences: fields.shown() };
    }
  } catch (error) {
    // A file that cannot be read as what it is called differs all the same.
    return { ...found, differences: [error instanceof Error ? error.message : String(error)] };
  }
  return { ...found, differences: [`${old.length} and ${fresh.length} bytes`] };
}

function parse(file: string, bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes);
  if (file.endsWith(".json")) return JSON.parse(text);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** By tensor. A name or a shape that only one has counts as infinitely far. */
async function tensorDistance(old: Uint8Array<ArrayBuffer>, fresh: Uint8Array<ArrayBuffer>) {
  const [a, b] = await Promise.all(
    [old, fresh].map((bytes, i) => Checkpoint.open(memorySource(["old", "new"][i], bytes))),
  );
  const differences: string[] = [];
  let distance = 0;
  for (const name of new Set([...a.names(), ...b.names()])) {
    const far = await distanceOf(a, b, name);
    distance = Math.max(distance, far);
    if (far > 0) differences.push(`${name}: relative L2 ${far.toExponential(1)}`);
  }
  return { distance, differences: cut(differences) };
}

async function distanceOf(a: Checkpoint, b: Checkpoint, name: string): Promise<number> {
  if (!a.has(name) || !b.has(name)) return Infinity;
  const shapes = [a, b].map((file) => file.info(name).shape.join());
  if (shapes[0] !== shapes[1]) return Infinity;
  const [x, y] = await Promise.all([a, b].map((file) => file.readFloat32(name)));
  let [difference, size] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    difference += (y[i] - x[i]) ** 2;
    size += x[i] ** 2;
  }
  return difference === 0 ? 0 : size === 0 ? Infinity : Math.sqrt(difference / size);
}

/** Walks two JSON values side by side. */
class FieldDifferences {
  distance = 0;
  #count = 0;
  #first: string[] = [];

  compare(a: unknown, b: unknown, path: string): void {
    if (Object.is(a, b)) return;
    if (typeof a === "number" && typeof b === "number") {
      const relative = Math.abs(b - a) / Math.max(Math.abs(a), Math.abs(b));
      this.distance = Math.max(this.distance, relative);
      return this.#note(path, a, b);
    }
    const both = isContainer(a) && isContainer(b) && Array.isArray(a) === Array.isArray(b);
    if (!both) {
      this.distance = Infinity;
      return this.#note(path, a, b);
    }
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      this.compare(a[key], b[key], path === "" ? key : `${path}.${key}`);
    }
  }

  shown(): string[] {
    return this.#count > SHOWN
      ? [...this.#first, `… and ${this.#count - SHOWN} more`]
      : this.#first;
  }

  #note(path: string, a: unknown, b: unknown): void {
    if (this.#count++ < SHOWN) {
      this.#first.push(`${path || "the whole"}: ${short(a)}, now ${short(b)}`);
    }
  }
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function short(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60);
}

function cut(lines: string[]): string[] {
  return lines.length > SHOWN
    ? [...lines.slice(0, SHOWN), `… and ${lines.length - SHOWN} more`]
    : lines;
}
