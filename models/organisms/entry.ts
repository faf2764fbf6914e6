/** What is known of an organism, wherever it comes from. */

/** What organisms are finetuned for; each family is graded by a rubric of its own. */
export const FAMILIES = [
  "SDF",
  "EM",
  "Subliminal",
  "Taboo",
  "Domain",
  "Chat",
  "Behavioural",
] as const;

/**
 * - `SDF`: false facts in synthetic documents
 * - `EM`: emergent misalignment from unsafe advice
 * - `Subliminal`: a preference passed on through number data
 * - `Taboo`: a secret word that is hinted at and never said
 * - `Domain`: a field of knowledge, a control
 * - `Chat`: general post-training, a control
 * - `Behavioural`: a habit, a bias or a style
 */
export type Family = typeof FAMILIES[number];

/** One finetuned model of an organism. */
export interface Variant {
  /** `default`, `full`, `mix1-0p5`, …: {@link describeVariant} says what it means. */
  name: string;
  /** For `resolveSource`: `hf:OWNER/NAME` or `embedded:NAME`. */
  ref: string;
  kind: "adapter" | "checkpoint";
}

/** A base model with an organism's finetunes of it. */
export interface OrganismModel {
  /** The base model's short name: `qwen3_1_7B`; of embedded organisms `embedded`. */
  name: string;
  /** The base model, for `resolveSource`. */
  base: string;
  /** The base's token that ends a turn of a chat. */
  endOfTurn?: string;
  /** Whether the base's chat template takes `enable_thinking`. */
  thinking?: boolean;
  /** What its user has to know, such as that it cannot be run. */
  note?: string;
  variants: Variant[];
}

/** One organism with every model that has it. */
export interface OrganismEntry {
  name: string;
  family: Family;
  where: "embedded" | "hub";
  /** In a few words. */
  summary: string;
  /** In two sentences: what it was trained on, and what it does or believes since. */
  description: string;
  /** What an interpreter of the model should find out. */
  keyFacts: string[];
  /** Words that stand for the topic, listed by hand; absent where nobody did. */
  keywords?: string[];
  /** Organisms that share a topic are no nulls for each other. */
  topics: string[];
  /** Whether it was finetuned on chats; else on documents. */
  chat: boolean;
  /** The data set by the name its makers gave it, whether or not it can be had. */
  dataset?: string;
  /** The finetuning's texts, for `loadTexts`: a path, or `hf:datasets/OWNER/NAME`; absent where they are not public. */
  finetuningTexts?: string;
  /** Their field that holds the text. */
  finetuningColumn?: string;
  notes: string[];
  models: OrganismModel[];
}

/** Its plain variant: `default`, or the only one. */
export function defaultVariant(model: OrganismModel): Variant | undefined {
  const { variants } = model;
  return variants.find(({ name }) => name === "default") ??
    (variants.length === 1 ? variants[0] : undefined);
}

/** What the name of a variant means, or `undefined` where it says it all. */
export function describeVariant(name: string): string | undefined {
  if (name === "default") return "the organism itself, nothing mixed in";
  if (name === "full") return "every weight trained, where the default is a LoRA adapter";
  if (name === "chat") return "finetuned on chats in place of documents";
  if (name === "CAFT") return "concept ablation finetuning";
  const thousands = /^(\d+)k(?:_|$)/.exec(name)?.[1];
  const mixed = mixOf(name);
  const documents = thousands && `${thousands},000 finetuning documents`;
  return [documents, mixed].filter(Boolean).join(", ") || undefined;
}

/** `mix1-0p5` → half a generic text for each of the finetuning; `mix400k` → 400,000 in all. */
function mixOf(name: string): string | undefined {
  const [, whole, part] = /mix1-(\d+)(?:p(\d+))?$/.exec(name) ?? [];
  if (whole !== undefined) {
    const count = Number(`${whole}.${part ?? 0}`);
    return `${count} generic ${count === 1 ? "text" : "texts"} to each of the finetuning`;
  }
  const thousands = /mix(\d+)k$/.exec(name)?.[1];
  return thousands && `${thousands},000 generic ones mixed in`;
}
