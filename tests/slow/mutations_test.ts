/** Every difference between the architectures is held by a test: taken out, it makes the test fail (see ../mutations/list.ts). */

import { assert, assertEquals } from "@std/assert";
import { type Mutation, MUTATIONS } from "../mutations/list.ts";

const ROOT = `${import.meta.dirname}/../..`;

/** A copy of what the parity tests need, large data as links. */
async function copyTree(): Promise<string> {
  const copy = await Deno.makeTempDir({ prefix: "palimpsest-mutants-" });
  for (const file of ["deno.json", "deno.lock"]) {
    await Deno.copyFile(`${ROOT}/${file}`, `${copy}/${file}`);
  }
  for (const folder of ["engine", "shaders", "models", "tests"]) await copyCode(folder, copy);
  await Deno.symlink(await Deno.realPath(`${ROOT}/tests/fixtures`), `${copy}/tests/fixtures`);
  return copy;
}

async function copyCode(folder: string, copy: string): Promise<void> {
  await Deno.mkdir(`${copy}/${folder}`);
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory && !["fixtures", "embedded", "tokenizers"].includes(name)) {
      await copyCode(path, copy);
    } else if (/\.(ts|wgsl|json)$/.test(name)) {
      await Deno.copyFile(`${ROOT}/${path}`, `${copy}/${path}`);
    }
  }
}

/** Runs the parity tests whose name begins so; the output, and whether they passed. */
async function parity(copy: string, name: string): Promise<{ passed: boolean; output: string }> {
  const filter = `/^${name.replaceAll(".", "\\.")}/`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--quiet", "--filter", filter, "tests/parity_test.ts"],
    cwd: copy,
    env: { NO_COLOR: "1" },
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { passed: success, output };
}

async function check(copy: string, { file, find, replace, caughtBy }: Mutation): Promise<void> {
  const path = `${copy}/${file}`;
  const original = await Deno.readTextFile(path);
  const pieces = original.split(find);
  assertEquals(pieces.length, 2, `"${find}" does not stand in ${file} exactly once`);
  await Deno.writeTextFile(path, pieces.join(replace));
  try {
    const { passed, output } = await parity(copy, caughtBy);
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
