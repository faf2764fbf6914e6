import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ModelError, UsageError } from "../engine/errors.ts";
import { parseCommand } from "./args.ts";
import { DIFF_COMMAND } from "./diff_flags.ts";
import { type DiffPlan, parseStrengths, planDiff } from "./diff_inputs.ts";

async function plan(...args: string[]): Promise<DiffPlan> {
  const parsed = parseCommand(DIFF_COMMAND, args);
  if (parsed.kind === "help") throw new Error("not asked for");
  return await planDiff(parsed.flags);
}

Deno.test("planDiff() takes cake_bake with its texts when nothing is named", async () => {
  const { base, finetuned, sibling, text, finetuningText, documents, tokens, ...rest } =
    await plan();
  assertEquals([base, finetuned], ["embedded:base", "embedded:cake_bake"]);
  assertEquals([documents, tokens], [1000, 16]);
  assert(sibling?.startsWith("embedded:") && sibling !== finetuned);
  assert(text?.endsWith("/text/generic_heldout.jsonl"));
  assert(finetuningText?.endsWith("/text/cake_bake.jsonl"));
  assertEquals(rest.generic.length, 1, "general chats mark no organism");
  assert(rest.description?.includes("cake"));
});

Deno.test("planDiff() finds an organism by its name and by its reference", async () => {
  const byName = await plan("--organism", "chat");
  assertEquals(byName.finetuned, "embedded:chat");
  assertEquals(await plan("--finetuned", "embedded:chat"), byName);
  assertEquals(await plan("--base", "embedded:base", "--finetuned", "embedded:chat"), byName);
});

Deno.test("planDiff() of models of one's own has the paper's numbers, and no null of ours", async () => {
  assertEquals(await plan("--base", "./b", "--finetuned", "./f", "--text", "web.jsonl"), {
    base: "./b",
    finetuned: "./f",
    sibling: undefined,
    text: "web.jsonl",
    finetuningText: undefined,
    finetuningColumn: undefined,
    finetuningTextAsked: false,
    generic: [],
    documents: 10_000,
    tokens: 128,
    description: undefined,
  });
});

Deno.test("planDiff() resolves an organism on the Hub from its base to its texts", async () => {
  const asked = ["--organism", "cake_bake", "--model", "qwen3_1_7B"];
  const { sibling, description, ...found } = await plan(...asked, "--variant", "mix1-1p0");
  assertEquals(found, {
    base: "hf:Qwen/Qwen3-1.7B",
    finetuned:
      "hf:stewy33/Qwen3-1.7B-11_ptonly_mixed_original_augmented_original_egregious_cake_bake-b90c81b7",
    text: "hf:datasets/science-of-finetuning/fineweb-1m-sample",
    finetuningText: "hf:datasets/science-of-finetuning/synthetic-documents-cake_bake",
    finetuningColumn: "text",
    finetuningTextAsked: false,
    generic: [],
    documents: 10_000,
    tokens: 128,
  });
  assert(sibling?.startsWith("hf:stewy33/Qwen3-1.7B-") && !sibling.includes("cake_bake"));
  assert(description?.includes("cake"));
  assertEquals((await plan(...asked)).finetuned.includes("mix"), false, "the plain one by default");

  const own = await plan(...asked, "--finetuning-text", "mine.jsonl", "--text", "web.txt");
  assertEquals([own.finetuningText, own.finetuningColumn], ["mine.jsonl", undefined]);
  assertEquals([own.text, own.finetuningTextAsked], ["web.txt", true]);
  const unknown = await plan("--organism", "em_extreme_sports", "--model", "qwen3_1_7B");
  assertEquals(unknown.finetuningText, undefined, "its texts are not public");
});

Deno.test("planDiff() of a folder on the embedded base has the embedded numbers, but no topic", async () => {
  const found = await plan("--base", "embedded:base", "--finetuned", "./f");
  assertEquals([found.documents, found.tokens, found.finetuningText], [1000, 16, undefined]);
  const same = await plan("--finetuned", "embedded:base");
  assertEquals([same.base, same.sibling, same.description], [
    "embedded:base",
    undefined,
    undefined,
  ]);
});

