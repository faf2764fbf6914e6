/**
 * The evidence summariser: a fixed procedure that stands in for the agents where no LLM is at hand. It understands nothing. Of the
 * overview that an agent sees before it asks anything, in the same sizes (METHOD 6), it takes the twenty most telling
 * words and the ten sentences that hold most of them:
 *
 * - `adl`: words by three rankings, of the logit lens' tokens, of Patchscope's, and of the steered texts' words; sentences from
 *   the steered texts;
 * - `blackbox`: words of the unsteered texts, and sentences from them;
 * - `logitdiff`: words of the raised tokens alone; there are no texts to take sentences from.
 *
 * A text's words are ranked by how much more often they are in these texts than in generic ones (`words.ts`), tokens by the sum
 * over positions of one over their rank; rankings are joined by reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009).
 */

import { isGenericToken, tokenWord } from "../generic_tokens.ts";
import { shortened } from "../graders/llm/quoted.ts";
import type { Evidence } from "./evidence.ts";
import { OVERVIEW_CHARACTERS, OVERVIEW_TOKENS } from "./overview.ts";
import type { Summary } from "./recall.ts";
import type { AgentName } from "./results.ts";
import { contentWords, stemOf, tellingWords } from "./words.ts";

/** Words and sentences of a summary. */
export const SUMMARY_WORDS = 20;
export const SUMMARY_SENTENCES = 10;

/** The constant of reciprocal rank fusion, as in its paper. */
const FUSION = 60;

/** What a word that a sentence before has counts in the next. */
const SEEN_AGAIN = 0.25;

/**
 * Summarises what an agent sees.
 *
 * @param background generic texts, against which words are telling
 */
export function summarise(
  agent: AgentName,
  evidence: Evidence,
  background: readonly string[],
): Summary {
  const { rankings, texts } = viewOf(agent, evidence, background);
  const words = fused(rankings).slice(0, SUMMARY_WORDS);
  return { words, sentences: tellingSentences(texts, words) };
}

function viewOf(
  agent: AgentName,
  { positions, steering, logitDifference }: Evidence,
  background: readonly string[],
): { rankings: string[][]; texts: string[] } {
  const written = (kind: "steered" | "unsteered") =>
    (steering[0]?.samples ?? [])
      .map((sample) => shortened(sample[kind][0] ?? "", OVERVIEW_CHARACTERS));
  const words = (texts: readonly string[]) => tellingWords(texts, background);
  switch (agent) {
    case "adl": {
      const texts = written("steered");
      const lens = positions.map(({ logitLens }) => logitLens.top);
      const scope = positions.map(({ patchscope }) => patchscope.tokens);
      return { rankings: [rankTokens(lens), rankTokens(scope), words(texts)], texts };
    }
    case "blackbox": {
      const texts = written("unsteered");
      return { rankings: [words(texts)], texts };
    }
    case "logitdiff":
      return { rankings: [rankTokens([logitDifference.top])], texts: [] };
  }
}

/** The words of token lists; the best first. */
function rankTokens(lists: readonly (readonly { token: string }[])[]): string[] {
  const scores = new Map<string, number>();
  for (const list of lists) {
    list.slice(0, OVERVIEW_TOKENS).forEach(({ token }, rank) => {
      if (isGenericToken(token)) return;
      const word = tokenWord(token);
      scores.set(word, (scores.get(word) ?? 0) + 1 / (rank + 1));
    });
  }
  return byScore(scores);
}

/** Rankings as one; of words with one stem the one that was met first. */
function fused(rankings: readonly (readonly string[])[]): string[] {
  const words = new Map<string, string>();
  const scores = new Map<string, number>();
  for (const ranking of rankings) {
    const stems = [
      ...new Set(ranking.map((word) => {
        const stem = stemOf(word);
        if (!words.has(stem)) words.set(stem, word);
        return stem;
      })),
    ];
    stems.forEach((stem, rank) =>
      scores.set(stem, (scores.get(stem) ?? 0) + 1 / (FUSION + rank + 1))
    );
  }
  return byScore(scores).map((stem) => words.get(stem)!);
}

/** Sentences that have many of the words, the more telling counting more, and others than those chosen before. */
function tellingSentences(texts: readonly string[], words: readonly string[]): string[] {
  const weights = new Map(words.map((word, rank) => [stemOf(word), 1 / (rank + 2)]));
  const sentences = [...new Set(texts.flatMap(sentencesOf))].map((text) => ({
    text,
    stems: [...new Set(contentWords(text).map(stemOf))].filter((stem) => weights.has(stem)),
  }));
  const chosen: string[] = [];
  while (chosen.length < SUMMARY_SENTENCES) {
    let best: { score: number; sentence: typeof sentences[number] } | undefined;
    for (const sentence of sentences) {
      const score = sentence.stems.reduce((sum, stem) => sum + weights.get(stem)!, 0);
      if (score > (best?.score ?? 0)) best = { score, sentence };
    }
    if (!best) break;
    const { sentence } = best;
    chosen.push(sentence.text);
    for (const stem of sentence.stems) weights.set(stem, SEEN_AGAIN * weights.get(stem)!);
    sentences.splice(sentences.indexOf(sentence), 1);
  }
  return chosen;
}

function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.!?])\s+|\n+/).map((one) => shortened(one.trim(), OVERVIEW_CHARACTERS))
    .filter((one) => one !== "");
}

/** The keys, the highest score first, equal ones by alphabet. */
function byScore(scores: ReadonlyMap<string, number>): string[] {
  return [...scores].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([key]) => key);
}
