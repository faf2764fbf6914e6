/** Finds what a mistyped word was meant to be. */

/** Levenshtein's distance: single-letter insertions, deletions and replacements from `a` to `b`. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The candidate nearest to `word`, or `undefined` when none is near enough to be meant. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  // Long words cost time, and no candidate is meant by one.
  if (word.length > 64) return undefined;
  // Two swapped letters are two edits: "dwan" is meant for "dawn".
  const limit = Math.ceil(word.length / 3);
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    // Something is left out more often than made up: "max-tokens" is meant for "max-new-tokens" and not for "tokens".
    .sort((x, y) => x.distance - y.distance || y.candidate.length - x.candidate.length);
  if (ranked.length > 0 && ranked[0].distance <= limit) return ranked[0].candidate;
  return word.length >= 3 ? candidates.find((candidate) => candidate.startsWith(word)) : undefined;
}
