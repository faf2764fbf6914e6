/** What the end-to-end tests share: a command line run as a process of its own, and what it left behind. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { memorySource } from "../../engine/weights/byte_source.ts";
import { openSafetensors } from "../../engine/weights/safetensors.ts";

const MAIN = new URL("../../cli/main.ts", import.meta.url).pathname;

/** The embedded models and texts. */
export const EMBEDDED = new URL("../../models/embedded", import.meta.url).pathname;

/** Few documents, so that a run takes seconds. */
export const FEW = ["--documents", "24", "--tokens", "16"];

/** As cheap as a run gets: after the last layer Patchscope has no more layers to run. */
export const CHEAP = ["--documents", "4", "--tokens", "16", "--layers", "1", "--positions", "2"];

/** How a process ended. */
export interface Finished {
  code: number;
  out: string;
  err: string;
}

/** Starts `deno task ARGS` with its output piped. */
export function start(
  args: readonly string[],
  env: Record<string, string> = {},
  stdin: "null" | "piped" = "null",
) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A server that runs until it is ended. */
export interface Serving extends AsyncDisposable {
  /** The line that says what is served. */
  line: string;
  url: string;
  /** Ends it as Ctrl-C does, which must go well; what it logged. */
  end(): Promise<string>;
}

/** Starts `deno task serve …` and waits until it listens. */
export async function serving(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Serving> {
  const child = start(args, env);
  const log = new Response(child.stderr).text();
  let ended: Promise<string> | undefined;
  const end = () =>
    ended ??= (async () => {
      // It may be gone already, if it could not serve.
      try {
        child.kill("SIGINT");
      } catch { /* its code and log tell */ }
      const { code } = await child.status;
      await child.stdout.cancel();
      assertEquals(code, 0, await log);
      return await log;
    })();
  const line = await firstLine(child.stdout);
  const url = /http:\/\/[\w.:]+\/v1/.exec(line)?.[0];
  if (url === undefined) throw new Error(`Nothing is served: ${line} ${await end()}`);
  return { line, url, end, [Symbol.asyncDispose]: async () => void await end() };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream.values({ preventCancel: true })) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
  }
  return text;
}

/** Runs `deno task ARGS` to its end. */
export async function cli(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Finished> {
  const { code, stdout, stderr } = await start(args, env).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

/** Runs a command that must end well and print one JSON object and nothing else on standard output. */
// deno-lint-ignore no-explicit-any
export async function cliJson(args: readonly string[]): Promise<any> {
  const { code, out, err } = await cli([...args, "--json"]);
  assertEquals(code, 0, err);
  assertMatch(out, /^\{.*\}\n$/, "one line, one object");
  return JSON.parse(out);
}

/** The message of a refusal: the one line that begins with `error: `, without a trace after it. */
export function refusal({ out, err }: Finished): string {
  assertEquals(out, "", "a refusal prints nothing on standard output");
  const lines = err.trimEnd().split("\n");
  const message = lines.at(-1)!;
  assert(message.startsWith("error: "), err);
  assertEquals(lines.filter((line) => /^error: |^ +at /.test(line)).length, 1, err);
  assert(!message.endsWith("."), message);
  return message.slice("error: ".length);
}

/** A folder that is gone after the test. */
export async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "palimpsest_" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A float32 tensor of a file. */
export interface Tensor {
  shape: readonly number[];
  values: Float32Array;
}

/** Every float32 tensor of a safetensors file, by name. */
export async function readTensors(path: string): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(memorySource(path, await Deno.readFile(path)));
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape }] of file.tensors) {
    if (dtype === "F32") tensors.set(name, { shape, values: await file.readFloat32(name) });
  }
  return tensors;
}

/** Hexadecimal SHA-256 of a file. */
export async function sha256OfFile(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(digest).toHex();
}

/** Runs tasks, two at a time: starting a process is mostly waiting, and machines have few cores. */
export async function twoAtATime(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = tasks.values();
  const work = async () => {
    for (const task of waiting) await task();
  };
  await Promise.all([work(), work()]);
}
