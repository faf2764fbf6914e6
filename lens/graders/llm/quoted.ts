/** Puts text that a model or a file wrote into a prompt, so that it can neither break its form nor hide what it says. */

/** Control and formatting characters, line and paragraph separators, halves of surrogate pairs, private and unassigned ones. */
export const NOT_SHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;

/**
 * The text as a JSON string on one line, with an escape for each character that has no picture of its own.
 *
 * @param limit characters kept; a longer text ends with an ellipsis
 */
export function quoted(text: string, limit: number): string {
  const json = JSON.stringify(shortened(text, limit));
  return json.replace(NOT_SHOWN, shownEscape);
}

/** The first `limit` characters, and an ellipsis in the place of the rest; no surrogate pair is cut in two. */
export function shortened(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text[limit - 1]) ? limit - 1 : limit;
  return `${text.slice(0, end)}…`;
}

/** The text with its lines as they are, and all else that cannot be shown as escapes: a message that every server takes. */
export function sendable(text: string): string {
  return text.replace(
    NOT_SHOWN,
    (character) => character === "\n" ? character : shownEscape(character),
  );
}

/** Its escape in JSON. */
export function shownEscape(character: string): string {
  return Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  ).join("");
}
