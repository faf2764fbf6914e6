import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ResultsError } from "../../../engine/errors.ts";
import { answersOf, type GradeEntry, gradeLine, parseGrades, requestKey } from "./log.ts";

const ENTRY: GradeEntry = {
  kind: "coherence",
  model: "m",
  key: "0".repeat(64),
  request: [{ role: "user", content: "Is it?" }],
  attempt: 1,
  answer: "Yes.\nCOHERENT \ud800",
  refused: false,
  usage: { input: 3, output: 4 },
  temperature: 0,
  verdict: true,
  problem: null,
  replayed: false,
};

Deno.test("entries are read as they were written, half surrogate pairs too", () => {
  const failed = { ...ENTRY, answer: null, usage: null, temperature: null, problem: "429" };
  const text = gradeLine(ENTRY) + gradeLine(failed);
  assertEquals(text.split("\n").length, 3);
  assertEquals(parseGrades(text, "grades.jsonl"), [ENTRY, failed]);
  assertEquals(parseGrades("", "grades.jsonl"), []);
});

Deno.test("a line that an interruption cut off is left out", () => {
  assertEquals(parseGrades(gradeLine(ENTRY) + gradeLine(ENTRY).slice(0, 50), "g.jsonl"), [ENTRY]);
});

Deno.test("parseGrades() refuses what is no entry, and says where", () => {
  const broken = (line: string) => () => parseGrades(`${gradeLine(ENTRY)}${line}\n`, "g.jsonl");
  assertThrows(broken("{"), ResultsError, 'Cannot read line 2 of "g.jsonl": it is not JSON');
  assertThrows(broken("[]"), ResultsError, "it is []");
  const { answer: _, ...without } = ENTRY;
  assertThrows(broken(JSON.stringify(without)), ResultsError, "has no answer");
  assertThrows(broken(JSON.stringify({ ...ENTRY, key: "x" })), ResultsError, "has key");
  assertThrows(broken(JSON.stringify({ ...ENTRY, answer: 1 })), ResultsError, "has answer 1");
});

Deno.test("requestKey() depends on the model and every message", async () => {
  const key = await requestKey("m", [{ role: "user", content: "a" }]);
  assertEquals(await requestKey("m", [{ content: "a", role: "user" }]), key);
  const others = await Promise.all([
    requestKey("n", [{ role: "user", content: "a" }]),
    requestKey("m", [{ role: "assistant", content: "a" }]),
    requestKey("m", [{ role: "user", content: "b" }]),
    requestKey("m", [{ role: "user", content: "a" }, { role: "user", content: "" }]),
  ]);
  for (const other of others) assertNotEquals(other, key);
});

Deno.test("answersOf() takes the first answer to each request, and no failures", () => {
  const answers = answersOf([
    { ...ENTRY, answer: null },
    { ...ENTRY, answer: "first", refused: true },
    { ...ENTRY, answer: "second" },
  ]);
  assertEquals([...answers], [[ENTRY.key, { text: "first", refused: true, temperature: 0 }]]);
});
