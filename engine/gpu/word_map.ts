/** Values by short lists of 32-bit words. */

interface Entry<T> {
  words: Uint32Array;
  value: T;
}

/**
 * A map whose keys are the first `length` of some words, compared by content: dispatches look things up by the thousand, and a string or
 * a view of each would take longer than the rest.
 */
export class WordMap<T> {
  readonly #entries = new Map<number, Entry<T>[]>();
  #size = 0;

  /** Keys that have a value. */
  get size(): number {
    return this.#size;
  }

  /** The value of a key. */
  get(words: Uint32Array, length = words.length): T | undefined {
    const entries = this.#entries.get(hashOf(words, length));
    if (!entries) return undefined;
    for (const entry of entries) if (sameWords(entry.words, words, length)) return entry.value;
    return undefined;
  }

  /** Gives a key that has none a value. The words are copied. */
  add(words: Uint32Array, value: T, length = words.length): void {
    const hash = hashOf(words, length);
    const entry = { words: words.slice(0, length), value };
    const entries = this.#entries.get(hash);
    if (entries) entries.push(entry);
    else this.#entries.set(hash, [entry]);
    this.#size++;
  }

  /** Forgets the keys whose values are like this. */
  forget(isGone: (value: T) => boolean): void {
    for (const [hash, entries] of this.#entries) {
      const left = entries.filter(({ value }) => !isGone(value));
      this.#size -= entries.length - left.length;
      if (left.length === 0) this.#entries.delete(hash);
      else if (left.length < entries.length) this.#entries.set(hash, left);
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }
}

function sameWords(known: Uint32Array, words: Uint32Array, length: number): boolean {
  if (known.length !== length) return false;
  for (let i = 0; i < length; i++) if (known[i] !== words[i]) return false;
  return true;
}

/** 30 bits, which the runtime keeps as a plain integer: FNV-1a by words, with the high bits brought down. */
function hashOf(words: Uint32Array, length: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ words[i], 0x01000193);
  return (hash ^ (hash >>> 15)) & 0x3fffffff;
}
