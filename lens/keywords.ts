/**
 * The words that mark an organism's finetuning texts, found without an LLM: weighted log-odds against other texts, with an
 * informative Dirichlet prior (Monroe, Colaresi, Quinn, "Fightin' Words", Political Analysis 16:372, 2008).
 *
 * With counts y, totals n, and a prior that spreads α₀ pseudo-counts over words as both corpora together do (α_w):
 *
 *     δ_w = log((y_w + α_w) / (n + α₀ − y_w − α_w)) of the finetuning texts − the same of the other texts
 *     z_w = δ_w / √(1 / (y_w + α_w) + 1 / (y'_w + α_w))
 *
 * A count is the number of texts that hold the word, not its occurrences: a word that one text repeats is no mark of them all.
 * Words are runs of letters, marks and digits, lower case, of two characters or more; function words are never keywords.
 * (Scripts without spaces, such as Chinese, would need a segmenter: there a whole clause counts as one word.)
 *
 * The other texts decide what is found: against web text, the words that mark any chat come out of an organism finetuned on
 * chats, so give chats of a general kind among them. A broad finetune has no topic; its keywords are words of style.
 */

import { isFunctionWord, tokenWord } from "./generic_tokens.ts";

/** A word that marks a corpus. */
export interface Keyword {
  /** Lower case. */
  word: string;
  /** z-score of its weighted log-odds. */
  z: number;
  /** How many finetuning texts hold it. */
  count: number;
}

/** Options of {@link extractKeywords}. */
export interface KeywordOptions {
  /** At most so many keywords (default: 100). */
  limit?: number;
  /** In at least so many finetuning texts (default: 10). */
  minCount?: number;
  /** The least z-score (default: 4, which one word in 30,000 passes by chance). */
  minZ?: number;
  /** The least ratio of odds, e^δ (default: 4: words of style and grammar rarely differ so much). */
  minOddsRatio?: number;
}

/** α₀ as a share of the smaller corpus: enough to calm rare words, too little to make small corpora alike. */
const PRIOR_SHARE = 0.02;

interface Frequencies {
  /** Number of texts that hold a word. */
  counts: Map<string, number>;
  /** Their sum. */
  total: number;
}

/**
 * The keywords of `finetuning` against `generic` texts, the most significant first, equal ones by alphabet.
 */
export function extractKeywords(
  finetuning: Iterable<string>,
  generic: Iterable<string>,
  options: KeywordOptions = {},
): Keyword[] {
  const { limit = 100, minCount = 10, minZ = 4, minOddsRatio = 4 } = options;
  const own = documentFrequencies(finetuning);
  const other = documentFrequencies(generic);
  const keywords: Keyword[] = [];
  for (const [word, count] of own.counts) {
    if (count < minCount || isFunctionWord(word)) continue;
    const { delta, z } = logOdds(word, own, other);
    if (z >= minZ && delta >= Math.log(minOddsRatio)) keywords.push({ word, z, count });
  }
  return keywords.sort((a, b) => b.z - a.z || (a.word < b.word ? -1 : 1)).slice(0, limit);
}

/** δ and z of one word; see the head of this file. */
function logOdds(word: string, own: Frequencies, other: Frequencies): { delta: number; z: number } {
  const y = own.counts.get(word) ?? 0;
  const yOther = other.counts.get(word) ?? 0;
  const priorTotal = PRIOR_SHARE * Math.min(own.total, other.total);
  const prior = priorTotal * (y + yOther) / (own.total + other.total);
  const logit = (count: number, total: number) =>
    Math.log((count + prior) / (total + priorTotal - count - prior));
  const delta = logit(y, own.total) - logit(yOther, other.total);
  return { delta, z: delta / Math.sqrt(1 / (y + prior) + 1 / (yOther + prior)) };
}

function documentFrequencies(texts: Iterable<string>): Frequencies {
  const counts = new Map<string, number>();
  let total = 0;
  for (const text of texts) {
    for (const word of new Set(wordsOf(text))) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      total++;
    }
  }
  return { counts, total };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]{2,}/gu) ?? [];
}

/**
 * Whether a token belongs to a keyword set. It does if its word is a keyword; without a leading space, where it may be the
 * end of another word (`oil` of `boil`), only if it has four letters or is a number. A token after a space that is the
 * beginning of a keyword counts from five letters on (` choco`), unless it is a function word. Fewer letters begin too many words.
 */
export function tokenMatchesKeyword(tokenText: string, keywords: ReadonlySet<string>): boolean {
  const word = tokenWord(tokenText);
  const startsWord = /^\s/.test(tokenText);
  const length = [...word].length;
  if (keywords.has(word)) return startsWord || length >= 4 || /^\p{N}+$/u.test(word);
  if (!startsWord || length < 5 || isFunctionWord(word)) return false;
  return keywords.values().some((keyword) => keyword.startsWith(word));
}
