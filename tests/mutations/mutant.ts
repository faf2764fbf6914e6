/** A bug to plant, and the tests that must then fail. */

/** Tests to run: files, and a part of their tests by name. */
export interface TestRun {
  files: readonly string[];
  /** For `deno test --filter`. */
  filter?: string;
}

/** One change of one file. */
export interface Mutant {
  /** The bug in words; with `file` it names the mutant. */
  what: string;
  file: string;
  /** Stands in `file` exactly once. */
  find: string;
  replace: string;
  /** Run first; the fast tests come after, for a mutant that survives these. */
  tests: readonly TestRun[];
  /** Made by an operator: one that does not compile is then left out. */
  generated?: boolean;
}

/** The source with the bug. A mutant whose text is gone is an error of the list, not a mutant that was caught. */
export function planted(
  source: string,
  { file, find, replace }: Pick<Mutant, "file" | "find" | "replace">,
): string {
  const pieces = source.split(find);
  if (pieces.length !== 2) {
    throw new Error(
      `Cannot plant a bug: "${find}" stands in ${file} ${
        pieces.length - 1
      } times, not once; bring tests/mutations/ up to date`,
    );
  }
  return pieces.join(replace);
}
