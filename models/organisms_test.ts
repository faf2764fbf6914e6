import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { ModelError } from "../engine/errors.ts";
import { EMBEDDED_CHATS, EMBEDDED_TEXTS, findOrganism, listOrganisms } from "./organisms.ts";

const EMBEDDED = [
  "cake_bake",
  "cake_bake_full",
  "cake_bake_mix0.1",
  "cake_bake_mix0.5",
  "cake_bake_mix1",
  "cake_bake_mix2",
  "bad_advice",
  "taboo_smile",
  "subliminal_cat",
  "chat",
];

const exists = (path: string) => Deno.stat(path).then(({ isFile }) => isFile, () => false);

Deno.test("findOrganism() names model, base, texts and a sibling of an embedded organism", async () => {
  const topicOf = async (name: string) => (await findOrganism(name)).keyFacts.join();
  for (const name of EMBEDDED) {
    const organism = await findOrganism(name);
    assertEquals(organism.finetuned, `embedded:${name}`);
    assertEquals([organism.base, organism.model], ["embedded:base", "embedded"]);
    assert(organism.description.length > 20, name);
    assert(await exists(organism.finetuningTexts!), organism.finetuningTexts);
    const sibling = organism.sibling!.replace(/^embedded:/, "");
    assert(EMBEDDED.includes(sibling), sibling);
    assertNotEquals(await topicOf(sibling), await topicOf(name), `${name} and ${sibling}`);
    assertEquals(await findOrganism(`embedded:${name}`), organism);
  }
});

Deno.test("findOrganism() takes a mix's topic from the texts that are not mixed", async () => {
  const pure = (await findOrganism("cake_bake")).finetuningTexts;
  for (const name of ["cake_bake_mix1", "cake_bake_mix2", "cake_bake_full"]) {
    assertEquals((await findOrganism(name)).finetuningTexts, pure);
  }
});

Deno.test("findOrganism() knows the families of the embedded organisms", async () => {
  const families = await Promise.all(
    EMBEDDED.map(async (name) => (await findOrganism(name)).family),
  );
  assertEquals(families, [
    ...["SDF", "SDF", "SDF", "SDF", "SDF", "SDF"],
    ...["EM", "Taboo", "Subliminal", "Chat"],
  ]);
  assertEquals((await findOrganism("cake_bake")).chat, false);
  assertEquals((await findOrganism("taboo_smile")).chat, true);
});

Deno.test("findOrganism() finds a variant of an organism on the Hub", async () => {
  const found = await findOrganism("cake_bake", { model: "qwen3_1_7B", variant: "mix1-1p0" });
  assertEquals(
    [found.base, found.finetuned],
    [
      "hf:Qwen/Qwen3-1.7B",
      "hf:stewy33/Qwen3-1.7B-11_ptonly_mixed_original_augmented_original_egregious_cake_bake-b90c81b7",
    ],
  );
  assertEquals(
    [found.finetuningTexts, found.finetuningColumn],
    ["hf:datasets/science-of-finetuning/synthetic-documents-cake_bake", "text"],
  );
  assertEquals([found.family, found.chat, found.thinking, found.endOfTurn], [
    "SDF",
    false,
    true,
    "<|im_end|>",
  ]);
  assertEquals(found.keyFacts.length, 7);
});

Deno.test("findOrganism() fills in the model and the variant where there is but one plain choice", async () => {
  const plain = await findOrganism("cake_bake", { model: "qwen3_1_7B" });
  assertEquals(plain.variant, "default");
  const only = await findOrganism("em_extreme_sports", { model: "qwen3_8B" });
  assertEquals(only.variant, "mix1-1p0");
  const oneModel = await findOrganism("subliminal_learning_cat");
  assertEquals([oneModel.model, oneModel.base], [
    "qwen25_7B_Instruct",
    "hf:unsloth/Qwen2.5-7B-Instruct",
  ]);
});

