/** The organisms that ship with the program, as the registry has them. */

import { EMBEDDED_ROOT, type EmbeddedOrganism, embeddedOrganisms } from "../embedded.ts";
import type { Family, OrganismEntry } from "./entry.ts";

/** What stands for a base model's name where the base is `embedded:base`. */
export const EMBEDDED_MODEL = "embedded";

/** Of a type's first words. */
const FAMILY: [RegExp, Family][] = [
  [/^false facts/, "SDF"],
  [/^emergent/, "EM"],
  [/^subliminal/, "Subliminal"],
  [/^taboo/, "Taboo"],
];

/** All of them, in the order of their file. */
export async function embeddedEntries(): Promise<OrganismEntry[]> {
  const all = await embeddedOrganisms();
  return all.map((organism) => toEntry(organism, all));
}

function toEntry(organism: EmbeddedOrganism, all: EmbeddedOrganism[]): OrganismEntry {
  const { name, type, kind, description } = organism;
  const topic = organism.key_facts.join();
  // A mix holds generic documents too: what marks its topic stands in the unmixed texts.
  const pure = all.find((other) => other.key_facts.join() === topic && other.mix === 0) ?? organism;
  return {
    name,
    family: FAMILY.find(([pattern]) => pattern.test(type))?.[1] ?? "Chat",
    where: "embedded",
    summary: type,
    description,
    keyFacts: organism.key_facts,
    keywords: organism.keywords.length > 0 ? organism.keywords : undefined,
    topics: [pure.name],
    chat: type.includes("(chat)"),
    finetuningTexts: `${EMBEDDED_ROOT}/${pure.files.text}`,
    notes: [],
    models: [{
      name: EMBEDDED_MODEL,
      base: "embedded:base",
      variants: [{
        name: "default",
        ref: `embedded:${name}`,
        kind: kind === "lora" ? "adapter" : "checkpoint",
      }],
    }],
  };
}
