import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ResultsError } from "../../engine/errors.ts";
import { manifestDigest } from "./manifest.ts";
import { RunFolder } from "./run_folder.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const fingerprint = { base: "embedded:base", seed: 1 };

async function withFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/run`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function namesIn(path: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(path), (entry) => entry.name);
  return names.filter((name) => name !== ".lock").sort();
}

/** A folder whose step "diff" is finished with `diff.json`. */
async function finishedRun(path: string): Promise<void> {
  using run = await RunFolder.open(path, { fingerprint });
  await run.writeJson("diff.json", { b: 1, a: [2] });
  await run.finish("diff", { adapter: "llvmpipe" });
}

Deno.test("a finished step is found again, its manifest names every file with size and hash", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    using run = await RunFolder.open(path, { fingerprint });
    assert(await run.has("diff"));
    assert(!await run.has("steering"));
    assert(!await run.has("toString"));
    assertEquals(await run.readJson("diff.json"), { a: [2], b: 1 });
    assertEquals(run.step("diff")?.adapter, "llvmpipe");
    const manifest = JSON.parse(await Deno.readTextFile(`${path}/manifest.json`));
    const text = await Deno.readTextFile(`${path}/diff.json`);
    assertEquals(text, '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n');
    assertEquals(manifest.fingerprint, fingerprint);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(text)));
    assertEquals(manifest.steps.diff.files["diff.json"], {
      bytes: text.length,
      sha256: digest.toHex(),
    });
    assertEquals(await namesIn(path), ["diff.json", "fingerprint.json", "manifest.json"]);
  }));

Deno.test("the manifest holds the hash of all else in it", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    const read = async () => JSON.parse(await Deno.readTextFile(`${path}/manifest.json`));
    const first = await read();
    assertEquals(first.digest, manifestDigest(first));
    assert(first.digest !== manifestDigest({ ...first, fingerprint: { ...fingerprint, seed: 2 } }));
    using run = await RunFolder.open(path, { fingerprint });
    await run.finish("empty");
    const second = await read();
    assertEquals(second.digest, manifestDigest(second));
    assert(second.digest !== first.digest);
  }));

Deno.test("a step that is done again leaves no file of the time before", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    using run = await RunFolder.open(path, { fingerprint });
    await run.writeJson("more.json", {});
    await run.writeJson("shared.json", {});
    await run.finish("graded");
    await run.writeJson("shared.json", {});
    await run.finish("other");
    await run.writeJson("fewer.json", {});
    await run.finish("graded");
    const own = ["diff.json", "fewer.json", "fingerprint.json", "manifest.json", "shared.json"];
    assertEquals(await namesIn(path), own);
  }));

Deno.test("a step whose file was changed or lost is not finished", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    await Deno.writeTextFile(`${path}/diff.json`, '{\n  "a": [\n    3\n  ],\n  "b": 1\n}\n');
    {
      using run = await RunFolder.open(path, { fingerprint });
      assert(!await run.has("diff"));
    }
    await Deno.remove(`${path}/diff.json`);
    using run = await RunFolder.open(path, { fingerprint });
    assert(!await run.has("diff"));
  }));

Deno.test("another run is kept out, and told what differs", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    const error = await assertRejects(
      () => RunFolder.open(path, { fingerprint: { ...fingerprint, seed: 2, tokens: 16 } }),
      ResultsError,
    );
    assertStringIncludes(error.message, "seed 1, not 2; tokens not set, not 16");
    assertStringIncludes(error.message, "--overwrite");
  }));

Deno.test("--overwrite removes the run's files and no others", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    {
      using run = await RunFolder.open(path, { fingerprint });
      await run.writeBytes("half.bin", bytes("x"));
    }
    await Deno.writeTextFile(`${path}/notes.md`, "mine");
    using run = await RunFolder.open(path, { fingerprint: { seed: 2 }, overwrite: true });
    assert(!await run.has("diff"));
    assertEquals(await namesIn(path), ["fingerprint.json", "notes.md"]);
  }));

Deno.test("an interrupted step resumes: its files are kept and listed, checkpoints go at the end", () =>
  withFolder(async (path) => {
    {
      using run = await RunFolder.open(path, { fingerprint });
      await run.writeBytes("first.bin", bytes("1"));
      await run.writeCheckpoint("part.bin", bytes("half"));
    }
    await Deno.writeTextFile(`${path}/.second.bin.tmp`, "cut of");
    using run = await RunFolder.open(path, { fingerprint });
    assert(!await run.has("diff"));
    assertEquals(await run.readCheckpoint("part.bin"), bytes("half"));
    assertEquals(await run.readCheckpoint("other.bin"), null);
    await run.writeBytes("second.bin", bytes("2"));
    await run.finish("diff");
    assertEquals(Object.keys(run.step("diff")!.files).sort(), ["first.bin", "second.bin"]);
    assertEquals(await namesIn(path), [
      "fingerprint.json",
      "first.bin",
      "manifest.json",
      "second.bin",
    ]);
  }));

Deno.test("a second step leaves the first as it is", () =>
  withFolder(async (path) => {
    await finishedRun(path);
    using run = await RunFolder.open(path, { fingerprint });
    await run.writeJson("steering.json", []);
    await run.finish("steering");
    assert(await run.has("diff") && await run.has("steering"));
    assertEquals(Object.keys(run.step("steering")!.files), ["steering.json"]);
  }));

Deno.test("two runs at once are refused; a lock file without its process is not in the way", () =>
  withFolder(async (path) => {
    const run = await RunFolder.open(path, { fingerprint });
    await assertRejects(
      () => RunFolder.open(path, { fingerprint }),
      ResultsError,
      `process ${Deno.pid}`,
    );
    run.close();
    await Deno.writeTextFile(`${path}/.lock`, "999999\n");
    using again = await RunFolder.open(path, { fingerprint });
    assertEquals((await Deno.readTextFile(`${path}/.lock`)).trim(), `${Deno.pid}`);
    assertEquals(again.path, path);
  }));

Deno.test("folders that cannot be used are ResultsErrors", () =>
  withFolder(async (path) => {
    await Deno.writeTextFile(path, "a file");
    const open = (folder: string) => RunFolder.open(folder, { fingerprint });
    await assertRejects(() => open(path), ResultsError, "it is a file");
    await assertRejects(() => open(`${path}/inside`), ResultsError, "Cannot make");
    await Deno.mkdir(`${path}2`);
    await Deno.writeTextFile(`${path}2/thesis.tex`, "");
    await assertRejects(() => open(`${path}2`), ResultsError, "thesis.tex");
    await finishedRun(`${path}3`);
    for (const text of ["{", "[]", '{"steps":{"diff":{}}}', '{"steps":{"a":{"files":{"b":1}}}}']) {
      await Deno.writeTextFile(`${path}3/manifest.json`, text);
      await assertRejects(() => open(`${path}3`), ResultsError, "--overwrite");
    }
    using run = await RunFolder.open(`${path}3`, { fingerprint, overwrite: true });
    assert(!await run.has("diff"));
  }));

Deno.test("a write that fails leaves the older file and nothing half written", () =>
  withFolder(async (path) => {
    using run = await RunFolder.open(path, { fingerprint });
    await run.writeBytes("a.bin", bytes("old"));
    const write = Deno.FsFile.prototype.write;
    Deno.FsFile.prototype.write = () =>
      Promise.reject(new Error("No space left on device (os error 28)"));
    try {
      await assertRejects(
        () => run.writeBytes("a.bin", bytes("new")),
        ResultsError,
        "the disk is full",
      );
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    assertEquals(await run.readBytes("a.bin"), bytes("old"));
    assertEquals(await namesIn(path), [".pending.json", "a.bin", "fingerprint.json"]);
  }));

Deno.test("what is no JSON and what is no name is refused", () =>
  withFolder(async (path) => {
    using run = await RunFolder.open(path, { fingerprint });
    const write = (value: unknown) => run.writeJson("a.json", value as never);
    await assertRejects(() => write({ a: { b: [1, NaN] } }), ResultsError, "a.b[1] is NaN");
    await assertRejects(() => write(Infinity), ResultsError, "its top is Infinity");
    await assertRejects(() => write({ a: new Float32Array(1) }), ResultsError, "Float32Array");
    await assertRejects(() => write({ a: 1n }), ResultsError, "BigInt");
    await write({ a: undefined, b: null });
    assertEquals(await run.readJson("a.json"), { b: null });
    for (const name of ["../x", "a/b", ".lock", "", "manifest.json", "checkpoints"]) {
      await assertRejects(() => run.writeBytes(name, bytes("x")), ResultsError, "as the name");
    }
    await assertRejects(() => run.readBytes("gone.bin"), ResultsError, "it is missing");
  }));
