/** Bugs in the method: documents, differences, readouts and statistics. Each with the tests that must see it. */

import { type NamedBug, namedMutants } from "./named.ts";

const BUGS: readonly NamedBug[] = [
  [
    "Patchscope patches one layer late",
    "lens/patchscope.ts",
    "const start = { layer: layer + 1, resid: tensor };",
    "const start = { layer: layer + 2, resid: tensor };",
    ["tests/embedded_test.ts"],
  ],
  [
    "Patchscope's vectors keep their length",
    "lens/patchscope.ts",
    "length * (value / norm)",
    "length * value",
    ["tests/embedded_test.ts", "lens/nulls_test.ts"],
  ],
  [
    "the lens of −δ is that of δ",
    "lens/logit_lens.ts",
    "vector.map((value) => -value)",
    "vector.map((value) => value)",
    ["tests/embedded_test.ts"],
  ],
  [
    "all random directions are one",
    "lens/nulls.ts",
    "philox4x32([i, index, STREAM, 0]",
    "philox4x32([i, 0, STREAM, 0]",
    ["lens/nulls_test.ts"],
  ],
  ["resamples are all the same", "lens/resample.ts", "first + draw * size + i", "first + i", [
    "lens/resample_test.ts",
  ]],
  [
    "a weighted mean forgets its weights",
    "lens/resample.ts",
    "sums[i] += count * rows[row + i]",
    "sums[i] += rows[row + i]",
    ["lens/resample_test.ts"],
  ],
  [
    "a quantile is one rank too high",
    "lens/resample.ts",
    "Math.ceil(q * sorted.length - 1e-9) - 1",
    "Math.ceil(q * sorted.length - 1e-9)",
    ["lens/resample_test.ts"],
  ],
  [
    "cosines divide by one length",
    "lens/resample.ts",
    "Math.sqrt(squaresA) * Math.sqrt(squaresB)",
    "Math.sqrt(squaresA) * Math.sqrt(squaresA)",
    ["lens/resample_test.ts"],
  ],
  [
    "relevance is weighted by all tokens",
    "lens/relevance.ts",
    "ratio(mass(relevant), mass(top))",
    "ratio(mass(relevant), mass(tokens))",
    ["lens/relevance_test.ts"],
  ],
  [
    "the first document is left out of the mean cosine",
    "lens/similarity/vectors.ts",
    "return (count * count * square(mean) - own) / (count * (count - 1));",
    "return (count * count * square(mean)) / (count * count);",
    ["lens/similarity/vectors_test.ts"],
  ],
  [
    "the strengths tried begin at the lowest",
    "lens/steering/strength.ts",
    "low + (high - low) * (i + 1) / parts",
    "low + (high - low) * i / parts",
    ["lens/steering/strength_test.ts"],
  ],
  [
    "documents are one token longer",
    "lens/documents.ts",
    "return { ids: ids.slice(0, tokens) };",
    "return { ids: ids.slice(0, tokens + 1) };",
    ["lens/documents_test.ts"],
  ],
  [
    "every pool of texts is shuffled alike",
    "lens/documents.ts",
    "this.#pools === 0 ? texts : pools + this.#pools",
    "texts",
    ["lens/documents_test.ts", "lens/dataset_files_test.ts"],
  ],
  [
    "the line between models is not scaled",
    "lens/interpolation.ts",
    "value - strength * whole[i]",
    "value - whole[i]",
    ["lens/interpolation_test.ts"],
  ],
];

/** The list. */
export const methodMutants = () => namedMutants(BUGS);
