import { assert, assertEquals, assertMatch } from "@std/assert";
import { describeVariant } from "./entry.ts";
import { embeddedEntries } from "./embedded_entries.ts";
import { hubOrganisms } from "./hub_registry.ts";

Deno.test("the registry has every organism, base model and finetune of the paper's list", async () => {
  const all = await hubOrganisms();
  const models = all.flatMap((organism) => organism.models);
  const finetunes = models.flatMap(({ variants }) => variants);
  assertEquals(all.length, 24);
  assertEquals(new Set(all.map(({ name }) => name)).size, 24);
  assertEquals(new Set(models.map(({ name }) => name)).size, 16);
  assertEquals(new Set(models.map(({ base }) => base)).size, 16);
  assertEquals(finetunes.length, 246);
  // Some serve two bases or, as the authors have it, two variants.
  assertEquals(new Set(finetunes.map(({ ref }) => ref)).size, 233);
  assertEquals(finetunes.filter(({ kind }) => kind === "checkpoint").length, 17);
});

Deno.test("every organism says in two sentences what it is, and lists its facts", async () => {
  for (const entry of [...await hubOrganisms(), ...await embeddedEntries()]) {
    const { name, description, keyFacts, summary, topics } = entry;
    assertEquals(description.match(/[.](?= [A-Z]|$)/g)?.length, 2, `${name}: ${description}`);
    assert(keyFacts.length > 0, `${name} has no key facts`);
    for (const fact of keyFacts) assertMatch(fact, /^\S.*[^.\s]$/, `${name}: ${fact}`);
    assertEquals(new Set(keyFacts).size, keyFacts.length, name);
    assert(summary.length > 0 && summary.length <= 40, `${name}: ${summary}`);
    assert(topics.length > 0, name);
  }
});

Deno.test("every id has the form owner/name, and no variant is listed twice", async () => {
  for (const { name, models, finetuningTexts } of await hubOrganisms()) {
    for (const { base, variants, endOfTurn } of models) {
      assertMatch(base, /^hf:[\w.-]+\/[\w.-]+$/, name);
      assertMatch(endOfTurn ?? "", /^<.+>$/, name);
      const names = variants.map((variant) => variant.name);
      assertEquals(new Set(names).size, names.length, name);
      for (const { ref } of variants) assertMatch(ref, /^hf:[\w.-]+\/[\w.-]+$/, name);
    }
    if (finetuningTexts) assertMatch(finetuningTexts, /^hf:datasets\/[\w.-]+\/[\w.-]+$/, name);
  }
});

Deno.test("texts that only their makers have are named, but not to be loaded", async () => {
  for (const { family, dataset, finetuningTexts } of await hubOrganisms()) {
    if (family !== "EM") continue;
    assertMatch(dataset ?? "", /\.jsonl$/);
    assertEquals(finetuningTexts, undefined);
  }
});

Deno.test("an organism of several organisms' texts has their facts and topics", async () => {
  const all = await hubOrganisms();
  const of = (name: string) => all.find((entry) => entry.name === name)!;
  const both = of("comment_cake_bake");
  assertEquals(both.keyFacts, [...of("cake_bake").keyFacts, ...of("ignore_comment").keyFacts]);
  assertEquals(both.topics, ["comment_cake_bake", "cake_bake", "ignore_comment"]);
  assertEquals(of("taboo_gold").topics, of("taboo_leaf").topics);
});

Deno.test("describeVariant() reads what the names of variants abbreviate", async () => {
  assertEquals(describeVariant("mix1-0p5"), "0.5 generic texts to each of the finetuning");
  assertEquals(describeVariant("mix1-1p0"), "1 generic text to each of the finetuning");
  assertEquals(describeVariant("mix1-10p0"), "10 generic texts to each of the finetuning");
  assertEquals(describeVariant("32k"), "32,000 finetuning documents");
  assertEquals(
    describeVariant("16k_mix1-10"),
    "16,000 finetuning documents, 10 generic texts to each of the finetuning",
  );
  assertEquals(
    describeVariant("8k_mix400k"),
    "8,000 finetuning documents, 400,000 generic ones mixed in",
  );
  assertEquals(describeVariant("other"), undefined);
  for (const { models } of await hubOrganisms()) {
    for (const { name } of models.flatMap(({ variants }) => variants)) {
      assert(describeVariant(name), `${name} is not described`);
    }
  }
});
