/** Bugs in what goes on around the passes: caches, draws, seeds, and the method. Each with the tests that must see it. */

import { type NamedBug, namedMutants } from "./named.ts";

const INVARIANCE = "tests/invariance_test.ts";
const GENERATION = "tests/generation_test.ts";

const BUGS: readonly NamedBug[] = [
  [
    "a cache's rows are given out twice",
    "engine/kv_cache.ts",
    "this.#used += rows;",
    "this.#used += rows - 1;",
    [GENERATION, INVARIANCE],
  ],
  [
    "the cache of a later layer is the first one's",
    "engine/kv_cache.ts",
    "const i = layer - this.firstLayer;\n",
    "const i = Math.min(0, layer - this.firstLayer);\n",
    [INVARIANCE, GENERATION],
  ],
  [
    "all sequences draw from one stream",
    "engine/generation/draw.ts",
    "stream: sequence.stream,",
    "stream: 0,",
    [GENERATION],
  ],
  [
    "every step draws the same number",
    "engine/generation/draw.ts",
    "step: sequence.ids.length,",
    "step: 0,",
    [GENERATION],
  ],
  ["a stream is the place in the request", "engine/generation/job.ts", "streams?.[s] ?? s", "s", [
    GENERATION,
  ]],
  [
    "generated tokens are placed one too far",
    "engine/generation/passes.ts",
    "const ownLength = sequence.ids.length - 1 + step;",
    "const ownLength = sequence.ids.length + step;",
    [GENERATION],
  ],
  [
    "the high word of a seed is lost",
    "engine/random/philox.ts",
    "Math.floor(seed / 2 ** 32)]",
    "0]",
    ["engine/random/philox_test.ts", "engine/ops/sampling_test.ts"],
  ],
  ["nine rounds of Philox", "engine/random/philox.ts", "const ROUNDS = 10;", "const ROUNDS = 9;", [
    "engine/random/philox_test.ts",
  ]],
  [
    "equal parameters of other kinds share a slot",
    "engine/gpu/uniforms.ts",
    "else floats[i] = param.f32;",
    "else words[i] = param.f32;",
    ["engine/gpu/uniforms_test.ts", "engine/ops/rows_test.ts"],
  ],
  [
    "rows are packed four lanes on",
    "engine/weights/packed_layout.ts",
    "row % BLOCK >> 2",
    "(row + 16) % BLOCK >> 2",
    ["engine/weights/packed_layout_test.ts", "tests/streaming_packed_test.ts"],
  ],
  [
    "stacked weights that are streamed lie over one another",
    "engine/weights/packed_layout.ts",
    "offset += unit * units;",
    "offset = 0;",
    ["tests/streaming_packed_test.ts"],
  ],
  [
    "what products cannot do without is for anybody",
    "engine/gpu/texels.ts",
    "if (this.#stand.has(texture)) return void this.#standing.push(texture);",
    "",
    ["engine/gpu/texels_test.ts"],
  ],
  [
    "weights are brought for a model that is gone",
    "engine/weights/transfer.ts",
    "  signal?.throwIfAborted(); // what the bytes are for may be gone\n",
    "",
    ["tests/streaming_packed_test.ts"],
  ],
  [
    "many tokens of one each take unpacked weights",
    "engine/block_pass.ts",
    'if (!adapted && this.#products.many(stack.packed, resid, "store", [{ out: qkv }], norm)) {',
    "if (1 > 2) {",
    ["tests/streaming_packed_test.ts"],
  ],
  [
    "what goes to a texture part by part goes to its first rows",
    "engine/ops/many_rows.ts",
    "      u32(row),\n",
    "      u32(0),\n",
    ["engine/ops/many_rows_test.ts"],
  ],
  [
    "rows in a texture are for products that do not read one",
    "engine/block_products.ts",
    "    if (packed.rows % 4 !== 0) return undefined; // manyRows leaves it to others\n",
    "",
    ["engine/block_products_test.ts"],
  ],
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
export const hostMutants = () => namedMutants(BUGS);
