/** Bugs written by hand, in the least of words. */

import type { Mutant } from "./mutant.ts";

/** What it is, where, what stands there, what takes its place, and the test files that must see it. */
export type NamedBug = [
  what: string,
  file: string,
  find: string,
  replace: string,
  tests: string[],
];

/** The same as mutants. */
export function namedMutants(bugs: readonly NamedBug[]): Mutant[] {
  return bugs.map(([what, file, find, replace, files]) => ({
    what,
    file,
    find,
    replace,
    tests: files.map((one) => ({ files: [one] })),
  }));
}
