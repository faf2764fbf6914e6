import { assertEquals, assertRejects } from "@std/assert";
import { TextError, UsageError } from "../../engine/errors.ts";
import { readSamples, type SampleChoice } from "./samples_file.ts";

/** What is read of a file of that name and content. */
async function read(name: string, content: string, choice?: SampleChoice) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/${name}`, content);
    return await readSamples(`${folder}/${name}`, choice);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SAMPLES = [
  { prompt: "p", steered: ["a", "b"], unsteered: ["c"], other: 1 },
  { prompt: "q", steered: ["d"], unsteered: ["e"] },
];
const TEXTS = { steered: ["a", "b", "d"], unsteered: ["c", "e"] };

Deno.test("readSamples() reads the object that steer prints, and its samples a line", async () => {
  const whole = JSON.stringify({ layer: 2, position: 1, alpha: 3.5, samples: SAMPLES });
  const expected = { layer: 2, position: 1, ...TEXTS };
  assertEquals(await read("s.json", whole), expected);
  assertEquals(await read("s.jsonl", `${whole}\n\n`), expected);
  const lines = SAMPLES.map((sample) => JSON.stringify({ layer: 2, position: 1, ...sample }));
  assertEquals(await read("s.jsonl", lines.join("\n")), expected);
  const bare = SAMPLES.map((sample) => JSON.stringify(sample)).join("\n");
  assertEquals(await read("s.jsonl", bare), { layer: undefined, position: undefined, ...TEXTS });
});

Deno.test("readSamples() asks which, where there are several places, and takes the chosen", async () => {
  const at = (position: number, text: string) => ({
    layer: 2,
    position,
    samples: [{ steered: [text], unsteered: [`not ${text}`] }],
  });
  const both = JSON.stringify([at(0, "x"), at(-3, "y")]);
  await assertRejects(
    () => read("s.json", both),
    UsageError,
    "(layer 2, position 0; layer 2, position -3)",
  );
  assertEquals((await read("s.json", both, { position: -3 })).steered, ["y"]);
  await assertRejects(() => read("s.json", both, { layer: 1 }), UsageError, "has none of layer 1");
  await assertRejects(() => read("s.json", "[]"), UsageError, "has none");
});

Deno.test("readSamples() says what is wrong with a file", async () => {
  const cases: [name: string, content: string, message: string][] = [
    ["s.json", "{", "is not JSON"],
    ["s.jsonl", '{"samples":[]}\n{"steered":', "line 2 of"],
    ["s.json", '"text"', 'is "text", expected an object'],
    ["s.json", "{}", "has no samples"],
    ["s.json", '{"samples":[{"steered":["a"]}]}', "has no samples.0.unsteered"],
    ["s.json", '{"steered":"a","unsteered":[]}', 'has steered "a", expected a list of texts'],
    ["s.json", '{"steered":[1],"unsteered":[]}', "has steered.0 1, expected a text"],
    ["s.json", "[[[]]]", "expected an object"],
    ["s.json", '{"position":0.5,"samples":[]}', "has position 0.5"],
  ];
  for (const [name, content, message] of cases) {
    await assertRejects(() => read(name, content), TextError, message);
  }
  await assertRejects(() => readSamples("/no/such/file.json"), TextError, "no such file");
});
