import { assert, assertEquals } from "@std/assert";
import { RunFolder } from "../results/run_folder.ts";
import type { Grader } from "./grader.ts";
import { KeptGrades } from "./kept_grades.ts";
import { type GradeEntry, parseGrades } from "./llm/log.ts";

const fingerprint = { seed: 1 };

function entry(key: string, attempt = 1, answer: string | null = "COHERENT"): GradeEntry {
  return {
    kind: "coherence",
    model: "m",
    key: key.repeat(64),
    request: [{ role: "user", content: key }],
    attempt,
    answer,
    refused: false,
    usage: answer === null ? null : { input: 10, output: 1 },
    temperature: 0,
    verdict: answer === null ? null : true,
    problem: answer === null ? "the server answers 500" : null,
    replayed: false,
  };
}

async function withFolder(run: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "palimpsest_" });
  try {
    await run(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

/** A grader each of whose verdicts takes a while, and is recorded. */
function slow(grades: KeptGrades, keys: string[]): Grader {
  const rest = keys.values();
  return {
    name: "m",
    sideBySide: 4,
    chooseScale: async () => {
      await new Promise((later) => setTimeout(later, 1));
      const key = rest.next().value!;
      grades.record(entry(key));
      if (key === "f") throw new Error("cut");
      return { scale: null, coherent: [] };
    },
    areRelevant: () => Promise.resolve([]),
    areCoherent: () => Promise.resolve([]),
  };
}

const keysIn = (text: string) => parseGrades(text, "grades").map(({ key }) => key[0]).join("");

Deno.test("answers are on disk when a verdict is there, several at once, and are taken up again", () =>
  withFolder(async (path) => {
    {
      using folder = await RunFolder.open(path, { fingerprint });
      const grades = await KeptGrades.open(folder);
      assertEquals(grades.answers.size, 0);
      const grader = grades.keeping(slow(grades, ["d", "a", "c", "b"]));
      assertEquals([grader.name, grader.sideBySide], ["m", 4]);
      await Promise.all(Array.from({ length: 4 }, () => grader.chooseScale([])));
      assertEquals(keysIn(await Deno.readTextFile(`${path}/checkpoints/grades.jsonl`)), "abcd");
    }
    using folder = await RunFolder.open(path, { fingerprint });
    const grades = await KeptGrades.open(folder);
    assertEquals(grades.answers.size, 4);
    assertEquals(grades.usage().requests, 4);
    await grades.file();
    assertEquals(keysIn(await Deno.readTextFile(`${path}/grades.jsonl`)), "abcd");
    const { files, ...usage } = folder.step("grades")!;
    assertEquals(Object.keys(files), ["grades.jsonl"]);
    assertEquals(usage as unknown, {
      requests: 4,
      input_tokens: 40,
      output_tokens: 4,
      uncounted: 0,
    });
  }));

Deno.test("what was paid for is kept when the verdict fails, and every step's answers are in one file", () =>
  withFolder(async (path) => {
    using folder = await RunFolder.open(path, { fingerprint });
    const first = await KeptGrades.open(folder);
    first.record(entry("e", 1, null));
    first.record(entry("e", 2));
    await first.file();
    await folder.finish("one");

    const second = await KeptGrades.open(folder);
    second.record({ ...entry("e"), replayed: true });
    await second.file();
    assertEquals(second.usage().requests, 2, "nothing was asked");
    const grader = second.keeping(slow(second, ["f"]));
    await grader.chooseScale([]).then(() => assert(false, "it is cut"), () => {});
    const kept = await Deno.readTextFile(`${path}/checkpoints/grades.jsonl`);
    assertEquals(keysIn(kept), "eef");

    const third = await KeptGrades.open(folder);
    assertEquals([...third.answers.keys()].map((key) => key[0]), ["e", "f"]);
    await third.file();
    assertEquals(keysIn(await Deno.readTextFile(`${path}/grades.jsonl`)), "eef");
    assert(await folder.has("one") && await folder.has("grades"));
    assertEquals(third.usage({ input: 1e6, output: 0 }).cost, 20);
  }));
