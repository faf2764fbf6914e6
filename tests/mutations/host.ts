/** Bugs in TypeScript: places, scales, hooks, sums, seeds. Each with the tests that must see it. */

import type { Mutant } from "./mutant.ts";

type Named = [what: string, file: string, find: string, replace: string, tests: string[]];

const INVARIANCE = "tests/invariance_test.ts";
const HOOKS = "tests/hooks_test.ts";
const EDITS = "tests/edits_test.ts";
const PARITY = "tests/parity_test.ts";
const TABLES = "tests/adapter_tables_test.ts";
const GENERATION = "tests/generation_test.ts";

const NAMED: readonly Named[] = [
  [
    "positions are one too far",
    "engine/batch.ts",
    "place.ownStart, starts[s] + i]",
    "place.ownStart, starts[s] + i + 1]",
    ["engine/batch_test.ts", PARITY],
  ],
  [
    "cached positions are one too near",
    "engine/batch.ts",
    "starts[s] = place.prefixLength + place.ownLength",
    "starts[s] = Math.max(0, place.prefixLength + place.ownLength - 1)",
    ["engine/batch_test.ts", INVARIANCE],
  ],
  [
    "a shared prefix does not count for the position",
    "engine/batch.ts",
    "starts[s] = place.prefixLength + place.ownLength",
    "starts[s] = place.ownLength",
    ["engine/batch_test.ts", INVARIANCE],
  ],
  [
    "sequences read the first one's keys",
    "engine/batch.ts",
    "prefixLength: 0, ownStart: offsets[s], ownLength: 0",
    "prefixLength: 0, ownStart: 0, ownLength: 0",
    ["engine/batch_test.ts", INVARIANCE],
  ],
  [
    "negative positions count from the start",
    "engine/batch.ts",
    "p < 0 ? length + p : p - start",
    "p < 0 ? -p : p - start",
    ["engine/batch_test.ts", INVARIANCE],
  ],
  [
    "listed positions forget the cache",
    "engine/batch.ts",
    "p < 0 ? length + p : p - start",
    "p < 0 ? length + p : p",
    ["engine/batch_test.ts", INVARIANCE],
  ],
  [
    "the adapter's scale is left out",
    "engine/block_pass.ts",
    "rows, addScaled: lora.scale",
    "rows, addScaled: 1",
    [PARITY],
  ],
  [
    "the adapter's scale is squared",
    "engine/block_pass.ts",
    "rows, addScaled: lora.scale",
    "rows, addScaled: lora.scale ** 2",
    [PARITY],
  ],
  [
    "the head's adapter is not scaled",
    "engine/head.ts",
    "rows, addScaled: lora.scale",
    "rows, addScaled: 1",
    [TABLES],
  ],
  [
    "the embedding's adapter forgets the embedding's scale",
    "engine/forward_pass.ts",
    "lora.scale * scale",
    "lora.scale",
    [TABLES],
  ],
  [
    "an adapter's strength is left out",
    "engine/adapter.ts",
    "scale: pair.scale * strength",
    "scale: pair.scale",
    ["models/interpolation_test.ts"],
  ],
  [
    "the bias is added twice",
    "engine/block_pass.ts",
    "if (bias) addBias(recorder,",
    "if (bias) addBias(recorder, { x: y, bias, rows, width: weight.rows, columns });\n    if (bias) addBias(recorder,",
    [PARITY, "tests/slow/invariance_test.ts"],
  ],
  [
    "a sublayer's output is in the stream before its hook",
    "engine/forward_pass.ts",
    "!this.#hooks.uses(`blocks.${layer}.${point}`)",
    "true",
    [HOOKS, EDITS],
  ],
  [
    "a hook gets what a sublayer adds before its norm",
    "engine/block_pass.ts",
    "const out = this.#normOrSame(block, place, x);",
    "const out = x;",
    [HOOKS],
  ],
  [
    "values of tokens decoded at once are the keys",
    "engine/block_pass.ts",
    "      first += linear.weight.rows;",
    "      first += linears[1].weight.rows;",
    [PARITY, INVARIANCE],
  ],
  [
    "keys do not turn",
    "engine/block_pass.ts",
    "rope(recorder, { ...turn, x: flatK,",
    "rope(recorder, { ...turn, rotaryDim: 2, x: flatK,",
    [PARITY],
  ],
  [
    "values of the cache go to no row",
    "engine/block_pass.ts",
    "x: freshV, out: v, count: tokens, width",
    "x: freshV, out: v, count: tokens - 1, width",
    [INVARIANCE],
  ],
  [
    "a rotary table that is too short is kept",
    "engine/transformer.ts",
    "if (largest && largest.positions >= positions) return largest.buffer;",
    "if (largest) return largest.buffer;",
    [INVARIANCE, GENERATION],
  ],
  [
    "hook_resid_mid comes before the addition",
    "engine/forward_pass.ts",
    `    if (attended) add(attended);
    if (at("hook_resid_mid", resid)) return true;`,
    `    if (at("hook_resid_mid", resid)) return true;
    if (attended) add(attended);`,
    [HOOKS, EDITS, PARITY],
  ],
  [
    "hook_resid_pre is the next layer's",
    "engine/forward_pass.ts",
    'if (at("hook_resid_pre", resid)) return true;',
    'if (layer > 0 && at("hook_resid_pre", resid)) return true;',
    [HOOKS, EDITS],
  ],
  [
    "hook_mlp_out holds the residual",
    "engine/forward_pass.ts",
    'at("hook_mlp_out", mixed)',
    'at("hook_mlp_out", resid)',
    [HOOKS, EDITS],
  ],
  [
    "a pass that starts at a layer has half of the residuals",
    "engine/forward_pass.ts",
    "recorder.copy(buffer, 0, resid, 0, batch.tokens * hiddenSize * 4);",
    "recorder.copy(buffer, 0, resid, 0, batch.tokens * hiddenSize * 2);",
    [HOOKS, EDITS],
  ],
  [
    "captures come before edits",
    "engine/hook_points.ts",
    `    for (const edit of this.#edits) {
      if (edit.hook === hook) applyEdit(this.recorder, this.spec, this.batch, edit, x, rows);
    }
    for (const { hook: name, positions } of this.#captures) {
      if (name === hook) this.#capture(name, positions, x, rows);
    }`,
    `    for (const { hook: name, positions } of this.#captures) {
      if (name === hook) this.#capture(name, positions, x, rows);
    }
    for (const edit of this.#edits) {
      if (edit.hook === hook) applyEdit(this.recorder, this.spec, this.batch, edit, x, rows);
    }`,
    [HOOKS, EDITS],
  ],
  ["an edit's default scale is 0", "engine/edits.ts", '(op === "project" ? 0 : 1)', "0", [
    HOOKS,
    EDITS,
  ]],
  [
    "all sequences have the first one's scale",
    "engine/edits.ts",
    'typeof scale === "number" ? scale : scale[s]',
    'typeof scale === "number" ? scale : scale[0]',
    [HOOKS, EDITS],
  ],
  [
    "a vector to project on is not of length 1",
    "engine/edits.ts",
    'op === "project" ? unit(vector)',
    'op === "project" ? new Float32Array(vector)',
    [HOOKS, EDITS],
  ],
  [
    "components come from the first row",
    "engine/edits.ts",
    "from.firstRows[s] + row - batch.offsets[s]",
    "from.firstRows[s]",
    [HOOKS, EDITS],
  ],
  [
    "δ points from the finetuned model to the base",
    "engine/activation_means.ts",
    "theirs.map((sum, i) => sum - ours[i])",
    "theirs.map((sum, i) => ours[i] - sum)",
    ["engine/activation_means_test.ts", "lens/diff_test.ts"],
  ],
  [
    "the compensation is not added",
    "engine/activation_means.ts",
    "state[2 * i] + state[2 * i + 1]",
    "state[2 * i]",
    ["engine/activation_means_test.ts"],
  ],
  [
    "means divide by one document more",
    "engine/activation_means.ts",
    "sum / documents)",
    "sum / (documents + 1))",
    ["engine/activation_means_test.ts"],
  ],
  [
    "resumed sums begin anew",
    "engine/activation_means.ts",
    "const sums = resume?.[name] ?? new Float32Array(size);",
    "const sums = new Float32Array(size);",
    ["engine/activation_means_test.ts", "lens/diff_test.ts"],
  ],
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
export function hostMutants(): Mutant[] {
  return NAMED.map(([what, file, find, replace, files]) => ({
    what,
    file,
    find,
    replace,
    tests: files.map((one) => ({ files: [one] })),
  }));
}
