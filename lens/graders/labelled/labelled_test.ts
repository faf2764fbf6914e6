import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { loadTokenizer, readSpec } from "../../../models/load_model.ts";
import { resolveSource } from "../../../models/source.ts";
import { agreementByKind, agreementOf } from "./agreement.ts";
import { relevanceCases, scaleCases, topicTokens } from "./lists.ts";
import { labelledTexts, type SourceText } from "./texts.ts";

async function tokenizer() {
  const source = await resolveSource("embedded:base");
  return await loadTokenizer(source, await readSpec(source));
}

const source = (text: string, i: number): SourceText => ({
  prompt: `Question ${i}`,
  promptIds: [1, i],
  text,
});
const sentences = ["The city wants to build 300 new trees.", "Dogs must be kept on a lead."];
const prose = Array.from(
  { length: 30 },
  (_, i) => source(`${i} ${sentences.join(" ").repeat(3)}`, i),
);
const answers = [source("Yes.", 0), source(`It depends. ${sentences.join(" ")}`, 1)];

Deno.test("the labelled texts: so many of each kind, from texts that are long enough", async () => {
  const sources = {
    prose: [source("Too short.", 9), ...prose],
    answers,
    tokenizer: await tokenizer(),
  };
  const size = { each: 2, tokens: 40, seed: 1 };
  const texts = labelledTexts(sources, size);
  assertEquals(labelledTexts(sources, size), texts);
  assertNotEquals(labelledTexts(sources, { ...size, seed: 2 }), texts);
  const kinds = Map.groupBy(texts, ({ kind }) => kind);
  assert(kinds.values().every((all) => all.length === 2));
  const coherent = [...kinds].filter(([, [one]]) => one.coherent).map(([kind]) => kind);
  assertEquals(coherent, ["prose", "chat answers"]);
  assertEquals(kinds.size, 12);
  for (const { ids, text } of texts) {
    assert(ids.length > 0 && ids.length <= 40);
    assertEquals(sources.tokenizer.decode(ids), text);
  }
  assertEquals(kinds.get("prose")!.map(({ text }) => text.slice(0, 10)), [
    "0 The city",
    "1 The city",
  ]);
  assertEquals(kinds.get("chat answers")!.map(({ prompt }) => prompt), [
    "Question 1",
    "Question 1",
  ]);
  assertEquals(kinds.get("random tokens")!.map(({ ids }) => ids.length), [40, 40]);
  const noise = kinds.get("prose, second half shuffled")!;
  assert(
    noise.every(({ text }) => text.startsWith(`${text.split(" ")[0]} The city wants to build`)),
  );
});

Deno.test("the labelled lists: a topic's tokens in one of them", async () => {
  const all = await tokenizer();
  const cases = scaleCases(all, { share: 5, draws: 3, seed: 1 });
  assertEquals(scaleCases(all, { share: 5, draws: 3, seed: 1 }), cases);
  const topics = topicTokens(all);
  assert(topics.length >= 10, `${topics.length}`);
  assertEquals(cases.length, 3 * topics.length);
  assertEquals(new Set(cases.map(({ scale }) => scale)), new Set([2, 3, 4, 5]));
  const topical = new Set(topics.flatMap(({ ids }) => ids));
  for (const { lists, scale, topical: own } of cases) {
    assertEquals(own.length, 5);
    for (const { scale: other, ids, tokens } of lists) {
      assertEquals(tokens, ids.map((id) => all.tokenText(id)));
      assertEquals(new Set(ids).size, ids.length);
      if (other > 1) assertEquals(ids.length, 20);
      const found = ids.filter((id) => topical.has(id)).map((id) => all.tokenText(id));
      assertEquals(found, other === scale ? own : []);
    }
  }
});

Deno.test("the labelled tokens: keywords are a topic's, others are not", async () => {
  const cases = relevanceCases(await tokenizer(), 1);
  assertEquals(relevanceCases(await tokenizer(), 1), cases);
  for (const { kind, token, keywords, relevant } of cases) {
    const word = token.trim().toLowerCase();
    const listed = relevant && kind !== "words of the topic that are no keywords";
    assertEquals(keywords.includes(word), listed, `${kind}: ${token}`);
  }
});

Deno.test("agreement counts both errors apart", () => {
  const judged = [[true, true], [true, false], [false, false], [false, true], [false, true]];
  const cases = judged.map(([label, accepted], i) => ({ kind: "ab"[i % 2], label, accepted }));
  assertEquals(agreementOf(cases), {
    cases: 5,
    right: 2,
    falseAccepts: 2,
    negatives: 3,
    falseRejects: 1,
    positives: 2,
  });
  const byKind = agreementByKind(cases);
  assertEquals([...byKind.keys()], ["a", "b"]);
  assertEquals(byKind.get("a"), agreementOf(cases.filter(({ kind }) => kind === "a")));
});
