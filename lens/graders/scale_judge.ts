/** The offline choice of Patchscope's scale (`scale_choice.ts`) for one model and its tokenizer. */

import { unembeddingRows } from "../../engine/head.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { isGenericToken, tokenWord } from "../generic_tokens.ts";
import type { ScaleList, ScaleVerdict } from "./grader.ts";
import { chooseScale } from "./scale_choice.ts";
import { type ReferenceTokens, referenceTokens, TokenGeometry } from "./token_geometry.ts";

/** Chooses among lists by the geometry of a model's unembedding, whose rows are read when they are first wanted. */
export class ScaleJudge {
  readonly #references: ReferenceTokens;
  readonly #rows = new Map<number, Float32Array>();
  #geometry?: TokenGeometry;

  constructor(
    private readonly model: () => Promise<Transformer>,
    private readonly tokenizer: Tokenizer,
    private readonly seed: number,
  ) {
    const isGeneric = (id: number) => this.#isGeneric(id);
    const textOf = (id: number) => this.#textOf(id);
    this.#references = referenceTokens(tokenizer.vocabSize, textOf, isGeneric, seed);
  }

  /** The scale whose tokens are most alike. */
  async choose(lists: readonly ScaleList[]): Promise<ScaleVerdict> {
    const { pool, impossible } = this.#references;
    // Without a word in the vocabulary there is nothing to compare with.
    if (pool.length === 0) return { scale: null, coherent: [], scores: lists.map(() => null) };
    const listed = lists.flatMap(({ ids }) => ids).filter((id) => !this.#isGeneric(id));
    await this.#read([...pool, ...impossible, ...listed]);
    const row = (id: number) => this.#rows.get(id)!;
    this.#geometry ??= new TokenGeometry(row, this.#references, this.seed);
    const wordOf = (id: number) => this.#isGeneric(id) ? null : tokenWord(this.#textOf(id));
    const { scale, coherent, scores } = chooseScale(lists, wordOf, this.#geometry);
    return {
      scale,
      coherent: coherent.map((id) => this.#textOf(id)),
      scores: scores.map(({ score }) => score),
    };
  }

  /** Reads the rows that are not there yet. */
  async #read(ids: readonly number[]): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.#rows.has(id));
    if (missing.length === 0) return;
    const model = await this.model();
    const { hiddenSize } = model.spec;
    const rows = await unembeddingRows(model, missing);
    missing.forEach((id, i) =>
      this.#rows.set(id, rows.subarray(i * hiddenSize, (i + 1) * hiddenSize))
    );
  }

  /** Ids beyond the tokenizer's are padding rows of the embedding: they have no text. */
  #textOf(id: number): string {
    return id < this.tokenizer.vocabSize ? this.tokenizer.tokenText(id) : "";
  }

  #isGeneric(id: number): boolean {
    return isGenericToken(this.#textOf(id), this.tokenizer.specialIds.has(id));
  }
}
