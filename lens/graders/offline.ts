/** The grader that asks nobody: rules on the models' own numbers. The same answers every time, and no network. */

import { UsageError } from "../../engine/errors.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { ModelPair } from "../../models/model_shelf.ts";
import { tokenMatchesKeyword } from "../keywords.ts";
import { type Calibration, measureTexts, withoutStop } from "./calibration.ts";
import type { CoherenceVerdict } from "./coherence.ts";
import type { GradedText, Grader, ScaleList, ScaleVerdict, Topic } from "./grader.ts";
import { ScaleJudge } from "./scale_judge.ts";
import { chooseYardstick, type Yardstick } from "./yardstick.ts";

/** What an {@link OfflineGrader} is made of. */
export interface OfflineGraderOptions {
  models: Pick<ModelPair, "base" | "finetuned">;
  tokenizer: Tokenizer;
  /** How the texts that it will judge are drawn; needed for {@link OfflineGrader.areCoherent} alone. */
  calibration?: Omit<Calibration, "seed" | "signal">;
  seed: number;
  signal?: AbortSignal;
}

/**
 * Judges by rules: scales by how alike their tokens' unembeddings are (`scale_choice.ts`), tokens by keywords
 * (`relevance.ts`), texts by their losses and repetition (`coherence.ts`). Models are asked for when they are needed.
 */
export class OfflineGrader implements Grader {
  readonly name = "offline";
  readonly sideBySide = 1;
  readonly #scales: ScaleJudge;
  #yardstick?: Promise<Yardstick>;

  constructor(private readonly options: OfflineGraderOptions) {
    const { models, tokenizer, seed } = options;
    this.#scales = new ScaleJudge(() => models.finetuned(), tokenizer, seed);
  }

  async chooseScale(lists: readonly ScaleList[]): Promise<ScaleVerdict> {
    return await this.#scales.choose(lists);
  }

  /** Whether each token is a keyword, in any spelling, or from five letters on the beginning of one. */
  areRelevant(tokens: readonly string[], { keywords }: Topic): Promise<boolean[]> {
    const words = new Set(keywords.map((keyword) => keyword.toLowerCase()));
    return Promise.resolve(tokens.map((token) => tokenMatchesKeyword(token, words)));
  }

  async areCoherent(texts: readonly GradedText[]): Promise<boolean[]> {
    return (await this.coherence(texts)).map(({ coherent }) => coherent);
  }

  /**
   * What {@link areCoherent} decides on, text by text.
   *
   * @throws {UsageError} for a token that the model lacks, or if the grader was not told how texts are drawn
   * @throws {GraderError} if the models write nothing to compare with
   */
  async coherence(texts: readonly GradedText[]): Promise<CoherenceVerdict[]> {
    if (texts.length === 0) return [];
    const { model, range } = await this.yardstick();
    const { models, calibration, signal } = this.options;
    const written = texts.map(({ promptIds, ids }) => ({
      promptIds,
      ids: withoutStop(ids, calibration?.stopIds),
    }));
    const measured = await measureTexts(await models[model](), written, signal);
    return measured.map((text) => range.judge(text));
  }

  /** The measure of coherence: found on first use, and kept. */
  async yardstick(): Promise<Yardstick> {
    const { models, calibration, seed, signal } = this.options;
    if (!calibration) {
      throw new UsageError(
        "Cannot judge texts offline: say how they are drawn, and on what prompts",
      );
    }
    const finding = this.#yardstick ??= chooseYardstick(models, { ...calibration, seed, signal });
    try {
      return await finding;
    } catch (error) {
      if (this.#yardstick === finding) this.#yardstick = undefined;
      throw error;
    }
  }
}