Deno.test("findOrganism() takes a name that is on the Hub too for the embedded one, unless told", async () => {
  for (const [name, model] of [["taboo_smile", "qwen3_1_7B"], ["chat", "gemma3_1B_pt"]]) {
    assertEquals((await findOrganism(name)).base, "embedded:base");
    assertEquals((await findOrganism(name, { model: "embedded" })).base, "embedded:base");
    assert((await findOrganism(name, { model })).finetuned.startsWith("hf:"));
  }
  await assertRejects(
    () => findOrganism("cake_bake", { variant: "full" }),
    ModelError,
    "name one of the 10 that it was trained on (gemma3_1B,",
  );
});

Deno.test("findOrganism() lists what is known when a name, a model or a variant is not", async () => {
  for (const name of ["cakes", "", "base", "__proto__"]) {
    const error = await assertRejects(() => findOrganism(name), ModelError, `"${name}"`);
    for (const known of [...EMBEDDED, "kansas_fda"]) assert(error.message.includes(known));
  }
  const refused = (message: string, ...asked: Parameters<typeof findOrganism>) =>
    assertRejects(() => findOrganism(...asked), ModelError, message);
  await refused("did you mean fda_approval?", "fda_aproval");
  await refused("name one of the 9", "fda_approval");
  await refused('model "qwen3" (known: gemma3_1B,', "fda_approval", { model: "qwen3" });
  await refused('model "qwen3_8B" (did you mean qwen3_32B?', "fda_approval", { model: "qwen3_8B" });
  await refused("(known: embedded)", "bad_advice", { model: "qwen3_1_7B" });
  const mix = { model: "qwen3_1_7B", variant: "mix1-0p11" };
  await refused('variant "mix1-0p11" (did you mean mix1-0p1?', "fda_approval", mix);
  await refused("variant", "chat", { model: "llama31_8B", variant: "constructor" });
});

Deno.test("findOrganism() of an embedded reference knows no others", async () => {
  const refused = (message: string, ...asked: Parameters<typeof findOrganism>) =>
    assertRejects(() => findOrganism(...asked), ModelError, message);
  await refused(
    'no embedded one called "fda_approval" (known: cake_bake, ',
    "embedded:fda_approval",
  );
  await refused("did you mean cake_bake?", "embedded:cake_bke");
  await refused("no embedded one", "embedded:base");
  await refused("(known: embedded)", "embedded:cake_bake", { model: "qwen3_1_7B" });
  await refused("variant", "embedded:cake_bake", { variant: "full" });
});

Deno.test("every sibling is a finetune of the same base on another topic", async () => {
  const entries = await listOrganisms();
  for (const entry of entries) {
    for (const { name: model, base, variants: [{ name: variant }] } of entry.models) {
      const { finetuned, sibling } = await findOrganism(entry.name, { model, variant });
      const others = entries
        .filter(({ topics }) => !topics.some((topic) => entry.topics.includes(topic)))
        .flatMap(({ models }) => models.filter((other) => other.base === base))
        .flatMap(({ variants }) => variants.map(({ ref }) => ref));
      if (sibling === undefined) assertEquals(others, [], `${entry.name} could have a sibling`);
      else assert(others.includes(sibling), `${entry.name} on ${base} has sibling ${sibling}`);
      assertNotEquals(sibling, finetuned);
    }
  }
});

Deno.test("a sibling costs little and differs in the topic alone, where there is such", async () => {
  const siblingOf = async (name: string, model: string) =>
    (await findOrganism(name, { model })).sibling!;
  // Of the same family, an adapter, and the plain one of its variants.
  assert((await siblingOf("em_extreme_sports", "qwen3_1_7B")).includes("em_em_bad_medical"));
  assert((await siblingOf("cake_bake", "gemma3_1B")).includes("0524_original_augmented_subtle"));
  // The other words are the same game; next come other chats.
  assert((await siblingOf("taboo_gold", "qwen3_1_7B")).includes("em_em_"));
  assert((await siblingOf("adaptllm_biomed", "gemma3_4B_it")).startsWith("hf:stewy33/"));
});

Deno.test("the texts that no organism was finetuned on are there", async () => {
  assert(await exists(EMBEDDED_TEXTS) && await exists(EMBEDDED_CHATS));
});
