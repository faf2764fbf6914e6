/**
 * Starts Deno with the given arguments where a WebGPU adapter is sure to be found:
 * `deno run -A cli/driver/launch.ts test -A`. For programs that cannot call `ensureAdapter()` themselves.
 */

import { UsageError } from "../../engine/errors.ts";
import { type Backend, type BackendChoice, BACKENDS } from "../../engine/gpu/backend.ts";
import { runCommand } from "../run_command.ts";
import { ensureAdapter } from "./ensure.ts";
import { replaceProcess } from "./restart.ts";

/** The implementation that the tests are to run on, where the environment names one. */
function testBackend(): BackendChoice {
  const name = Deno.env.get("PALIMPSEST_BACKEND") ?? "auto";
  if (name === "auto" || BACKENDS.includes(name as Backend)) return name as BackendChoice;
  throw new UsageError(
    `Cannot use PALIMPSEST_BACKEND=${name}: it is auto, ${BACKENDS.join(" or ")}`,
  );
}

if (import.meta.main) {
  await runCommand(async () => {
    const backend = testBackend();
    // Threads of one process lock each other up in Dawn's addon: `deno test --parallel` has to be content with one.
    if (backend === "dawn") Deno.env.set("DENO_JOBS", "1");
    await ensureAdapter({ backend });
    const encoder = new TextEncoder();
    replaceProcess(Deno.execPath(), Deno.args.map((argument) => encoder.encode(argument)));
  });
}