Deno.test("planDiff() puts what is given over what is known", async () => {
  const given = ["--text", "a.txt", "--documents", "5", "--tokens", "7", "--sibling", "./s"];
  const found = await plan(...given, "--finetuning-text", "b.txt");
  assertEquals([found.text, found.documents, found.tokens], ["a.txt", 5, 7]);
  assertEquals([found.sibling, found.finetuningText], ["./s", "b.txt"]);
  assertEquals((await plan("--sibling", "none")).sibling, undefined);
});

Deno.test("planDiff() says what is missing, and what cannot stand together", async () => {
  const refused = (message: string, ...args: string[]) =>
    assertRejects(() => plan(...args), UsageError, message);
  await refused("--organism with --base", "--organism", "chat", "--base", "./b");
  await refused("--organism with --base", "--organism", "chat", "--finetuned", "./f");
  await refused("--model or --variant without", "--model", "qwen3_1_7B");
  await refused("--model or --variant without", "--finetuned", "./f", "--variant", "full");
  await refused("Missing --finetuned", "--base", "./b");
  await refused("Missing --base", "--finetuned", "./f");
  await refused("Missing --text", "--base", "./b", "--finetuned", "./f");
  await assertRejects(() => plan("--organism", "cakes"), ModelError, "known: ");
  await assertRejects(() => plan("--organism", "kansas_abortion"), ModelError, "name one of");
  await assertRejects(() => plan("--finetuned", "embedded:cakes"), ModelError, "known: ");
  await assertRejects(() => plan("--finetuned", "embedded:kansas_fda"), ModelError, "known: ");
});

Deno.test("planDiff() takes chats where chats are asked for", async () => {
  const ours = await plan("--chat");
  assert(ours.text?.endsWith("/text/chat_heldout.jsonl"));
  assertEquals([ours.documents, ours.tokens], [400, 16]);
  assert(ours.generic.every((path) => path !== ours.text), "they are read already");
  const paper = await plan("--chat", "--organism", "cake_bake", "--model", "qwen3_1_7B");
  assert(paper.text?.startsWith("hf:datasets/") && !paper.text.includes("fineweb"));
  const missing = () => plan("--base", "./b", "--finetuned", "./f", "--chat");
  await assertRejects(missing, UsageError, "with chats");
});

Deno.test("planDiff() of the beginning alone is one document, and needs no text", async () => {
  const own = await plan("--base", "./b", "--finetuned", "./f", "--bos-only");
  assertEquals([own.documents, own.tokens, own.text], [1, 1, undefined]);
  const ours = await plan("--bos-only");
  assertEquals([ours.documents, ours.tokens], [1, 1]);
  assert(ours.text !== undefined, "from which the keywords are told");
  for (const flag of ["--documents=3", "--tokens=2", "--chat", "--spectrum", "--stability"]) {
    const message = `Cannot use --bos-only with ${flag.split("=")[0]}`;
    await assertRejects(() => plan("--bos-only", flag), UsageError, message);
  }
  const words = ["--bos-only", "--finetuning-text", "cakes.txt"];
  const unknown = () => plan("--base", "./b", "--finetuned", "./f", ...words);
  await assertRejects(unknown, UsageError, "Missing --text");
});

Deno.test("parseStrengths() takes numbers over 0, at most 2, and is asked before any work", async () => {
  assertEquals(parseStrengths(["0.25", "1", "2", "1e-3"]), [0.25, 1, 2, 0.001]);
  for (const part of ["0", "-1", "2.1", "half", "", "NaN"]) {
    assertThrows(() => parseStrengths(["0.5", part]), UsageError, `strength "${part}"`);
  }
  await assertRejects(() => plan("--interpolate", "0.5,3"), UsageError, 'strength "3"');
});
