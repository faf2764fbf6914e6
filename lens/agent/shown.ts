/** How evidence stands in prompts: as JSON, in which what a model wrote is a string and nothing else. */

import { NOT_SHOWN, shortened, shownEscape } from "../graders/llm/quoted.ts";
import type { JsonValue } from "../results/stable_json.ts";

/** Characters shown of a token. */
export const SHOWN_TOKEN = 64;

/** The value as JSON on one line, with an escape for each character that has no picture of its own. */
export function shownJson(value: JsonValue): string {
  return JSON.stringify(value).replace(NOT_SHOWN, shownEscape);
}

/** A token and its probability or difference, as agents see it: `["cake", 0.31]`. */
export function shownToken(token: string, value: number): [string, number] {
  return [shortened(token, SHOWN_TOKEN), Number(value.toPrecision(3))];
}
