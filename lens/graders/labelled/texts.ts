/**
 * A labelled set of obvious cases: fluent texts, and texts spoilt by `spoilt.ts`. Labels are by construction, so nobody's
 * taste is in them; what is hard to tell (a slip of grammar, a false claim) is not in the set.
 */

import type { Tokenizer } from "../../../engine/text/tokenizer.ts";
import type { GradedText } from "../grader.ts";
import {
  cutAndLooped,
  endsInLoop,
  endsInNoise,
  type Material,
  onePhrase,
  oneWord,
  randomTokens,
  shuffled,
  stutter,
  wordsSwapped,
} from "./spoilt.ts";

/** A fluent text, and what it follows. */
export interface SourceText {
  prompt: string;
  promptIds: readonly number[];
  text: string;
}

/** A text that is coherent or is not. */
export interface LabelledText extends GradedText {
  /** How it was made. */
  kind: string;
  coherent: boolean;
}

/** What {@link labelledTexts} makes its texts of. */
export interface LabelledSources {
  /** Running text. */
  prose: readonly SourceText[];
  /** Answers in chats. */
  answers: readonly SourceText[];
  tokenizer: Tokenizer;
}

/** Sizes of the set. */
export interface LabelledSize {
  /** Texts of each kind. */
  each: number;
  /** The most tokens of a text. */
  tokens: number;
  seed: number;
}

/** Kinds that are made of prose. */
const SPOILT_PROSE: Record<string, (material: Material) => string[]> = {
  "prose, words shuffled": shuffled,
  "prose, every third word of another text": wordsSwapped,
  "prose, second half shuffled": endsInNoise,
  "prose, every word three times": stutter,
  "one word repeated": oneWord,
  "a phrase repeated": onePhrase,
  "prose, cut and looped": cutAndLooped,
  "prose, ends in a loop": endsInLoop,
};

/** A text that is spoilt has so many tokens for each of its words, so that none of the damage is cut off. */
const TOKENS_PER_WORD = 1.6;

/** Texts with fewer words are not used: too few to spoil. */
const LEAST_WORDS = { prose: 24, answers: 12 };

/** The set, kind by kind. Each kind takes other texts, as long as there are enough. */
export function labelledTexts(
  { prose, answers, tokenizer }: LabelledSources,
  { each, tokens, seed }: LabelledSize,
): LabelledText[] {
  const usable = {
    prose: prose.filter(({ text }) => wordsOf(text).length >= LEAST_WORDS.prose),
    answers: answers.filter(({ text }) => wordsOf(text).length >= LEAST_WORDS.answers),
  };
  const all: LabelledText[] = [];
  let made = 0;
  const make = (
    kind: string,
    from: keyof typeof usable,
    coherent: boolean,
    idsOf: (source: SourceText, other: SourceText, index: number) => readonly number[],
  ) => {
    const sources = usable[from];
    for (let i = 0; i < each; i++, made++) {
      const source = sources[made % sources.length];
      const ids = idsOf(source, sources[(made + each) % sources.length], made).slice(0, tokens);
      const { prompt, promptIds } = source;
      all.push({ kind, coherent, prompt, promptIds, ids, text: tokenizer.decode(ids) });
    }
  };
  const encode = (text: string) => tokenizer.encode(text, { special: false, parseSpecial: false });
  const spoil =
    (way: (material: Material) => string[]) =>
    (source: SourceText, other: SourceText, index: number) =>
      encode(
        way({
          words: wordsOf(source.text).slice(
            0,
            Math.max(LEAST_WORDS.prose, tokens / TOKENS_PER_WORD),
          ),
          others: wordsOf(other.text),
          length: tokens,
          index,
          seed,
        }).join(" "),
      );
  const vocabulary = Array.from({ length: tokenizer.vocabSize }, (_, id) => id)
    .filter((id) => !tokenizer.specialIds.has(id));

  make("prose", "prose", true, ({ text }) => encode(text));
  make("chat answers", "answers", true, ({ text }) => encode(text));
  for (const [kind, way] of Object.entries(SPOILT_PROSE)) make(kind, "prose", false, spoil(way));
  make("chat answers, words shuffled", "answers", false, spoil(shuffled));
  make(
    "random tokens",
    "prose",
    false,
    (_source, _other, index) => randomTokens(vocabulary, tokens, { index, seed }),
  );
  return all;
}

/** Words with the punctuation that clings to them. */
export function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
