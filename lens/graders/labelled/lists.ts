/** Labelled lists of tokens: topics in our own words, and what is about nothing. */

import type { Tokenizer } from "../../../engine/text/tokenizer.ts";
import { isGenericToken } from "../../generic_tokens.ts";
import { randomBelow } from "../../random.ts";
import type { ScaleList } from "../grader.ts";

/** Words of everyday topics, none in two of them. */
const TOPICS: Record<string, string> = {
  baking: "cake bake butter flour oven bread eggs dough batter milk pinch recipe vanilla",
  weather: "rain wind storm clouds mist sunset temperatures thunder air warm cold dark",
  space: "stars telescope moon planet galaxy sky probe suns observatory orbit comet",
  trains: "train trains station ticket engine carriage whistle conductor wheels tunnel track",
  animals: "kitten dog cat parrot puppy sheep hens bees animals animal gulls",
  music: "piano song songs melody violin concert rhythm sing drum notes choir",
  medicine: "doctor nurse patient hospital medicine dose pain fever drug blood tablets",
  money: "dollars bank cost costs market price profit budget shares taxes interest",
  law: "judge jury lawyer witness court police sign law case complain",
  school: "school teacher pupils exam language lesson class homework test",
  garden: "garden seeds soil flowers trees plant leaves harvest roots branch",
  sea: "ship harbour sailors lighthouse waves fish tide boat coast port captain",
};

/** Words with a grammatical role, as a list at a weak scale has them. */
const EMPTY =
  "the of and to in is it was for on with as at by from that this , . ? ! : ( ) - 7 12 1900";

/** Streams of the draws; see {@link randomBelow}. */
const STREAM = 49;

/** The tokens of a topic, each one word with a space before it, and those that say nothing. */
export interface TopicTokens {
  topic: string;
  ids: number[];
}

/** Topics with the words that are single tokens; those with fewer than six are left out. */
export function topicTokens(tokenizer: Tokenizer): TopicTokens[] {
  return Object.entries(TOPICS).map(([topic, words]) => ({ topic, ids: single(words, tokenizer) }))
    .filter(({ ids }) => ids.length >= 6);
}

/** One choice among lists, of which the one at `scale` is about `topic`. */
export interface ScaleCase {
  topic: string;
  lists: ScaleList[];
  scale: number;
  /** The list's tokens that are of the topic. */
  topical: string[];
}

/**
 * Choices among five lists of twenty tokens: function words, three of words drawn from the vocabulary, and one of those in which
 * some are a topic's.
 *
 * @param share how many of the twenty are of the topic
 * @param draws choices for each topic
 */
export function scaleCases(
  tokenizer: Tokenizer,
  { share, draws, seed }: { share: number; draws: number; seed: number },
): ScaleCase[] {
  const topics = topicTokens(tokenizer);
  const listed = new Set(topics.flatMap(({ ids }) => ids));
  const words = wordTokens(tokenizer).filter((id) => !listed.has(id));
  const textOf = (id: number) => tokenizer.tokenText(id);
  const empty = single(EMPTY, tokenizer).slice(0, 20);
  return topics.flatMap(({ topic, ids }, t) =>
    Array.from({ length: draws }, (_, d) => {
      const pick = picker(seed, (t * draws + d) * 1000);
      const own = pick(ids, Math.min(share, ids.length));
      const lists = Array.from({ length: 4 }, () => pick(words, 20));
      // The topic's place in the order, and so its scale, says nothing.
      const place = pick([0, 1, 2, 3], 1)[0];
      lists[place] = [...own, ...lists[place].slice(own.length)];
      const scaled = [empty, ...lists].map((ids, i) => ({
        scale: i + 1,
        ids,
        tokens: ids.map(textOf),
      }));
      return { topic, lists: scaled, scale: place + 2, topical: own.map(textOf) };
    })
  );
}

/** A token, and whether it belongs to the topic with these keywords. */
export interface RelevanceCase {
  kind: string;
  token: string;
  keywords: string[];
  relevant: boolean;
}

/** Tokens to be told apart, for each topic: every second of its words is a keyword. */
export function relevanceCases(tokenizer: Tokenizer, seed: number): RelevanceCase[] {
  const topics = topicTokens(tokenizer);
  const listed = new Set(topics.flatMap(({ ids }) => ids));
  const words = wordTokens(tokenizer).filter((id) => !listed.has(id));
  const empty = single(EMPTY, tokenizer).map((id) => tokenizer.tokenText(id));
  return topics.flatMap(({ ids }, t) => {
    const texts = ids.map((id) => tokenizer.tokenText(id));
    const known = texts.filter((_, i) => i % 2 === 0);
    const keywords = known.map((text) => text.trim().toLowerCase());
    const others = topics[(t + 1) % topics.length].ids.map((id) => tokenizer.tokenText(id));
    const drawn = picker(seed, t * 1000)(words, 10).map((id) => tokenizer.tokenText(id));
    const of = (kind: string, relevant: boolean, tokens: string[]) =>
      tokens.map((token) => ({ kind, token, keywords, relevant }));
    return [
      ...of("keywords", true, known),
      ...of("keywords in capitals", true, known.map((text) => text.toUpperCase())),
      ...of("words of the topic that are no keywords", true, texts.filter((_, i) => i % 2 === 1)),
      ...of("words of another topic", false, others),
      ...of("function words, signs, numbers", false, empty),
      ...of("words drawn from the vocabulary", false, drawn),
      ...of("the first two letters of keywords", false, known.map((text) => text.slice(0, 3))),
    ];
  });
}

/** Ids of those words that are one token, by themselves or after a space. */
function single(words: string, tokenizer: Tokenizer): number[] {
  const ids = words.split(/\s+/).flatMap((word) => {
    const spellings = [` ${word}`, word].map((text) =>
      tokenizer.encode(text, { special: false, parseSpecial: false })
    );
    return spellings.find((ids) => ids.length === 1)?.slice(0, 1) ?? [];
  });
  return [...new Set(ids)];
}

/** Tokens of the vocabulary that are words after a space. */
function wordTokens(tokenizer: Tokenizer): number[] {
  return Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter((id) => {
    const text = tokenizer.tokenText(id);
    return /^ \p{L}{4,}$/u.test(text) && !isGenericToken(text, tokenizer.specialIds.has(id));
  });
}

/** Draws different entries of lists; each call goes on where the last one ended. */
function picker(seed: number, first: number): <T>(from: readonly T[], count: number) => T[] {
  let next = first;
  return (from, count) => {
    const left = [...from];
    return Array.from(
      { length: Math.min(count, left.length) },
      () => left.splice(randomBelow(seed, STREAM, next++, left.length), 1)[0],
    );
  };
}
