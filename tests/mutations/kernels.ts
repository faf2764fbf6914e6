/** Bugs in shaders that no rule makes. */

import type { Mutant } from "./mutant.ts";
import { shaderTests } from "./operators.ts";

type Named = [what: string, shader: string, find: string, replace: string];

const NAMED: readonly Named[] = [
  [
    "a mean that is not compensated",
    "accumulate",
    "compensation += fma(params.one, fma(params.one, larger, -next), smaller);",
    "",
  ],
  [
    "the compensation takes the smaller for the larger",
    "accumulate",
    "abs(sum) >= abs(term));\n    let smaller",
    "abs(sum) < abs(term));\n    let smaller",
  ],
  [
    "every draw of a sequence is the same",
    "sample",
    "rows[row].step + params.step",
    "rows[row].step",
  ],
  ["every sequence draws the same", "sample", "params.step, rows[row].stream,", "params.step, 0u,"],
  [
    "half of the seed is not used",
    "sample",
    "vec2(rows[row].seed_low, rows[row].seed_high)",
    "vec2(rows[row].seed_low, 0u)",
  ],
  [
    "the temperature is left out",
    "sample",
    "(highest - bitcast<f32>(bits)) * inverse",
    "(highest - bitcast<f32>(bits))",
  ],
  ["min-p is left out", "sample", "&& exponent <= depth", ""],
  [
    "of equal ones the last",
    "argmax",
    "keys[l] == most && places[l] < place",
    "keys[l] == most && places[l] > place",
  ],
  ["NaN counts as the largest", "argmax", "if (size > 0x7f800000u) {\n    return 0u;\n  }", ""],
  ["the penalty divides what is negative", "penalise", "value > 0.0)", "value < 0.0)"],
  [
    "of four tokens the wrong ones are seen",
    "penalise_vec4",
    "vec4(1u, 2u, 4u, 8u)",
    "vec4(8u, 4u, 2u, 1u)",
  ],
  ["infinity stays", "penalise_vec4", "bits == vec4(INFINITY)", "bits == vec4(1u)"],
  ["ties take one too many", "top_k", "equal_before < ties", "equal_before <= ties"],
  [
    "negative numbers in the wrong order",
    "kth_largest",
    "select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u)",
    "bits | 0x80000000u",
  ],
  [
    "the sine with the wrong sign",
    "rope",
    "fma(low, turn.x, -(high * turn.y))",
    "fma(low, turn.x, high * turn.y)",
  ],
  [
    "what does not turn is lost",
    "rope",
    "out[target_at + params.half] = high;\n    return;",
    "return;",
  ],
  [
    "a key goes one row too far in the cache",
    "rope",
    "place.z + place.w - place.y",
    "place.z + place.w - place.y + 1u",
  ],
  [
    "the sine with the wrong sign",
    "rope_vec4",
    "fma(low, cos, -(high * sin))",
    "fma(low, cos, high * sin)",
  ],
  [
    "what does not turn is lost",
    "rope_vec4",
    "out[target_at + half] = high;\n    return;",
    "return;",
  ],
  [
    "a key goes one row too far in the cache",
    "rope_vec4",
    "place.z + place.w - place.y",
    "place.z + place.w - place.y + 1u",
  ],
  [
    "the last window of the embedding is not read",
    "embedding",
    "row - params.first_row >= params.rows",
    "row - params.first_row + 1u >= params.rows",
  ],
  [
    "the first window is read for all",
    "embedding",
    "(row - params.first_row) * params.stride",
    "row * params.stride",
  ],
  [
    "the last row of a window is not read",
    "embedding_vec4",
    "row - params.first_row >= params.rows",
    "row - params.first_row + 1u >= params.rows",
  ],
  [
    "f16 is read as bf16",
    "embedding_vec4",
    "if (WEIGHT_DTYPE == 1u)",
    "if (WEIGHT_DTYPE == 3u)",
  ],
  [
    "replaced vectors are added",
    "edit",
    "x[at] = coefficient * value;",
    "x[at] = x[at] + coefficient * value;",
  ],
  [
    "a component is removed twice",
    "project",
    "bitcast<f32>(entry.z) - dot",
    "bitcast<f32>(entry.z) - 2.0 * dot",
  ],
  ["a token counts where one prompt has it", "intersect_mean", "in_all = in_all && ", "in_all = "],
  ["the mean is a sum", "intersect_mean", "sum / f32(params.prompts)", "sum"],
  ["losses are in bits", "token_loss", "= log(total)", "= log2(total)"],
  ["the loss forgets the maximum", "token_loss", "(highest - four(target_at", "(- four(target_at"],
  [
    "the cap is not multiplied back",
    "softcap",
    "x[i] = params.cap * soft_tanh",
    "x[i] = soft_tanh",
  ],
  ["the norm is squared", "row_norm", "out[row] = sqrt(total);", "out[row] = total;"],
  [
    "what a sublayer adds goes without its norm",
    "few_rows",
    "join_by[i] * (joined[at] / roots[4u + row])",
    "joined[at]",
  ],
  [
    "the norm is that of the stream before what is joined",
    "few_rows",
    "var v = x[at]; if (JOIN == 1u) {",
    "var v = x[at]; if (JOIN == 1u && roots[row] != 0.0) {",
  ],
  [
    "what a sublayer adds goes without its norm's weight",
    "matvec_fused",
    "join_by[i] * (joined[at] / roots[ROWS + row])",
    "joined[at] / roots[ROWS + row]",
  ],
  ["an edit's vector is not scaled", "few_rows", "fma(vec4(join_by[r].z), ", "fma(vec4(1.0), "],
  ["all rows have the first one's coefficient", "matvec_fused", "join_by[r].z", "join_by[0].z"],
  [
    "the root of what is joined is that of the stream",
    "matvec_fused",
    "roots[side * ROWS + thread] = ",
    "roots[thread] = ",
  ],
  [
    "the last row of the stream is not stored",
    "matvec_fused",
    "id % across == 0u && row + r < p.m",
    "id % across == 0u && row + r + 1u < p.m",
  ],
  [
    "each workgroup takes the first of the groups that it has in turn",
    "few_rows",
    "let group = (part * p.turns + turn) * SIDES",
    "let group = part * p.turns * SIDES",
  ],
  ["chunks are left out", "row_norm_vec4", "c += LANES", "c += LANES + 1u"],
  [
    "the norm divides by the width plus one",
    "rmsnorm",
    "total / f32(width)",
    "total / f32(width + 1u)",
  ],
  [
    "top-p keeps too little",
    "nucleus",
    "wanted = rows[row].p * above.x",
    "wanted = 0.5 * rows[row].p * above.x",
  ],
  ["the seen tokens are not kept", "commit_tokens", "seen[word] | (1u", "seen[word] & (1u"],
];

/** The list, with the tests of the ops that each shader is part of. */
export function kernelMutants(ops: readonly string[]): Mutant[] {
  return NAMED.map(([what, shader, find, replace]) => ({
    what,
    file: `shaders/${shader}.wgsl`,
    find,
    replace,
    tests: shaderTests(shader, ops),
  }));
}
