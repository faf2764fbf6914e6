import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { ResultsError } from "../../engine/errors.ts";
import { encodeSafetensors } from "../../engine/weights/safetensors_writer.ts";
import { RunFolder } from "../results/run_folder.ts";
import { compareFile } from "./compare.ts";
import { changedInputs, compareRuns, readRecordedRun, redirected } from "./recorded_run.ts";
import { recordCommandLine, recordedCommandLine } from "../results/command_line.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("files are compared by their bytes, tensors by relative L2, JSON field by field", async () => {
  assertEquals(await compareFile("a.txt", bytes("a"), bytes("a")), {
    file: "a.txt",
    state: "identical",
    differences: [],
  });
  const other = await compareFile("a.html", bytes("a"), bytes("bc"));
  assertEquals([other.state, other.differences], ["different", ["1 and 2 bytes"]]);

  const tensors = (...values: number[]) =>
    encodeSafetensors([
      { name: "x", dtype: "F32", shape: [values.length], data: Float32Array.from(values) },
    ]);
  const near = await compareFile("t.safetensors", tensors(3, 4), tensors(3, 4.5));
  assertAlmostEquals(near.distance!, 0.1);
  assertEquals(near.differences, ["x: relative L2 1.0e-1"]);
  const shape = await compareFile("t.safetensors", tensors(3, 4), tensors(3));
  assertEquals(shape.distance, Infinity);

  const json = async (a: unknown, b: unknown) =>
    await compareFile("a.json", bytes(JSON.stringify(a)), bytes(JSON.stringify(b)));
  const fields = await json({ a: [1, { b: 2 }], c: "x" }, { a: [1, { b: 2.5 }], c: "x" });
  assertEquals([fields.distance, fields.differences], [0.2, ["a.1.b: 2, now 2.5"]]);
  const text = await json({ c: "x" }, { c: "y", d: 1 });
  assertEquals(text.differences, ['c: "x", now "y"', "d: nothing, now 1"]);
  assertEquals((await json([1], { 0: 1 })).distance, Infinity);
  const many = await json(new Array(9).fill(1), new Array(9).fill(2));
  assertEquals([many.differences.length, many.differences.at(-1)], [6, "… and 4 more"]);
  const lines = await compareFile(
    "a.jsonl",
    bytes('{"a":1}\n{"a":2}\n'),
    bytes('{"a":1}\n{"a":3}\n'),
  );
  assertEquals(lines.differences, ["1.a: 2, now 3"]);
  const broken = await compareFile("a.json", bytes("{"), bytes("{}"));
  assert(broken.state === "different" && broken.differences.length === 1);
});

Deno.test("a command line is led to another folder, whatever way it names its own", () => {
  const to = (command: string, backend?: string) =>
    redirected(command.split(" "), { from: "results/a", to: "new", backend }).join(" ");
  assertEquals(to("diff --seed 3"), "diff --seed 3 --out=new");
  assertEquals(to("diff --out results/a/ --json"), "diff --out=new");
  assertEquals(to("diff --out=./results/a --overwrite"), "diff --out=new");
  assertEquals(to("report results/a"), "report new");
  assertEquals(
    to("steer --from results/a/diff --out results/a"),
    "steer --from new/diff --out=new",
  );
  assertEquals(to("diff --backend deno", "dawn"), "diff --out=new --backend=dawn");
  assertEquals(to("diff --text results/ab"), "diff --text results/ab --out=new");
});

Deno.test("passwords in URLs are not recorded", () => {
  const before = recordedCommandLine();
  try {
    recordCommandLine(["run", "--grader-url", "https://me:secret@host/v1", "--layers=0.5@x"]);
    assertEquals(recordedCommandLine(), [
      "run",
      "--grader-url",
      "https://host/v1",
      "--layers=0.5@x",
    ]);
  } finally {
    recordCommandLine(before);
  }
});

Deno.test("a folder tells its commands, inputs and files, those of its parts among them", async () => {
  const root = await Deno.makeTempDir();
  const before = recordedCommandLine();
  try {
    const write = async (path: string, seed: number, value: number, command: string[]) => {
      recordCommandLine(command);
      using folder = await RunFolder.open(path, { fingerprint: { seed } });
      await folder.writeJson("a.json", { value });
      await folder.finish("a");
      await folder.finish("b");
    };
    for (const [name, seed, value] of [["old", 1, 5], ["new", 2, 6]] as const) {
      await write(`${root}/${name}`, seed, value, ["run", "--seed", "1"]);
      await write(`${root}/${name}/diff`, 1, 7, ["run", "--seed", "1"]);
    }
    const [old, fresh] = await Promise.all(
      ["old", "new"].map((name) => readRecordedRun(`${root}/${name}`)),
    );
    assertEquals(old.commands, [["run", "--seed", "1"]]);
    assertEquals(old.files, ["a.json", "diff/a.json"]);
    assertEquals(changedInputs(old, fresh), ["seed"]);
    await Deno.remove(`${root}/new/diff/a.json`);
    const compared = await compareRuns(
      { folder: `${root}/old`, run: old },
      { folder: `${root}/new`, run: fresh },
    );
    assertEquals(compared.map(({ file, state }) => [file, state]), [
      ["a.json", "different"],
      ["diff/a.json", "missing"],
    ]);
    await assertRejects(() => readRecordedRun(root), ResultsError, "no finished run");
    const manifest = JSON.parse(await Deno.readTextFile(`${root}/old/manifest.json`));
    delete manifest.steps.b.command;
    await Deno.writeTextFile(`${root}/old/manifest.json`, JSON.stringify(manifest));
    await assertRejects(() => readRecordedRun(`${root}/old`), ResultsError, "older version");
  } finally {
    recordCommandLine(before);
    await Deno.remove(root, { recursive: true });
  }
});
