/** The organisms that the program knows by name: which model, finetuned on what. */

import { ModelError } from "../engine/errors.ts";
import { brief, nearestNames, quote } from "../engine/weights/names.ts";
import { EMBEDDED, EMBEDDED_ROOT } from "./embedded.ts";
import { embeddedEntries } from "./organisms/embedded_entries.ts";
import {
  defaultVariant,
  type Family,
  type OrganismEntry,
  type OrganismModel,
  type Variant,
} from "./organisms/entry.ts";
import { hubOrganisms } from "./organisms/hub_registry.ts";

export { EMBEDDED_MODEL } from "./organisms/embedded_entries.ts";
export { defaultVariant, describeVariant, FAMILIES } from "./organisms/entry.ts";
export type { Family, OrganismEntry, OrganismModel, Variant } from "./organisms/entry.ts";

/** An organism on one base model. References are for `resolveSource`. */
export interface Organism {
  name: string;
  family: Family;
  /** The base model's short name: `qwen3_1_7B`; of embedded organisms `embedded`. */
  model: string;
  variant: string;
  base: string;
  finetuned: string;
  /** What it was finetuned on, and what it does or believes since, in two sentences. */
  description: string;
  keyFacts: string[];
  /** Words that stand for the topic, listed by hand; absent where nobody did. */
  keywords?: string[];
  /** Organisms that share one of them are about the same. */
  topics: string[];
  /** Whether it was finetuned on chats; else on documents. */
  chat: boolean;
  /** Its finetuning texts, of a mix the part that is not generic; absent where they are not public. */
  finetuningTexts?: string;
  /** Their field that holds the text (default: as `loadTexts` finds it). */
  finetuningColumn?: string;
  /** A finetune of the same base on another topic, for a null; absent where there is none. */
  sibling?: string;
  /** The base's token that ends a turn of a chat. */
  endOfTurn?: string;
  /** Whether the base's chat template takes `enable_thinking`. */
  thinking?: boolean;
}

/** Generic texts that no embedded organism was finetuned on. */
export const EMBEDDED_TEXTS = `${EMBEDDED_ROOT}/text/generic_heldout.jsonl`;

/** Generic chats that no embedded organism was finetuned on. */
export const EMBEDDED_CHATS = `${EMBEDDED_ROOT}/text/chat_heldout.jsonl`;

/** The sample of FineWeb on which the authors of arXiv 2510.13900 compare their organisms. */
export const UNRELATED_TEXTS = "hf:datasets/science-of-finetuning/fineweb-1m-sample";

/** The chats that their toolkit takes in its place. */
export const UNRELATED_CHATS = "hf:datasets/science-of-finetuning/tulu-3-sft-olmo-2-mixture";

/** Every organism, embedded ones first. A name may stand for an embedded one and for one on the Hub. */
export async function listOrganisms(): Promise<OrganismEntry[]> {
  return [...await embeddedEntries(), ...await hubOrganisms()];
}

/**
 * Finds an organism on a model.
 *
 * Without model and variant a name means the embedded organism of that name, or else the one on the Hub if there is
 * but one model that has it. Without a variant it is `default`, or the only one. `embedded:NAME` means the embedded one, whatever
 * the Hub has under that name.
 *
 * @throws {ModelError} listing the known ones, if there is no such name, model or variant, or several would do
 */
export async function findOrganism(
  name: string,
  { model, variant }: { model?: string; variant?: string } = {},
): Promise<Organism> {
  const embedded = name.startsWith(EMBEDDED);
  const all = embedded ? await embeddedEntries() : await listOrganisms();
  const wanted = embedded ? name.slice(EMBEDDED.length) : name;
  const named = all.filter((entry) => entry.name === wanted);
  if (named.length === 0) {
    const known = [...new Set(all.map((entry) => entry.name))];
    const none = embedded ? "there is no embedded one called" : "there is none called";
    throw unknown(`find organism ${quote(name)}: ${none}`, wanted, known);
  }
  const entry = chooseEntry(named, model, variant);
  const onModel = chooseModel(entry, model);
  return toOrganism(entry, onModel, chooseVariant(entry, onModel, variant), all);
}

