/** Bugs in the passes of the engine: places, scales, hooks, edits, sums. Each with the tests that must see it. */

import { type NamedBug, namedMutants } from "./named.ts";

const INVARIANCE = "tests/invariance_test.ts";
const HOOKS = "tests/hooks_test.ts";
const EDITS = "tests/edits_test.ts";
const PARITY = "tests/parity_test.ts";
const TABLES = "tests/adapter_tables_test.ts";
const GENERATION = "tests/generation_test.ts";

const BUGS: readonly NamedBug[] = [
  [
    "positions are one too far",
    "engine/batch.ts",
    "info[4 * t + 3] = starts[s] + i;",
    "info[4 * t + 3] = starts[s] + i + 1;",
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
    "engine/block_products.ts",
    "rows, addScaled: lora.scale",
    "rows, addScaled: 1",
    [PARITY],
  ],
  [
    "the adapter's scale is squared",
    "engine/block_products.ts",
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
    "engine/block_products.ts",
    "if (bias) addBias(recorder,",
    "if (bias) addBias(recorder, { x: y, bias, rows, width: weight.rows, columns });\n    if (bias) addBias(recorder,",
    [PARITY, "tests/slow/invariance_test.ts"],
  ],
  [
    "what the last sublayer adds through a norm is left out",
    "engine/forward_pass.ts",
    "    this.#blocks.settle(stream);\n",
    "",
    [INVARIANCE],
  ],
  [
    "what a streamed layer adds is left to the next one",
    "engine/block_pass.ts",
    'this.joins && !(place === "mlpOut" && block.stages)',
    "this.joins",
    ["tests/streaming_test.ts"],
  ],
  [
    "each step through streamed layers goes on through all that follow",
    "engine/lane.ts",
    "partial: true",
    "partial: false",
    ["tests/streaming_test.ts"],
  ],
  [
    "an adapter's factors get the stream without what a sublayer adds",
    "engine/adapted_product.ts",
    "x: join?.sum ?? x",
    "x",
    ["tests/sublayer_norm_test.ts"],
  ],
  [
    "a norm after a sublayer goes with the next product whatever was tuned",
    "engine/fused_product.ts",
    'if (join?.kind === "normed" && sublayerNorm(gpu, stack, rows) === "apart") return false;',
    "",
    ["tests/sublayer_norm_test.ts"],
  ],
  [
    "a kernel runs that binds more buffers than the adapter",
    "engine/ops/matvec_fused.ts",
    "return limits.maxStorageBuffersPerShaderStage >= STORAGE_BUFFERS;",
    "return true;",
    ["engine/ops/matvec_fused_test.ts"],
  ],
  [
    "a hook sees the stream without what is still to be added",
    "engine/forward_pass.ts",
    "      this.#blocks.handOver(resid);\n      return this.#hooks.visit(",
    "      return this.#hooks.visit(",
    [INVARIANCE, HOOKS],
  ],
  [
    "a sublayer's output is in the stream before its hook",
    "engine/forward_pass.ts",
    "!this.#hooks.uses(`blocks.${layer}.${point}`)",
    "true",
    [HOOKS, EDITS],
  ],
  [
    "products read the residual stream as it was before an edit",
    "engine/block_pass.ts",
    "    this.settle(resid);\n    this.#products.forget();",
    "    this.settle(resid);",
    [EDITS, HOOKS],
  ],
  [
    "an edit is left to the next product where somebody looks",
    "engine/hook_points.ts",
    "if (!edit || others.length > 0 || this.#seen(hook)) return undefined;",
    "if (!edit || others.length > 0) return undefined;",
    ["tests/joined_edit_test.ts"],
  ],
  [
    "of two edits of a hook only the first is done",
    "engine/hook_points.ts",
    "if (!edit || others.length > 0 || this.#seen(hook)) return undefined;",
    "if (!edit || this.#seen(hook)) return undefined;",
    ["tests/edits_test.ts", "tests/joined_edit_test.ts"],
  ],
  [
    "an edit of some rows is left to the next product as if all had it",
    "engine/edits.ts",
    "if (planned.entries.length < 4 * batch.tokens) return undefined;",
    "",
    ["tests/joined_edit_test.ts"],
  ],
  [
    "an edit comes before what a sublayer leaves to be added",
    "engine/block_pass.ts",
    "    this.handOver(resid);\n    resid.pending = edit;",
    "    resid.pending = edit;",
    ["tests/joined_edit_test.ts"],
  ],
  [
    "an edit that no product takes is lost",
    "engine/block_pass.ts",
    'editRows(this.recorder, "add", { x, vectors: vector, entries, count, width });',
    "",
    ["tests/edits_test.ts", "tests/joined_edit_test.ts"],
  ],
  [
    "steps share what one owner uploads, if it begins alike",
    "engine/gpu/recorder.ts",
    "known.get(words);\n    if (!buffer) known.add(words, buffer = this.upload(data));",
    "known.get(words, 1);\n    if (!buffer) known.add(words, buffer = this.upload(data), 1);",
    ["engine/gpu/recorder_test.ts"],
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
    "      first += count;\n      return { y: qkv, columns };",
    "      first += linears[1].weight.rows;\n      return { y: qkv, columns };",
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
    if (at("hook_resid_mid")) return true;`,
    `    if (at("hook_resid_mid")) return true;
    if (attended) add(attended);`,
    [HOOKS, EDITS, PARITY],
  ],
  [
    "hook_resid_pre is the next layer's",
    "engine/forward_pass.ts",
    'if (at("hook_resid_pre")) return true;',
    'if (layer > 0 && at("hook_resid_pre")) return true;',
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
];

/** The list. */
export const passMutants = () => namedMutants(BUGS);
