/** The command line itself: what it says to those who ask, and to those who do not know what to ask. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cli } from "./cli_helpers.ts";

const COMMANDS = ["diff", "capture", "chat", "run", "mixing", "doctor", "organisms"];

Deno.test("without arguments the usage is printed, and it counts as a mistake", async () => {
  const { code, out, err } = await cli([]);
  assertEquals([code, err], [2, ""]);
  for (const command of COMMANDS) assertStringIncludes(out, `deno task ${command}`);
});

Deno.test("--help prints the usage", async () => {
  const { code, out } = await cli(["--help"]);
  assertEquals(code, 0);
  assertEquals(out, (await cli([])).out);
});

for (const command of COMMANDS) {
  Deno.test(`${command} --help explains every flag and gives examples`, async () => {
    const { code, out, err } = await cli([command, "--help"]);
    assertEquals([code, err], [0, ""]);
    assertStringIncludes(out, `Usage: deno task ${command}`);
    const [, examples] = out.split("Examples:\n");
    assert(examples, "there are examples");
    const commands = examples.split("\n").filter((line) => line.startsWith("  deno task"));
    assert(commands.length > 0);
    for (const line of commands) assertMatch(line, new RegExp(`^  deno task ${command}( |$)`));
    // A flag that an example uses is one that the help explains.
    for (const [flag] of examples.matchAll(/--[a-z-]+/g)) {
      const named = flag.replace(/^--no-/, "--(\\[no-\\])?");
      assertMatch(out, new RegExp(`^  ${named}( |$)`, "m"));
    }
  });
}

Deno.test("help wins over what else is wrong with the command line", async () => {
  const { code, out } = await cli(["diff", "--tokens", "none", "--help"]);
  assertEquals(code, 0);
  assertStringIncludes(out, "Usage: deno task diff");
});
