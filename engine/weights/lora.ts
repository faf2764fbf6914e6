/** LoRA adapters as data: which module each pair of tensors belongs to, checked against the base model's sizes. */

import { ModelError } from "../errors.ts";
import { BLOCK_LINEARS, type BlockLinear, linearShape, type ModelSpec } from "../model_spec.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { isFloatDtype } from "./dtype.ts";
import type { AdapterConfig } from "./lora_config.ts";
import { quote } from "./names.ts";
import type { TensorInfo } from "./safetensors.ts";

/** The low-rank change of one linear layer: `W·x + scale · B·(A·x)`. */
export interface LoraModule {
  /** Path in the base model, such as `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** Index of the block. */
  readonly layer: number;
  readonly linear: BlockLinear;
  readonly rank: number;
  readonly scale: number;
  /** `[rank, in]`, in the dtype as stored. */
  readonly a: TensorInfo;
  /** `[out, rank]`, in the dtype as stored. */
  readonly b: TensorInfo;
}

/** An adapter that fits its base. */
export interface LoraAdapter {
  readonly name: string;
  /** Where `a` and `b` of the modules are read, by their names. */
  readonly checkpoint: Checkpoint;
  /** By layer, then in the order of {@link BLOCK_LINEARS}. */
  readonly modules: readonly LoraModule[];
}

/** PEFT's spelling of a tensor: the path of the wrapped module, then which of the two factors it is. */
const TENSOR_NAME = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

/**
 * Fits an adapter to a base model. No weights are read.
 *
 * @throws {ModelError} if a tensor is not understood, belongs to no linear layer of the base, has no partner, or has
 *   sizes other than the base's and the config's; or if targeted layers have no weights
 */
export function loadLora(
  config: AdapterConfig,
  checkpoint: Checkpoint,
  spec: ModelSpec,
): LoraAdapter {
  const fail: Fail = (what) =>
    new ModelError(`LoRA adapter "${config.name}" does not fit the base model: ${what}`);
  const factors = collectFactors(checkpoint, fail);
  if (factors.size === 0) {
    throw new ModelError(`Cannot load LoRA adapter "${config.name}": it has no tensors`);
  }
  const modules: LoraModule[] = [];
  for (let layer = 0; layer < spec.layers; layer++) {
    for (const linear of BLOCK_LINEARS) {
      const module = `${spec.tensors.block(layer)}.${linear}`;
      const pair = factors.get(module);
      factors.delete(module);
      if (pair) modules.push(fitModule({ module, layer, linear }, pair, config, spec, fail));
      checkTargeted(module, pair !== undefined, config, fail);
    }
  }
  const [stranger] = factors.keys();
  if (stranger !== undefined) throw fail(describeStranger(stranger, spec));
  return { name: config.name, checkpoint, modules };
}

type Fail = (what: string) => Error;

/** The tensors of one module. */
interface Factors {
  A?: TensorInfo;
  B?: TensorInfo;
}

function collectFactors(checkpoint: Checkpoint, fail: Fail): Map<string, Factors> {
  const factors = new Map<string, Factors>();
  for (const name of checkpoint.names()) {
    const [, module, factor] = TENSOR_NAME.exec(name) ?? [];
    if (!module) {
      throw fail(`its tensor ${quote(name)} is not the lora_A or lora_B of a linear layer`);
    }
    const pair = factors.get(module) ?? {};
    pair[factor as "A" | "B"] = checkpoint.info(name);
    factors.set(module, pair);
  }
  return factors;
}

function fitModule(
  place: Pick<LoraModule, "module" | "layer" | "linear">,
  { A: a, B: b }: Factors,
  config: AdapterConfig,
  spec: ModelSpec,
  fail: Fail,
): LoraModule {
  const { module, linear } = place;
  if (!a || !b) throw fail(`${module} has a ${a ? "lora_A" : "lora_B"} without its partner`);
  const rank = config.rankOf(module);
  const [outputs, inputs] = linearShape(spec, linear);
  checkFactor(a, [rank, inputs], fail);
  checkFactor(b, [outputs, rank], fail);
  return { ...place, rank, scale: config.scaleOf(module), a, b };
}

function checkFactor({ name, shape, dtype }: TensorInfo, expected: number[], fail: Fail): void {
  if (shape.length !== 2 || shape[0] !== expected[0] || shape[1] !== expected[1]) {
    throw fail(
      `${quote(name)} has shape [${shape.join(", ")}], expected [${expected.join(", ")}]`,
    );
  }
  if (!isFloatDtype(dtype)) throw fail(`${quote(name)} has dtype ${dtype}, not F32, F16 or BF16`);
}

/**
 * PEFT targets a module whose path is, or ends with `.` and, a name of the list. One that is targeted and has no weights
 * tells of a base with fewer layers, or of a file that is not whole; one the other way round, of a config of another adapter.
 */
function checkTargeted(module: string, hasWeights: boolean, config: AdapterConfig, fail: Fail) {
  if (!config.targetModules) return;
  const target = config.targetModules.find((name) =>
    module === name || module.endsWith(`.${name}`)
  );
  if (hasWeights && target === undefined) {
    throw fail(`it has weights for ${module}, which its target_modules do not name`);
  }
  if (!hasWeights && target !== undefined && config.targetsAllLayers) {
    throw fail(`it targets ${quote(target)}, but has no weights for ${module}`);
  }
}

function describeStranger(module: string, spec: ModelSpec): string {
  const layer = Number(/\.(\d+)\./.exec(module)?.[1] ?? -1);
  const known = BLOCK_LINEARS.some((linear) => module.endsWith(`.${linear}`));
  return known && layer >= spec.layers
    ? `it has weights for ${quote(module)}, but the base has ${spec.layers} layers`
    : `it has weights for ${quote(module)}, which the base does not have as a linear layer`;
}
