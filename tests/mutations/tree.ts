/** A copy of the tree in which bugs are planted, large data as links. */

const ROOT = `${import.meta.dirname}/../..`;

/** Folders of code. */
const CODE = ["engine", "shaders", "models", "lens", "cli", "bench", "tests"];

/** Data that no mutant changes. */
const LINKED = ["tests/fixtures", "tests/tokenizers", "models/embedded"];

/** The copy; remove it when done. */
export async function copyTree(): Promise<string> {
  const copy = await Deno.makeTempDir({ prefix: "palimpsest-mutants-" });
  for (const file of ["deno.json", "deno.lock"]) {
    await Deno.copyFile(`${ROOT}/${file}`, `${copy}/${file}`);
  }
  for (const folder of CODE) await copyCode(folder, copy);
  for (const folder of LINKED) {
    await Deno.symlink(await Deno.realPath(`${ROOT}/${folder}`), `${copy}/${folder}`);
  }
  await Deno.symlink(await Deno.realPath(`${ROOT}/docs`), `${copy}/docs`);
  return copy;
}

async function copyCode(folder: string, copy: string): Promise<void> {
  await Deno.mkdir(`${copy}/${folder}`);
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}/${folder}`)) {
    const path = `${folder}/${name}`;
    if (LINKED.includes(path)) continue;
    if (isDirectory) await copyCode(path, copy);
    else await Deno.copyFile(`${ROOT}/${path}`, `${copy}/${path}`);
  }
}

/** How a run of tests ended. */
export interface TestResult {
  passed: boolean;
  output: string;
}

/** A mutant that loops for ever is stopped, and caught. */
const TIMEOUT_MS = 300_000;

/** Runs tests of a copy. */
export async function runTests(
  copy: string,
  files: readonly string[],
  filter?: string,
  signal?: AbortSignal,
): Promise<TestResult> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "--quiet", "--fail-fast", "--no-lock"],
      ...(filter === undefined ? [] : ["--filter", filter]),
      ...files,
    ],
    cwd: copy,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
  });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  return {
    passed: success,
    output: timeout.aborted ? `${output}\nstopped after five minutes` : output,
  };
}
