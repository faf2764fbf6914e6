/** Makes text that a model, a file or a server wrote safe to print on a terminal. */

const NAMED: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

// Cc: control characters, escape sequences begin with one. Cf: formatting, such as changes of the writing direction.
// Zl, Zp: line and paragraph separators. Cs: halves of a pair that UTF-8 has no bytes for.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escape(character: string): string {
  if (character in NAMED) return NAMED[character];
  const code = character.codePointAt(0)!;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\u{${hex}}`;
}

/** `text` with every character that has no picture of its own written as an escape: `\n`, `\x1b`, `\u202e`. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, escape);
}

/** As {@link visible}, with line breaks left as they are: for messages of several lines. */
export function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
