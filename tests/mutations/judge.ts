/** Plants one bug and runs the tests. */

import { type Mutant, planted } from "./mutant.ts";
import { type Outcome, reasonOf } from "./outcomes.ts";
import { runTests } from "./tree.ts";

/** What `deno task test:fast` runs, without the command's own tests, which no mutant here is for. */
const FAST = ["engine/", "models/", "lens/"];

/** Runs a mutant's own tests, then all fast ones, unless it is known why no test can see it. */
export async function judge(
  copy: string,
  mutant: Mutant,
  quick: boolean,
  signal: AbortSignal,
): Promise<Outcome> {
  const path = `${copy}/${mutant.file}`;
  const original = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, planted(original, mutant));
  try {
    const runs = [
      ...mutant.tests,
      ...(quick || reasonOf(mutant) !== undefined ? [] : [{ files: FAST }, {
        files: [
          "tests/invariance_test.ts",
          "tests/parity_test.ts",
          "tests/hooks_test.ts",
          "tests/edits_test.ts",
          "tests/generation_test.ts",
          "tests/embedded_test.ts",
        ],
      }]),
    ];
    for (const { files, filter } of runs) {
      const { passed, output } = await runTests(copy, files, filter, signal);
      signal.throwIfAborted();
      if (passed) continue;
      const broken = /SyntaxError|Cannot compile kernel|is not defined|error: Module not found/
        .test(output);
      const by = filter ?? files.join(", ");
      if (!broken) return { mutant, state: "caught", by };
      return { mutant, state: mutant.generated ? "invalid" : "broken", by };
    }
    return { mutant, state: "survived", by: "" };
  } finally {
    await Deno.writeTextFile(path, original);
  }
}