/** Of those of one name, the one that has the model; else the embedded one, unless a variant was asked for. */
function chooseEntry(named: OrganismEntry[], model?: string, variant?: string): OrganismEntry {
  const hub = named.find(({ where }) => where === "hub");
  if (model !== undefined) {
    return named.find(({ models }) => models.some(({ name }) => name === model)) ?? hub ?? named[0];
  }
  return variant !== undefined && hub ? hub : named[0];
}

function chooseModel(entry: OrganismEntry, asked?: string): OrganismModel {
  const names = entry.models.map(({ name }) => name);
  if (asked === undefined) {
    if (entry.models.length === 1) return entry.models[0];
    throw new ModelError(
      `Cannot choose a model for organism ${quote(entry.name)}: ` +
        `name one of the ${names.length} that it was trained on (${names.join(", ")})`,
    );
  }
  const found = entry.models.find(({ name }) => name === asked);
  if (found) return found;
  throw unknown(`find organism ${quote(entry.name)}: it was not trained on model`, asked, names);
}

function chooseVariant(entry: OrganismEntry, model: OrganismModel, asked?: string): Variant {
  const names = model.variants.map(({ name }) => name);
  const found = asked === undefined
    ? defaultVariant(model)
    : model.variants.find(({ name }) => name === asked);
  if (found) return found;
  const what = `organism ${quote(entry.name)} on ${model.name}`;
  if (asked !== undefined) throw unknown(`find ${what}: it has no variant`, asked, names);
  throw new ModelError(
    `Cannot choose a variant of ${what}: it has no default, name one of ${names.join(", ")}`,
  );
}

function unknown(attempt: string, name: string, known: string[]): ModelError {
  const [near] = nearestNames(name, known, 1);
  const hint = near === undefined ? "" : `did you mean ${near}? `;
  return new ModelError(`Cannot ${attempt} ${brief(name)} (${hint}known: ${known.join(", ")})`);
}

function toOrganism(
  entry: OrganismEntry,
  model: OrganismModel,
  variant: Variant,
  all: OrganismEntry[],
): Organism {
  const { name, family, description, keyFacts, keywords, topics, ...texts } = entry;
  return {
    name,
    family,
    model: model.name,
    variant: variant.name,
    base: model.base,
    finetuned: variant.ref,
    description,
    keyFacts,
    keywords,
    topics,
    // Variants of organisms that read documents may read chats.
    chat: entry.chat || variant.name === "chat",
    finetuningTexts: texts.finetuningTexts,
    finetuningColumn: texts.finetuningColumn,
    sibling: siblingOf(entry, model.base, all),
    endOfTurn: model.endOfTurn,
    thinking: model.thinking,
  };
}

/**
 * The finetune of the same base that makes the best null: on another topic, an adapter before a checkpoint (it shares
 * the base's weights), of the same family before another (they differ in the topic alone), of the same kind of texts
 * before the other, a plain variant before the rest.
 */
function siblingOf(entry: OrganismEntry, base: string, all: OrganismEntry[]): string | undefined {
  let best: { ref: string; score: number } | undefined;
  for (const other of all) {
    if (other.topics.some((topic) => entry.topics.includes(topic))) continue;
    for (const model of other.models.filter((model) => model.base === base)) {
      for (const variant of model.variants) {
        const score = (variant.kind === "adapter" ? 8 : 0) +
          (other.family === entry.family ? 4 : 0) + (other.chat === entry.chat ? 2 : 0) +
          (variant === defaultVariant(model) ? 1 : 0);
        if (best === undefined || score > best.score) best = { ref: variant.ref, score };
      }
    }
  }
  return best?.ref;
}
