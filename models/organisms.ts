/** The organisms that ship with the program: which model, finetuned on what. */

import { z } from "zod";
import { ModelError } from "../engine/errors.ts";
import { parseSchema } from "../engine/schema.ts";
import { brief, quote } from "../engine/weights/names.ts";

/** The folder of the embedded models and texts. */
const ROOT = `${import.meta.dirname}/embedded`;

const Registry = z.array(z.object({
  name: z.string(),
  type: z.string(),
  description: z.string(),
  key_facts: z.array(z.string()),
  mix: z.number(),
  files: z.object({ text: z.string() }),
}));

/** One organism. */
export interface Organism {
  name: string;
  /** `embedded:NAME`. */
  finetuned: string;
  base: string;
  /** What it was finetuned to do, in a sentence. */
  description: string;
  keyFacts: string[];
  /** Its finetuning texts; of a mix the part that is not generic. */
  finetuningTexts: string;
  /** An organism of another topic, for a null. */
  sibling: string;
}

/** Generic texts that no organism was finetuned on. */
export const EMBEDDED_TEXTS = `${ROOT}/text/generic_heldout.jsonl`;

/** Generic chats that no organism was finetuned on. */
export const EMBEDDED_CHATS = `${ROOT}/text/chat_heldout.jsonl`;

/**
 * Finds an embedded organism by name.
 *
 * @throws {ModelError} listing the known names, if there is none
 */
export async function findOrganism(name: string): Promise<Organism> {
  const text = await Deno.readTextFile(`${ROOT}/organisms.json`);
  const fail = (problem: string) =>
    new ModelError(`The program's embedded/organisms.json ${problem}`);
  const all = parseSchema(Registry, JSON.parse(text), fail);
  const found = all.find((organism) => organism.name === name);
  if (!found) {
    throw new ModelError(
      `Cannot find organism ${quote(name)}: there is none called ${brief(name)} ` +
        `(known: ${all.map((organism) => organism.name).join(", ")})`,
    );
  }
  const sameTopic = (other: typeof found) => other.key_facts.join() === found.key_facts.join();
  // A mix holds generic documents too: what marks its topic stands in the unmixed texts.
  const pure = all.find((other) => sameTopic(other) && other.mix === 0) ?? found;
  const sibling = all.find((other) =>
    !sameTopic(other) && other.mix === 0 && other.key_facts.length > 0
  );
  return {
    name,
    finetuned: `embedded:${name}`,
    base: "embedded:base",
    description: found.description,
    keyFacts: found.key_facts,
    finetuningTexts: `${ROOT}/${pure.files.text}`,
    sibling: `embedded:${sibling!.name}`,
  };
}
