/**
 * Token relevance (METHOD 4): which of a readout's likeliest tokens a grader calls relevant to the finetuning. Each list is
 * shown in three random orders, and a token counts only where all of them agree.
 */

import type { Grader, Topic } from "./graders/grader.ts";
import { sideBySide } from "./graders/llm/slots.ts";
import type { LayerReadout, TokenProb } from "./readout.ts";
import { TOP_K } from "./relevance.ts";
import { shuffledIndices } from "./shuffle.ts";

/** How often each list is shown. */
const ORDERS = 3;

/** The relevance of one vector through one lens, averaged over the positions (and the random directions). */
export interface GradedShare {
  /** Share of the top 20 tokens that are relevant, in [0, 1]. */
  share: number;
  /** The same, weighted by probability. */
  weighted_share: number;
  /** Share of those that are not generic, of them alone; null where all are. */
  filtered_share: number | null;
  /** The trivial baseline: the share whose text is one of the frequent tokens. */
  baseline: number;
  /** The relevant tokens, each once. */
  relevant: string[];
}

/** One layer: the mean of both lenses by vector, and each lens's own. */
export interface GradedRelevance {
  layer: number;
  difference: number;
  base: number;
  finetuned: number;
  random: number;
  /** Absent when no sibling was read. */
  sibling?: number;
  logit_lens: Record<string, GradedShare>;
  patchscope: Record<string, GradedShare>;
}

/** What the grading needs. */
export interface RelevanceOptions {
  grader: Grader;
  /** The description, and the words that the grader is told. */
  topic: Topic;
  /** For the trivial baseline; see `frequentTokens`. */
  frequent: readonly string[];
  /** Whether a token says nothing of any topic. */
  isGeneric: (token: string, id: number) => boolean;
  /** Of the orders. */
  seed: number;
  /** Takes the number of lists done and of all. */
  progress?: (done: number, total: number) => void;
}

/** What was said of the tokens of one list, in their order. */
export interface GradedList {
  lens: "logit_lens" | "patchscope";
  position: number;
  /** The vector; `random_1`, `random_2` … are draws of one null. */
  name: string;
  /** Whether every order agreed that the token belongs to the topic. */
  relevant: boolean[];
  /** Whether it says nothing of any topic. */
  generic: boolean[];
}

/** Grades every list of a layer's readout. */
export async function gradeRelevance(
  readout: LayerReadout,
  options: RelevanceOptions,
): Promise<GradedRelevance> {
  return meanRelevance(readout, await gradeLists(readout, options), options.frequent);
}

/** What the grader says of every list. */
export async function gradeLists(
  readout: LayerReadout,
  options: RelevanceOptions,
): Promise<GradedList[]> {
  const lists = listsOf(readout);
  let done = 0;
  const { sideBySide: most } = options.grader;
  return await sideBySide(lists, most, async ({ lens, position, name, tokens }, i) => {
    const relevant = await agreedRelevant(tokens, i, options);
    options.progress?.(++done, lists.length);
    const generic = tokens.map(({ token, id }) => options.isGeneric(token, id));
    return { lens, position, name, relevant, generic };
  });
}

/**
 * The shares of graded lists. Nothing else goes into them, so that they can be derived again from what was kept.
 *
 * @param graded of this readout, in the order of {@link gradeLists}
 */
export function meanRelevance(
  readout: LayerReadout,
  graded: readonly GradedList[],
  frequent: readonly string[],
): GradedRelevance {
  const lists = listsOf(readout);
  const shares = lists.map(({ lens, name, tokens }, i) => ({
    lens,
    key: name.replace(/_\d+$/, ""),
    one: shareOf(tokens, graded[i], frequent),
  }));
  const of = (wanted: List["lens"]) => {
    const keys = [...new Set(shares.map(({ key }) => key))];
    return Object.fromEntries(keys.map((name) => [
      name,
      meanShare(
        shares.filter(({ lens, key }) => lens === wanted && key === name).map(({ one }) => one),
      ),
    ]));
  };
  const [logit_lens, patchscope] = [of("logit_lens"), of("patchscope")];
  const mean = (name: string) =>
    ((logit_lens[name]?.share ?? 0) + (patchscope[name]?.share ?? 0)) / 2;
  return {
    layer: readout.layer,
    difference: mean("difference"),
    base: mean("base"),
    finetuned: mean("finetuned"),
    random: mean("random"),
    ...("sibling" in logit_lens && { sibling: mean("sibling") }),
    logit_lens,
    patchscope,
  };
}

interface List {
  lens: GradedList["lens"];
  position: number;
  name: string;
  tokens: readonly TokenProb[];
}

function listsOf({ positions }: LayerReadout): List[] {
  return positions.flatMap(({ position, logit_lens, patchscope }) => [
    ...Object.entries(logit_lens).map(([name, { top }]): List => ({
      lens: "logit_lens",
      position,
      name,
      tokens: top.slice(0, TOP_K),
    })),
    ...Object.entries(patchscope).map(([name, { tokens }]): List => ({
      lens: "patchscope",
      position,
      name,
      tokens: tokens.slice(0, TOP_K),
    })),
  ]);
}

/** For each token, whether it was called relevant in every order. */
async function agreedRelevant(
  tokens: readonly TokenProb[],
  list: number,
  { grader, topic, seed }: RelevanceOptions,
): Promise<boolean[]> {
  const agreed = tokens.map(() => true);
  for (let order = 0; order < ORDERS; order++) {
    // A list of its own has an order of its own: the shuffle's seed is all that tells them apart.
    const places = [...shuffledIndices(tokens.length, seed + ORDERS * list + order)];
    const verdicts = await grader.areRelevant(places.map((i) => tokens[i].token), topic);
    places.forEach((i, shown) => agreed[i] &&= verdicts[shown]);
  }
  return agreed;
}

function shareOf(
  tokens: readonly TokenProb[],
  { relevant, generic }: Pick<GradedList, "relevant" | "generic">,
  frequent: readonly string[],
): GradedShare {
  const words = new Set(frequent.map((word) => word.toLowerCase()));
  const telling = generic.map((says) => !says);
  const count = (flags: readonly boolean[]) => flags.filter(Boolean).length;
  const mass = (keep: (i: number) => boolean) =>
    tokens.reduce((sum, { prob }, i) => sum + (keep(i) ? prob : 0), 0);
  const all = mass(() => true);
  return {
    share: tokens.length > 0 ? count(relevant) / tokens.length : 0,
    weighted_share: all > 0 ? mass((i) => relevant[i]) / all : 0,
    filtered_share: count(telling) > 0
      ? count(relevant.map((yes, i) => yes && telling[i])) / count(telling)
      : null,
    baseline: tokens.length > 0
      ? count(tokens.map(({ token }) => words.has(token.trim().toLowerCase()))) / tokens.length
      : 0,
    relevant: tokens.filter((_, i) => relevant[i]).map(({ token }) => token),
  };
}

function meanShare(shares: readonly GradedShare[]): GradedShare {
  const mean = (values: readonly number[]) =>
    values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
  const filtered = shares.map(({ filtered_share }) => filtered_share).filter((one) => one !== null);
  return {
    share: mean(shares.map(({ share }) => share)),
    weighted_share: mean(shares.map(({ weighted_share }) => weighted_share)),
    filtered_share: filtered.length > 0 ? mean(filtered) : null,
    baseline: mean(shares.map(({ baseline }) => baseline)),
    relevant: [...new Set(shares.flatMap(({ relevant }) => relevant))],
  };
}
