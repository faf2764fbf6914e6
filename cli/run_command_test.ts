import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { InterruptedError, ModelError, UsageError } from "../engine/errors.ts";
import { outcome } from "./run_command.ts";

const RUN_COMMAND = new URL("./run_command.ts", import.meta.url).href;
const ERRORS = new URL("../engine/errors.ts", import.meta.url).href;

/** Starts a process whose command is `body`. */
function start(body: string, ...args: string[]): Deno.ChildProcess {
  const code = `import { runCommand } from "${RUN_COMMAND}"; import * as errors from "${ERRORS}";
    await runCommand(async ({ signal }) => { ${body} });`;
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", code, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function finish(child: Deno.ChildProcess): Promise<{ code: number; err: string }> {
  const { code, stderr } = await child.output();
  return { code, err: new TextDecoder().decode(stderr) };
}

Deno.test("outcome() shows the message of a palimpsest error without its stack", () => {
  assertEquals(outcome(new ModelError("Cannot load it"), false), {
    code: 1,
    message: "error: Cannot load it",
  });
  assertEquals(outcome(new UsageError("Unknown flag --x"), false).code, 2);
  assertEquals(outcome(new InterruptedError("Interrupted"), false).code, 130);
  assertEquals(outcome(new Deno.errors.BrokenPipe("Broken pipe"), false), { code: 0, message: "" });
});

Deno.test("outcome() shows stacks and causes with --debug", () => {
  const error = new ModelError("Cannot load it", { cause: new TypeError("deep") });
  const { message } = outcome(error, true);
  assertStringIncludes(message, "run_command_test.ts");
  assertStringIncludes(message, "caused by TypeError: deep");
});

Deno.test("outcome() calls any other error a bug", () => {
  const { code, message } = outcome(new TypeError("x is undefined"), false);
  assertEquals(code, 70);
  assertStringIncludes(message, "error: TypeError: x is undefined\nThis is a bug in palimpsest");
  assertStringIncludes(outcome(undefined, false).message, "error: undefined");
});

Deno.test("runCommand() ends with the command's code", async () => {
  assertEquals((await finish(start("return 3;"))).code, 3);
});

Deno.test("runCommand() prints no escape sequence of an error's message", async () => {
  const { code, err } = await finish(start(`throw new errors.TextError("Bad \\x1b[2Jtext");`));
  assertEquals(code, 1);
  assertStringIncludes(err, "error: Bad \\x1b[2Jtext\n");
});

Deno.test("runCommand() catches what nobody awaited", async () => {
  const body = `Promise.reject(new errors.DeviceError("Lost the device"));
    await new Promise((resolve) => setTimeout(resolve, 10_000));`;
  const { code, err } = await finish(start(body));
  assertEquals(code, 1);
  assertStringIncludes(err, "error: Lost the device");
});

Deno.test({
  name: "runCommand() lets the first signal stop cleanly and the second at once",
  ignore: Deno.build.os === "windows",
  async fn() {
    const waits = `console.log("ready"); await new Promise((resolve, reject) => {
      setTimeout(resolve, 10_000); ON_ABORT });`;
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const polite = start(
        waits.replace("ON_ABORT", `signal.onabort = () => reject(signal.reason);`),
      );
      const { code: ended, err } = await interrupt(polite, signal, 1);
      assertEquals(ended, code);
      assertStringIncludes(err, "Stopping after the current step");
      assertStringIncludes(err, `error: Interrupted by ${signal}: what was finished is kept`);
    }
    // One Ctrl-C that arrives twice.
    const slow = `signal.onabort = () => setTimeout(() => reject(signal.reason), 100);`;
    const twice = await interrupt(start(waits.replace("ON_ABORT", slow)), "SIGINT", 2, 0);
    assertStringIncludes(twice.err, "error: Interrupted by SIGINT");
    const deaf = await interrupt(start(waits.replace("ON_ABORT", "")), "SIGINT", 2, 300);
    assertEquals(deaf.code, 130);
    assert(!deaf.err.includes("error:"));
  },
});

/** Waits until the process is ready, then sends it the signal, and again `apart` ms after it has answered the first. */
async function interrupt(child: Deno.ChildProcess, signal: Deno.Signal, times: number, apart = 0) {
  const ready = child.stdout.getReader();
  await ready.read();
  let err = "";
  child.kill(signal);
  for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
    const answered = !err.includes("Stopping") && (err + part).includes("Stopping");
    err += part;
    if (!answered || times < 2) continue;
    await new Promise((resolve) => setTimeout(resolve, apart));
    child.kill(signal);
  }
  await ready.cancel();
  return { code: (await child.status).code, err };
}
