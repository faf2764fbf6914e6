/** Checks parsed JSON against a zod schema and says in one sentence what is wrong with it. */

import { z } from "zod";
import { brief, quote } from "./weights/names.ts";

/** A whole number in a range, described as such when it is not. */
export function wholeNumber(min: number, max: number): z.ZodInt {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.int(expected).min(min, expected).max(max, expected);
}

/** A finite number in a range, described as such when it is not. */
export function numberBetween(min: number, max: number): z.ZodNumber {
  const expected = `expected a number from ${min} to ${max}`;
  return z.number(expected).min(min, expected).max(max, expected);
}

/**
 * The value as the schema types it.
 *
 * @param fail makes the error to throw, given what the file does wrong, such as `has hidden_size 0, expected …`
 */
export function parseSchema<T>(
  schema: z.ZodType<T>,
  value: unknown,
  fail: (problem: string) => Error,
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  if (path.length === 0) throw fail(`is ${brief(value)}, expected an object of keys`);
  const key = path.map(String).join(".");
  const name = /^[\w.-]{1,80}$/.test(key) ? key : quote(key);
  const found = path.reduce<unknown>(
    (at, part) => (at as Record<PropertyKey, unknown>)?.[part],
    value,
  );
  throw fail(found === undefined ? `has no ${name}` : `has ${name} ${brief(found)}, ${message}`);
}
