/** Holds a model's logits to float64, or, where that takes too long, to the other kernel variants. */

import { relativeL2 } from "../engine/audit/model_run.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import { openCheckpoint } from "../models/checkpoint_files.ts";
import { resolveSource } from "../models/source.ts";
import type { BenchContext } from "./context.ts";
import { referenceLogits } from "./reference_forward.ts";
import { blockParameters, headParameters, type ShapeName, SHAPES } from "./shapes.ts";

/** How many tokens are compared. */
const CHECKED = 8;

/** Weights up to which float64 is quick enough. */
const MOST_WEIGHTS = 2e8;

/** Relative L2 error of f32 logits, as the parity tests have it. */
const BOUND = 1e-5;

/**
 * Fails when the logits after the first tokens of `tokens`, taken from a pass over all of them, are wrong.
 *
 * @returns against what they were checked
 */
export async function checkModel(
  context: BenchContext,
  name: ShapeName,
  model: Transformer,
  tokens: readonly number[],
): Promise<string> {
  const positions = [CHECKED - 1];
  const logitsOf = async (model: Transformer, tokens: readonly number[]) => {
    const capture = [{ hook: "logits", positions }];
    const captured = await model.forward(model.batch([tokens]), { capture });
    const logits = await captured.get("logits").read();
    captured.release();
    return logits;
  };
  const logits = await logitsOf(model, tokens);
  const first = tokens.slice(0, CHECKED);
  const config = SHAPES[name];
  if (blockParameters(config) + headParameters(config) > MOST_WEIGHTS) {
    const { gpu } = context;
    const profile = gpu.profile === "software" ? "discrete" : "software";
    using other = await Gpu.open({ backend: gpu.backend, profile });
    const expected = await logitsOf(await context.load(name, other), first);
    if (expected.some((value, i) => !Object.is(value, logits[i]))) {
      throw new Error(`Cannot time ${name}: the ${profile} kernels give other bits`);
    }
    return `the bits of the ${profile} kernels`;
  }
  const source = await resolveSource(await context.modelFolder(name));
  const checkpoint = await openCheckpoint(source);
  try {
    const expected = await referenceLogits(checkpoint, config, first);
    const error = relativeL2(logits, expected);
    if (!(error <= BOUND)) throw new Error(`Cannot time ${name}: its logits are off by ${error}`);
    return `float64: ${error.toExponential(0)}`;
  } finally {
    checkpoint.close();
  }
}
