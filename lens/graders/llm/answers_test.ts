import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  MAX_ANSWER,
  readCoherence,
  type Reading,
  readLabels,
  readScale,
  SHOWN_TOKEN,
} from "./answers.ts";

function assertProblem(reading: Reading<unknown>, includes: string): void {
  assertStringIncludes("problem" in reading ? reading.problem : "no problem", includes);
}

Deno.test("readCoherence() takes a final line of one word, whatever comes before", () => {
  assertEquals(readCoherence("COHERENT"), { value: true });
  assertEquals(readCoherence("\n INCOHERENT \r\n\n"), { value: false });
  assertEquals(readCoherence("INCOHERENT at first sight.\n\nCOHERENT"), { value: true });
});

Deno.test("readCoherence() never guesses", () => {
  for (
    const answer of [
      "The text is COHERENT",
      "coherent",
      "**COHERENT**",
      "COHERENT.",
      "COHERENT\nBecause it reads well.",
      "COHERENT INCOHERENT",
      "RELEVANT",
      "NOT COHERENT",
    ]
  ) assertProblem(readCoherence(answer), "neither COHERENT nor INCOHERENT");
  for (const answer of ["", " \n\t"]) assertProblem(readCoherence(answer), "is empty");
});

Deno.test("answers too long to be one are not looked into", () => {
  const end = "\nCOHERENT";
  assertEquals(readCoherence("x".repeat(MAX_ANSWER - end.length) + end), { value: true });
  assertProblem(readCoherence("x".repeat(100_000) + end), "is 100009 characters long");
  assertProblem(readLabels("1: RELEVANT\n".repeat(10_000), 1), "characters long");
  assertProblem(readScale(`${" ".repeat(100_000)}{"scale":null,"tokens":[]}`, []), "long");
});

Deno.test("readLabels() takes the lines at the end, one for each token", () => {
  assertEquals(readLabels("1: RELEVANT", 1), { value: [true] });
  assertEquals(
    readLabels(
      "1: RELEVANT is what comes to mind.\n\n1: IRRELEVANT\n2: RELEVANT\n\n3: IRRELEVANT\n",
      3,
    ),
    { value: [false, true, false] },
  );
});

Deno.test("readLabels() refuses a wrong count, order or label", () => {
  const three = (answer: string) => readLabels(answer, 3);
  assertProblem(three("1: RELEVANT\n2: RELEVANT"), "labels the tokens [1,2], expected 1 to 3");
  assertProblem(
    three("1: RELEVANT\n2: RELEVANT\n3: RELEVANT\n4: RELEVANT"),
    "labels the tokens [1,2,3,4], expected 1 to 3",
  );
  assertProblem(three("2: RELEVANT\n1: RELEVANT\n3: RELEVANT"), "[2,1,3]");
  assertProblem(three("1: RELEVANT\n1: RELEVANT\n3: RELEVANT"), "[1,1,3]");
  assertProblem(three("1: RELEVANT\n2: MAYBE\n3: RELEVANT"), "labels the tokens [3]");
  assertProblem(three("1: RELEVANT\n2: RELEVANT\n3: SOMEWHAT"), 'ends with "3: SOMEWHAT"');
  assertProblem(three("1: RELEVANT\n2: RELEVANT\n3: RELEVANT\nI hope it helps!"), "I hope");
  assertProblem(three("RELEVANT\nRELEVANT\nRELEVANT"), "no label");
  assertProblem(three(""), "is empty");
});

const LISTS = [
  { scale: 0.5, tokens: ["the", ",", " of"], ids: [1, 2, 3] },
  { scale: 0.6000000000000001, tokens: [" cake", "bake", " \ud83c", " cake"], ids: [4, 5, 6, 7] },
  { scale: 40, tokens: [" cake", "x".repeat(100)], ids: [4, 8] },
];

Deno.test("readScale() gives the list's own scale and tokens, in its order", () => {
  const read = (answer: string) => readScale(answer, LISTS);
  assertEquals(read('It bakes.\n{"scale": 0.6, "tokens": ["bake", "cake"]}'), {
    value: { scale: 0.6000000000000001, coherent: [" cake", "bake", " cake"] },
  });
  assertEquals(read('{"scale": 0.6, "tokens": ["\\ud83c"]}'), {
    value: { scale: 0.6000000000000001, coherent: [" \ud83c"] },
  });
  assertEquals(read(`{"tokens": ["${"x".repeat(SHOWN_TOKEN)}…"], "scale": 40}`), {
    value: { scale: 40, coherent: ["x".repeat(100)] },
  });
  assertEquals(read('{"scale": null, "tokens": []}'), { value: { scale: null, coherent: [] } });
});

Deno.test("readScale() refuses what was not shown", () => {
  const problem = (answer: string, includes: string) =>
    assertProblem(readScale(answer, LISTS), includes);
  problem('{"scale": 0.6, "tokens": ["cake", "oven"]}', 'the token "oven", which the list of 0.6');
  problem('{"scale": 0.5, "tokens": ["cake"]}', 'the token "cake"');
  problem('{"scale": 0.6, "tokens": ["Cake"]}', 'the token "Cake"');
  problem('{"scale": 0.7, "tokens": ["cake"]}', "scale 0.7, which has no list");
  problem('{"scale": 1e999, "tokens": ["cake"]}', "which is not JSON of the form");
  problem('{"scale": 0.6, "tokens": []}', "has scale 0.6 with 0 tokens");
  problem('{"scale": null, "tokens": ["cake"]}', "has scale null with 1 tokens");
});

Deno.test("readScale() refuses what is not of the form", () => {
  for (
    const answer of [
      '{"scale": 0.6, "tokens": ["cake"]',
      '{"scale": "0.6", "tokens": ["cake"]}',
      '{"scale": 0.6}',
      '{"scale": 0.6, "tokens": ["cake"], "why": "it bakes"}',
      '{"scale": 0.6, "tokens": "cake"}',
      '[0.6, ["cake"]]',
      "null",
      '```json\n{"scale": 0.6, "tokens": ["cake"]}\n```',
      '{"scale": 0.6, "tokens": ["cake"]} is my choice',
      '{\n"scale": 0.6,\n"tokens": ["cake"]\n}',
    ]
  ) assertProblem(readScale(answer, LISTS), "which is not JSON of the form");
});
