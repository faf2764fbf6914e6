/** Every difference between the architectures is held by a test: taken out, it makes the test fail (see ../mutations/list.ts). */

import { assert } from "@std/assert";
import { type Mutation, MUTATIONS } from "../mutations/list.ts";
import { planted } from "../mutations/mutant.ts";
import { copyTree, runTests } from "../mutations/tree.ts";

/** Runs the parity tests whose name begins so. */
async function parity(copy: string, name: string): Promise<{ passed: boolean; output: string }> {
  return await runTests(copy, ["tests/parity_test.ts"], `/^${name.replaceAll(".", "\\.")}/`);
}

async function check(copy: string, mutation: Mutation): Promise<void> {
  const path = `${copy}/${mutation.file}`;
  const original = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, planted(original, mutation));
  try {
    const { passed, output } = await parity(copy, mutation.caughtBy);
    assert(!passed, "the mutant passed");
    // A wrong result, or a checkpoint that no longer fits: not a mutant that cannot even be compiled.
    assert(
      /relative L2 error|AssertionError|WeightsError|ModelError/.test(output) &&
        !/SyntaxError|DeviceError|could not compile/.test(output),
      output,
    );
  } finally {
    await Deno.writeTextFile(path, original);
  }
}

let tree: Promise<string> | undefined;
const copy = () => tree ??= copyTree();

Deno.test.afterAll(async () => {
  if (tree) await Deno.remove(await tree, { recursive: true });
});

// Unchanged, the copy passes: otherwise any failure would do.
for (const name of new Set(MUTATIONS.map(({ caughtBy }) => caughtBy))) {
  Deno.test(`unchanged: ${name}`, async () => {
    const { passed, output } = await parity(await copy(), name);
    assert(passed && /[1-9]\d* passed/.test(output), output);
  });
}

for (const mutation of MUTATIONS) {
  Deno.test(`${mutation.what} (${mutation.caughtBy})`, async () => {
    await check(await copy(), mutation);
  });
}
