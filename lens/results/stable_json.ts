/** JSON whose bytes depend on the value alone: keys in order, and nothing that JSON would silently change. */

import { ResultsError } from "../../engine/errors.ts";

/** What can be written as JSON. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

/**
 * `value` as JSON, its keys sorted, indented by two spaces and ended by a line break. Keys whose value is undefined are left out.
 *
 * @param name what is written, for messages
 * @throws {ResultsError} for NaN, infinities, and objects that are not plain (JSON would write them as null or as {})
 */
export function stableJson(value: JsonValue, name: string): string {
  return JSON.stringify(sorted(value, name, ""), null, 2) + "\n";
}

function sorted(value: unknown, name: string, path: string): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new ResultsError(`Cannot write "${name}": the value at ${path || "its top"} is ${value}`);
  }
  if (Array.isArray(value)) return value.map((entry, i) => sorted(entry, name, `${path}[${i}]`));
  if (value === null || ["string", "number", "boolean"].includes(typeof value)) return value;
  if (
    typeof value !== "object" || ![Object.prototype, null].includes(Object.getPrototypeOf(value))
  ) {
    throw new ResultsError(
      `Cannot write "${name}": the value at ${path || "its top"} is no JSON (${
        Object.prototype.toString.call(value)
      })`,
    );
  }
  const entries = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => [key, sorted(entry, name, path ? `${path}.${key}` : key)]);
  return Object.fromEntries(entries);
}
