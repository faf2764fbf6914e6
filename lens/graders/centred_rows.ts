/**
 * Unembedding rows made comparable: centred on the mean row, and without the tokens that training never reached.
 *
 * Rows share a large common component (they are anisotropic), which would make any two tokens look alike: the mean row of
 * ordinary words is taken off. Tokens that occur in no text are all pushed the same way by training, so their rows are nearly
 * one row, and a list of such debris would look more coherent than any topic. They are found as in Land and Bartolo, "Fishing
 * for Magikarp" (arXiv 2405.05417): by their cosine to tokens that cannot have been trained, here the 13 bytes that
 * occur in no UTF-8 text, which byte-level and byte-fallback vocabularies hold all the same.
 */

/** Trained tokens lie well under this cosine to the untrained direction, untrained ones close to 1. */
const UNTRAINED_COSINE = 0.5;

/** The row of a token's unembedding, `[hidden]`. */
export type RowOf = (id: number) => ArrayLike<number>;

/** Whether a token's text (see `Tokenizer.tokenText`) is a byte that occurs in no UTF-8 text: C0, C1, F5 to FF. */
export function isImpossibleByte(tokenText: string): boolean {
  return /^\\x(C[01]|F[5-9A-F])$/.test(tokenText);
}

/** Centred unembedding rows of unit length. */
export class CentredRows {
  readonly hidden: number;
  #mean: Float64Array;
  #untrained: Float64Array | null = null;

  /**
   * @param row the unembedding row of a token
   * @param words ids of ordinary words: their trained ones are the centre; at least one
   * @param impossible ids of tokens that no text holds; may be empty, then every token counts as trained
   */
  constructor(
    private readonly row: RowOf,
    words: readonly number[],
    impossible: readonly number[],
  ) {
    this.#mean = meanRow(words.map(row));
    this.hidden = this.#mean.length;
    if (impossible.length === 0) return;
    this.#untrained = this.#unit(meanRow(impossible.map(row)));
    const trained = words.filter((id) => this.isTrained(id));
    // The first centre was drawn towards the untrained words among them.
    if (trained.length > 0) this.#mean = meanRow(trained.map(row));
    this.#untrained = this.#unit(meanRow(impossible.map(row)));
  }

  /** The centred row of a token at unit length, `[hidden]` f64 (zeros if it is the mean itself). */
  unit(id: number): Float64Array {
    return this.#unit(this.row(id));
  }

  /** Whether training reached the token. */
  isTrained(id: number): boolean {
    return this.#untrained === null || dot(this.unit(id), this.#untrained) < UNTRAINED_COSINE;
  }

  #unit(row: ArrayLike<number>): Float64Array {
    // Written out: chance takes hundreds of thousands of rows.
    const centred = new Float64Array(this.hidden);
    for (let i = 0; i < centred.length; i++) centred[i] = row[i] - this.#mean[i];
    const norm = Math.sqrt(dot(centred, centred));
    if (norm > 0) { for (let i = 0; i < centred.length; i++) centred[i] /= norm; }
    return centred;
  }
}

/** The inner product of two vectors of one length. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function meanRow(rows: ArrayLike<number>[]): Float64Array {
  const mean = new Float64Array(rows[0].length);
  for (const row of rows) for (let i = 0; i < mean.length; i++) mean[i] += row[i] / rows.length;
  return mean;
}
