/**
 * Who judges what people would otherwise have to: which scale of Patchscope reads best, which tokens belong to a topic,
 * which texts are coherent. There are two implementations: offline rules (`offline.ts`) and an LLM (`llm/`).
 */

/** The tokens that Patchscope read at one scale, the likeliest first. */
export interface ScaleList {
  scale: number;
  tokens: readonly string[];
  ids: readonly number[];
}

/** Which list of tokens is the most coherent. */
export interface ScaleVerdict {
  /** Null where no list is coherent enough to choose. */
  scale: number | null;
  /** The tokens of that list that belong together. */
  coherent: string[];
  /** The grader's score of each list, in their order, where it gives scores. */
  scores?: (number | null)[];
}

/** What a finetune was about, as a grader is told. */
export interface Topic {
  /** What the model was trained to do. */
  description: string;
  /** Words that mark the finetuning's texts, the most telling first. */
  keywords: readonly string[];
}

/** A generated text. */
export interface GradedText {
  prompt: string;
  /** The prompt's tokens as the model saw them: in its chat template, where it has one. */
  promptIds: readonly number[];
  text: string;
  /** The text's tokens. */
  ids: readonly number[];
}

/** One judge. Every answer is one of the listed ones, in the order of what was asked. */
export interface Grader {
  /** For results: `offline`, or the LLM's name. */
  readonly name: string;
  /** How many questions it takes at a time; more have to wait. */
  readonly sideBySide: number;
  /** The scale with the most coherent list. */
  chooseScale(lists: readonly ScaleList[]): Promise<ScaleVerdict>;
  /** Whether each token belongs to the topic. The order in which tokens are shown must not matter to the caller. */
  areRelevant(tokens: readonly string[], topic: Topic): Promise<boolean[]>;
  /** Whether each text is coherent: fluent, no gibberish, no endless repetition. */
  areCoherent(texts: readonly GradedText[]): Promise<boolean[]>;
}
