/** JSON out of untrusted headers: stricter than `JSON.parse`, which keeps the last of two equal keys and nests without end. */

/**
 * Parses a JSON text in which no object has a key twice (readers differ in which of the two they keep, so such a file
 * shows one thing to one program and another to the next) and nothing nests deeper than `maxDepth`.
 *
 * @throws {SyntaxError} if the text is not such JSON
 */
export function parseStrictJson(json: string, maxDepth: number): unknown {
  checkKeysAndDepth(json, maxDepth); // first: parsing deep nesting is slow (ten seconds for 40 MB of brackets)
  return JSON.parse(json);
}

/** One pass over the structure; other mistakes are left to `JSON.parse`. */
function checkKeysAndDepth(json: string, maxDepth: number): void {
  const open: (Set<string> | null)[] = []; // keys of the objects around the cursor; null for a list
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === "{" || character === "[") {
      open.push(character === "{" ? new Set() : null);
      if (open.length > maxDepth) throw new SyntaxError(`nests deeper than ${maxDepth} levels`);
    } else if (character === "}" || character === "]") {
      open.pop();
    } else if (character === '"') {
      const start = i;
      i = stringEnd(json, start);
      if (!followedByColon(json, i + 1)) continue; // a value, not a key
      const keys = open.at(-1);
      const key: string = JSON.parse(json.slice(start, i + 1)); // two spellings with escapes are one key
      if (keys?.has(key)) throw new SyntaxError(`has the key ${JSON.stringify(key)} twice`);
      keys?.add(key);
    }
  }
}

/** Index of the quote that ends the string which starts at `start`, or the text's length. */
function stringEnd(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
  return i;
}

function followedByColon(json: string, i: number): boolean {
  while (json[i] === " " || json[i] === "\n" || json[i] === "\r" || json[i] === "\t") i++;
  return json[i] === ":";
}
