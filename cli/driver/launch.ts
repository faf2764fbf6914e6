/**
 * Starts Deno with the given arguments where a WebGPU adapter is sure to be found:
 * `deno run -A cli/driver/launch.ts test -A`. For programs that cannot call `ensureAdapter()` themselves.
 */

import { runCommand } from "../run_command.ts";
import { ensureAdapter } from "./ensure.ts";
import { replaceProcess } from "./restart.ts";

if (import.meta.main) {
  await runCommand(async () => {
    await ensureAdapter({ backend: "auto" });
    const encoder = new TextEncoder();
    replaceProcess(Deno.execPath(), Deno.args.map((argument) => encoder.encode(argument)));
  });
}
