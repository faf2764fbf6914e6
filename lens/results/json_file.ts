/** JSON files of a results folder. */

import { ResultsError } from "../../engine/errors.ts";
import { writeAtomically } from "./atomic_file.ts";
import { readIfThere } from "./files.ts";
import { type JsonValue, stableJson } from "./stable_json.ts";

/** Writes `value` with sorted keys. */
export async function writeJsonFile(folder: string, name: string, value: JsonValue): Promise<void> {
  await writeAtomically(folder, name, new TextEncoder().encode(stableJson(value, name)));
}

/** Reads a JSON file, or gives null if there is none. */
export async function readJsonFile(folder: string, name: string): Promise<JsonValue> {
  const bytes = await readIfThere(`${folder}/${name}`);
  return bytes === null ? null : parseJson(bytes, folder, name);
}

/** Reads JSON; `folder` and `name` are for messages. */
export function parseJson(bytes: Uint8Array, folder: string, name: string): JsonValue {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ResultsError(
      `Cannot read "${name}" of the results folder "${folder}": it is not JSON; use --overwrite or another --out`,
      { cause },
    );
  }
}
