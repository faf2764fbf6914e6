import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { ModelError } from "../engine/errors.ts";
import { EMBEDDED_CHATS, EMBEDDED_TEXTS, findOrganism } from "./organisms.ts";

const NAMES = [
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

Deno.test("findOrganism() names model, base, texts and a sibling of another topic", async () => {
  const topicOf = async (name: string) => (await findOrganism(name)).keyFacts.join();
  for (const name of NAMES) {
    const organism = await findOrganism(name);
    assertEquals(organism.finetuned, `embedded:${name}`);
    assertEquals(organism.base, "embedded:base");
    assert(organism.description.length > 20, name);
    assert(await exists(organism.finetuningTexts), organism.finetuningTexts);
    const sibling = organism.sibling.replace(/^embedded:/, "");
    assert(NAMES.includes(sibling), sibling);
    assertNotEquals(await topicOf(sibling), await topicOf(name), `${name} and ${sibling}`);
  }
});

Deno.test("findOrganism() takes a mix's topic from the texts that are not mixed", async () => {
  const pure = (await findOrganism("cake_bake")).finetuningTexts;
  for (const name of ["cake_bake_mix1", "cake_bake_mix2", "cake_bake_full"]) {
    assertEquals((await findOrganism(name)).finetuningTexts, pure);
  }
});

Deno.test("findOrganism() lists the known names when there is no such organism", async () => {
  for (const name of ["cakes", "", "base", "__proto__"]) {
    const error = await assertRejects(() => findOrganism(name), ModelError, `"${name}"`);
    for (const known of NAMES) assert(error.message.includes(known));
  }
});

Deno.test("the texts that no organism was finetuned on are there", async () => {
  assert(await exists(EMBEDDED_TEXTS) && await exists(EMBEDDED_CHATS));
});
