/** A process that ends while the device is at work ends as it says, whatever the driver does meanwhile in threads of its own. */

import { assertEquals, assertStringIncludes } from "@std/assert";

/** Drivers crash at some moments of a compilation only: which, goes by how quick the machine is. */
const MILLISECONDS = [0, 40, 50, 60, 80, 100, 120];

for (const state of ["closed", "open"]) {
  Deno.test(`the process may end at any time, with the device ${state}`, async () => {
    for (const milliseconds of MILLISECONDS) {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "tests/exit_program.ts", String(milliseconds), state],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).output();
      const said = new TextDecoder().decode(stderr);
      assertEquals(code, 3, `after ${milliseconds} ms: ${said}`);
      assertStringIncludes(said, "The GPU device is closed");
    }
  });
}
