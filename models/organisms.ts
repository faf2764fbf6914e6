/** The organisms that ship with the program: which model, finetuned on what. */

import { ModelError } from "../engine/errors.ts";
import { brief, quote } from "../engine/weights/names.ts";
import { EMBEDDED_ROOT, type EmbeddedOrganism, embeddedOrganisms } from "./embedded.ts";

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
export const EMBEDDED_TEXTS = `${EMBEDDED_ROOT}/text/generic_heldout.jsonl`;

/** Generic chats that no organism was finetuned on. */
export const EMBEDDED_CHATS = `${EMBEDDED_ROOT}/text/chat_heldout.jsonl`;

/**
 * Finds an embedded organism by name.
 *
 * @throws {ModelError} listing the known names, if there is none
 */
export async function findOrganism(name: string): Promise<Organism> {
  const all = await embeddedOrganisms();
  const found = all.find((organism) => organism.name === name);
  if (!found) {
    throw new ModelError(
      `Cannot find organism ${quote(name)}: there is none called ${brief(name)} ` +
        `(known: ${all.map((organism) => organism.name).join(", ")})`,
    );
  }
  const sameTopic = (other: EmbeddedOrganism) => other.key_facts.join() === found.key_facts.join();
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
    finetuningTexts: `${EMBEDDED_ROOT}/${pure.files.text}`,
    sibling: `embedded:${sibling!.name}`,
  };
}
