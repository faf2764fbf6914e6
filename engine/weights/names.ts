/** Names and values out of untrusted files, in messages. */

/** A name in quotes, with control characters escaped and a long one cut. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}

/** Any JSON value in a few words. */
export function brief(value: unknown): string {
  if (typeof value === "string") return quote(value);
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/**
 * The names that look most like a missing one, best first: those that share the longest beginning and ending with it,
 * at least half of it together. Linear in the text compared.
 */
export function nearestNames(missing: string, names: Iterable<string>, count = 3): string[] {
  const scored: { name: string; score: number }[] = [];
  for (const name of names) {
    const score = sharedEnds(missing, name);
    if (score * 2 >= missing.length) scored.push({ name, score });
  }
  return scored.sort((a, b) => b.score - a.score).slice(0, count).map(({ name }) => name);
}

/** Characters that two names share at their beginnings and ends, less the difference of their lengths. */
function sharedEnds(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < shorter - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return head + tail - Math.abs(a.length - b.length);
}
