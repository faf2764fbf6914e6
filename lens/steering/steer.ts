/**
 * Steering: α·δ is added to the residual stream after a layer, at every position of prompt and continuation, and the
 * model writes (METHOD 3).
 */

import { generate } from "../../engine/generation/generate.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { Transformer } from "../../engine/transformer.ts";
import type { Grader } from "../graders/grader.ts";
import { type SearchRound, searchStrength, STRONGEST } from "./strength.ts";

/** A prompt, and its tokens as the model sees it: in its chat template, where it has one. */
export interface SteeringPrompt {
  text: string;
  ids: readonly number[];
}

/** What is steered with what, and how texts are drawn. */
export interface SteeringTarget {
  /** Asked for before each batch: a grader may have needed its room. */
  model: () => Promise<Transformer>;
  tokenizer: Tokenizer;
  /** The residual after this layer is edited. */
  layer: number;
  /** δ, `[hidden]`. */
  vector: Float32Array;
  stopIds: ReadonlySet<number>;
  seed: number;
  signal?: AbortSignal;
}

/** How texts are drawn. */
export interface Drawing {
  temperature: number;
  /** The most tokens of a text. */
  tokens: number;
  /** Texts of each prompt (and strength). */
  samples: number;
}

/** The method's settings for the search. */
export const SEARCH_DRAWING: Drawing = { temperature: 1.2, tokens: 128, samples: 10 };

/** The method's settings for the texts that are kept. */
export const SAMPLE_DRAWING: Drawing = { temperature: 1.1, tokens: 512, samples: 5 };

/** Decisions of the search on the first prompt; the others have half of them. */
export const DECISIONS = 12;

/** Decisions that one batch looks ahead. */
export const LEVELS = 3;

/** The share of a strength's texts that must be coherent. */
export const COHERENT_SHARE = 0.75;

/** One text. */
export interface SteeredText {
  text: string;
  ids: number[];
}

/**
 * Texts of some prompts, each at some strengths: `[prompts][strengths][samples]`. Sample k of prompt p draws from stream
 * `p · samples + k` at every strength, so that a text depends on its own strength alone, and can be drawn again by itself.
 *
 * @param progress takes the number of tokens so far
 */
export async function drawTexts(
  { model, tokenizer, layer, vector, stopIds, seed, signal }: SteeringTarget,
  prompts: readonly SteeringPrompt[],
  strengths: readonly number[],
  { temperature, tokens, samples }: Drawing,
  progress?: (tokens: number) => void,
): Promise<SteeredText[][][]> {
  const sequences = prompts.flatMap((prompt, p) =>
    strengths.flatMap((strength) =>
      Array.from({ length: samples }, (_, k) => ({ prompt, strength, stream: p * samples + k }))
    )
  );
  let done = 0;
  const generated = await generate(await model(), {
    prompts: sequences.map(({ prompt }) => prompt.ids),
    maxNewTokens: tokens,
    sampling: { temperature, seed },
    stopIds,
    edits: [{
      hook: `blocks.${layer}.hook_resid_post`,
      op: "add",
      vector,
      scale: sequences.map(({ strength }) => strength),
    }],
    streams: sequences.map(({ stream }) => stream),
    onTokens: (_, ids) => progress?.(done += ids.length),
    signal,
  });
  const texts = generated.map(({ ids }) => ({
    ids,
    text: tokenizer.decode(ids, { skipSpecial: true }),
  }));
  const perPrompt = strengths.length * samples;
  return prompts.map((_, p) =>
    strengths.map((_, s) => {
      const first = p * perPrompt + s * samples;
      return texts.slice(first, first + samples);
    })
  );
}

/** How the strength was found on one prompt. */
export interface PromptSearch {
  prompt: string;
  strength: number;
  rounds: SearchRound[];
}

/** The texts of one strength that was tried, and which of them the grader calls coherent. */
export interface GradedStrength {
  prompt: string;
  strength: number;
  texts: { text: string; coherent: boolean }[];
}

/** The share of texts that are coherent. */
export function coherentShare(texts: GradedStrength["texts"]): number {
  return texts.filter(({ coherent }) => coherent).length / texts.length;
}

/** The strength to steer with. */
export interface Alpha {
  /** The mean over the prompts. */
  alpha: number;
  /** How it was found; empty for one that was given. */
  searches: PromptSearch[];
}

/**
 * Finds the largest strength at which texts stay coherent: with all decisions on the first prompt, in [0, 100], then with
 * half of them on each other, in [0, 2·first].
 *
 * @param progress takes the number of batches done and of all
 */
export async function findAlpha(
  target: SteeringTarget,
  prompts: readonly SteeringPrompt[],
  grader: Grader,
  options: {
    drawing?: Drawing;
    decisions?: number;
    highest?: number;
    /** Told of every strength that is tried, in order. */
    onGraded?: (graded: GradedStrength) => void;
  } = {},
  progress?: (done: number, total: number) => void,
): Promise<Alpha> {
  const { drawing = SEARCH_DRAWING, decisions = DECISIONS, highest = STRONGEST } = options;
  const fewer = Math.ceil(decisions / 2);
  const batches = (count: number) => Math.ceil(count / LEVELS);
  const total = batches(decisions) + (prompts.length - 1) * batches(fewer);
  let done = 0;
  progress?.(0, total);
  const searches: PromptSearch[] = [];
  for (const prompt of prompts) {
    const share = async (strengths: readonly number[]) => {
      const [texts] = await drawTexts(target, [prompt], strengths, drawing);
      const graded = await grader.areCoherent(
        texts.flat().map(({ text, ids }) => ({
          prompt: prompt.text,
          promptIds: prompt.ids,
          text,
          ids,
        })),
      );
      progress?.(++done, total);
      return strengths.map((strength, s) => {
        const own = texts[s].map(({ text }, k) => ({
          text,
          coherent: graded[s * drawing.samples + k],
        }));
        options.onGraded?.({ prompt: prompt.text, strength, texts: own });
        return coherentShare(own);
      });
    };
    const first = searches[0]?.strength;
    const range = first === undefined
      ? { highest, decisions }
      : { highest: Math.min(2 * first, highest), decisions: fewer };
    const found = await searchStrength(
      { ...range, levels: LEVELS },
      share,
      (coherent) => coherent >= COHERENT_SHARE,
    );
    searches.push({ prompt: prompt.text, ...found });
  }
  const alpha = searches.reduce((sum, { strength }) => sum + strength, 0) / searches.length;
  return { alpha, searches };
}

/** The texts of one prompt. */
export interface PromptSamples {
  prompt: string;
  steered: string[];
  unsteered: string[];
}

/** Steered and unsteered texts of every prompt; they draw from the same streams. */
export async function sampleTexts(
  target: SteeringTarget,
  prompts: readonly SteeringPrompt[],
  alpha: number,
  drawing: Drawing = SAMPLE_DRAWING,
  progress?: (tokens: number) => void,
): Promise<PromptSamples[]> {
  const texts = await drawTexts(target, prompts, [alpha, 0], drawing, progress);
  const plain = (of: readonly SteeredText[]) => of.map(({ text }) => text);
  return prompts.map(({ text }, p) => ({
    prompt: text,
    steered: plain(texts[p][0]),
    unsteered: plain(texts[p][1]),
  }));
}
