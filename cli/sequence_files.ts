/** The files that `deno task capture` and `generate` read: token ids and edits. */

import { z } from "zod";
import { UsageError } from "../engine/errors.ts";
import { type Edit, hookOrder } from "../engine/hooks.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import { parseSchema } from "../engine/schema.ts";
import { openSafetensors } from "../engine/weights/safetensors.ts";
import { FileSource } from "../models/file_source.ts";

const Sequence = z.array(z.int().min(0), "expected a list of token ids").min(1);
const Tokens = z.array(Sequence, "expected a list of lists of token ids").min(1);

const Edits = z.array(z.strictObject({
  hook: z.string(),
  op: z.enum(["add", "replace", "project"]),
  vector: z.strictObject({ file: z.string(), tensor: z.string(), row: z.int().min(0).optional() }),
  scale: z.union([z.number(), z.array(z.number())]).optional(),
  positions: z.union([z.literal("all"), z.array(z.int())]).optional(),
}));

type VectorSpec = z.infer<typeof Edits>[number]["vector"];

/** Token ids, one list a sequence; a file with a single list of ids has one sequence. */
export async function readTokens(path: string): Promise<number[][]> {
  const json = await readJson(path);
  const single = Array.isArray(json) && typeof json[0] === "number";
  const fail = (problem: string) => new UsageError(`Tokens "${path}": ${problem}`);
  return single ? [parseSchema(Sequence, json, fail)] : parseSchema(Tokens, json, fail);
}

/**
 * Edits with their vectors; a vector's file is looked for from the current folder.
 *
 * @param sequences how many there are: a list of scales has one for each
 */
export async function readEdits(path: string, sequences: number): Promise<Edit[]> {
  const fail = (problem: string) => new UsageError(`Edits "${path}": ${problem}`);
  const specs = parseSchema(Edits, await readJson(path), fail);
  const edits: Edit[] = [];
  for (const { vector, ...edit } of specs) {
    const { scale } = edit;
    if (typeof scale === "object" && scale.length !== sequences) {
      throw fail(`a list of ${scale.length} scales, but there are ${sequences} sequences`);
    }
    edits.push({ ...edit, vector: await readVector(vector) });
  }
  return edits;
}

/** A tensor, or one row of a matrix such as the `delta` of `diff.safetensors`. */
async function readVector({ file: path, tensor, row }: VectorSpec): Promise<Float32Array> {
  const source = await open(path);
  try {
    const file = await openSafetensors(source);
    const { shape } = file.info(tensor);
    let values = await file.readFloat32(tensor);
    if (row !== undefined) {
      if (shape.length !== 2 || row >= shape[0]) {
        throw new UsageError(
          `Cannot take row ${row} of tensor "${tensor}" of "${path}": its shape is [${shape}]`,
        );
      }
      values = values.subarray(row * shape[1], (row + 1) * shape[1]);
    }
    if (!values.every(Number.isFinite)) {
      throw new UsageError(
        `Cannot use tensor "${tensor}" of "${path}" as a vector: it has values that are not finite`,
      );
    }
    return values;
  } finally {
    source.close();
  }
}

/**
 * An edit that does nothing is a mistake: a captured hook must come at or after it, and every listed position must be a
 * token of some sequence.
 */
export function checkEdits(
  edits: readonly Edit[],
  spec: ModelSpec,
  hooks: readonly string[],
  sequences: readonly { length: number }[],
): void {
  const longest = sequences.reduce((most, { length }) => Math.max(most, length), 0);
  const last = Math.max(...hooks.map((hook) => hookOrder(spec, hook)));
  for (const { hook, positions } of edits) {
    if (hookOrder(spec, hook) > last) {
      throw new UsageError(`Cannot edit at "${hook}": no captured hook comes at or after it`);
    }
    for (const position of positions === undefined || positions === "all" ? [] : positions) {
      if (position < longest && position >= -longest) continue;
      throw new UsageError(
        `Cannot edit position ${position} at "${hook}": the longest sequence has ${longest} tokens`,
      );
    }
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await Deno.readTextFile(path).catch((cause: Error) => {
    throw new UsageError(`Cannot read "${path}": ${cause.message}`, { cause });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`Cannot read "${path}": it is not valid JSON`, { cause });
  }
}

async function open(path: string): Promise<FileSource> {
  return await FileSource.open(path, path).catch((cause: Error) => {
    throw new UsageError(`Cannot open "${path}": ${cause.message}`, { cause });
  });
}
