/** LoRA adapters as data: which module each pair of tensors belongs to, checked against the base model's sizes. */

import { ModelError } from "../errors.ts";
import { type BlockLinear, blockModules, type ModelSpec, modulePath } from "../model_spec.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { isFloatDtype } from "./dtype.ts";
import type { AdapterConfig } from "./lora_config.ts";
import { quote } from "./names.ts";
import type { TensorInfo } from "./safetensors.ts";

/** A pair of factors: `scale · B·(A·x)`. */
export interface LoraPair {
  /** Path in the base model as the adapter spells it, such as `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  readonly rank: number;
  readonly scale: number;
  /** `[rank, in]`, in the dtype as stored. */
  readonly a: TensorInfo;
  /** `[out, rank]`, in the dtype as stored. */
  readonly b: TensorInfo;
}

/** The low-rank change of one module of a block: `W·x + scale · B·(A·x)`. */
export interface LoraModule extends LoraPair {
  /** Index of the block. */
  readonly layer: number;
  /** The linear layers whose rows the module holds: one, or those of a fused module. */
  readonly linears: readonly BlockLinear[];
}

/** An adapter that fits its base. */
export interface LoraAdapter {
  readonly name: string;
  /** Where the tensors are read, by their names. */
  readonly checkpoint: Checkpoint;
  /** By layer, then in the order of `blockModules`. */
  readonly modules: readonly LoraModule[];
  /** Of the unembedding. */
  readonly head?: LoraPair;
  /** Of the embedding: `E[id] + scale · B·A[:, id]`, `A` `[rank, vocab]`, `B` `[hidden, rank]`. */
  readonly embedding?: LoraPair;
  /** Tables `[vocab, hidden]` that take the place of the base's own. */
  readonly tables: { readonly embedding?: TensorInfo; readonly head?: TensorInfo };
}

/** PEFT's spelling of a tensor: the path of the wrapped module, then which of the two factors it is. */
const FACTOR_NAME = /^base_model\.model\.(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?$/;

/** A whole weight that PEFT saved beside the factors (`modules_to_save`, `save_embedding_layers`). */
const WEIGHT_NAME = /^base_model\.model\.(.+?)(?:\.base_layer|\.modules_to_save)?\.weight$/;

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
  const { roots, heads, ignored = [] } = spec.tensors;
  const { factors, weights } = collectTensors(checkpoint, fail);
  if (factors.size + weights.size === 0) {
    throw new ModelError(`Cannot load LoRA adapter "${config.name}": it has no tensors`);
  }
  const take = (paths: readonly string[], shape: readonly [number, number]) => {
    const module = paths.find((path) => factors.has(path));
    checkTargeted(module ?? paths[0], module !== undefined, config, fail);
    if (module === undefined) return undefined;
    const pair = factors.get(module)!;
    factors.delete(module);
    return fitPair(module, shape, pair, config, fail);
  };
  const saved: string[] = [];
  const takeTable = (paths: readonly string[]) => {
    const path = paths.find((path) => weights.has(path));
    if (path === undefined) return undefined;
    const info = weights.get(path)!;
    weights.delete(path);
    checkTensor(info, [spec.vocabSize, spec.hiddenSize], fail);
    saved.push(path);
    return { info, alone: config.savedModules.some((name) => isNamed(path, name)) };
  };

  const modules: LoraModule[] = [];
  const inBlock = blockModules(spec);
  for (let layer = 0; layer < spec.layers; layer++) {
    for (const { module: name, linears, shape } of inBlock) {
      const pair = take(roots.map((root) => modulePath(root, `layers.${layer}.${name}`)), shape);
      if (pair) modules.push({ ...pair, layer, linears });
    }
  }
  const tables = roots.map((root) => modulePath(root, "embed_tokens"));
  const headPaths = heads.map((name) => name.replace(/\.weight$/, ""));
  const { vocabSize, hiddenSize } = spec;
  const head = take(headPaths, [vocabSize, hiddenSize]);
  const embedding = take(tables, [hiddenSize, vocabSize]);
  const [savedEmbedding, savedHead] = [takeTable(tables), takeTable(headPaths)];
  // A tied table that was saved for itself (its vocabulary had grown) is the head's too; a trained copy is not.
  const follows = spec.tiedHead && savedEmbedding && !savedEmbedding.alone;

  const stranger = [...factors.keys(), ...weights.keys()].find((path) =>
    !ignored.some((prefix) => path.startsWith(`${prefix}.`))
  );
  if (stranger !== undefined) throw fail(describeStranger(stranger, spec));
  const unsaved = config.savedModules.find((name) => !saved.some((path) => isNamed(path, name)));
  if (unsaved !== undefined) {
    throw fail(`its modules_to_save name ${quote(unsaved)}, of which it has no weights`);
  }
  return {
    name: config.name,
    checkpoint,
    modules,
    head,
    embedding,
    tables: {
      embedding: savedEmbedding?.info,
      head: savedHead?.info ?? (follows ? savedEmbedding.info : undefined),
    },
  };
}

type Fail = (what: string) => Error;

/** The tensors of one module. */
interface Factors {
  A?: TensorInfo;
  B?: TensorInfo;
}

function collectTensors(checkpoint: Checkpoint, fail: Fail) {
  const factors = new Map<string, Factors>();
  const weights = new Map<string, TensorInfo>();
  for (const name of checkpoint.names()) {
    const [, module, factor] = FACTOR_NAME.exec(name) ?? [];
    const [, whole] = WEIGHT_NAME.exec(name) ?? [];
    if (module) {
      const pair = factors.get(module) ?? {};
      pair[factor as "A" | "B"] = checkpoint.info(name);
      factors.set(module, pair);
    } else if (whole && !whole.includes(".lora_")) {
      weights.set(whole, checkpoint.info(name));
    } else {
      throw fail(`its tensor ${quote(name)} is not the lora_A or lora_B of a linear layer`);
    }
  }
  return { factors, weights };
}

function fitPair(
  module: string,
  [outputs, inputs]: readonly [number, number],
  { A: a, B: b }: Factors,
  config: AdapterConfig,
  fail: Fail,
): LoraPair {
  if (!a || !b) throw fail(`${module} has a ${a ? "lora_A" : "lora_B"} without its partner`);
  const rank = config.rankOf(module);
  checkTensor(a, [rank, inputs], fail);
  checkTensor(b, [outputs, rank], fail);
  return { module, rank, scale: config.scaleOf(module), a, b };
}

function checkTensor({ name, shape, dtype }: TensorInfo, expected: number[], fail: Fail): void {
  if (shape.length !== 2 || shape[0] !== expected[0] || shape[1] !== expected[1]) {
    throw fail(
      `${quote(name)} has shape [${shape.join(", ")}], expected [${expected.join(", ")}]`,
    );
  }
  if (!isFloatDtype(dtype)) throw fail(`${quote(name)} has dtype ${dtype}, not F32, F16 or BF16`);
}

/**
 * A module that is targeted and has no weights tells of a base with fewer layers, or of a file that is not whole; one the other way round, of a config of another adapter.
 */
function checkTargeted(module: string, hasWeights: boolean, config: AdapterConfig, fail: Fail) {
  if (!config.targetModules) return;
  const target = config.targetModules.find((name) => isNamed(module, name));
  if (hasWeights && target === undefined) {
    throw fail(`it has weights for ${module}, which its target_modules do not name`);
  }
  if (!hasWeights && target !== undefined && config.targetsAllLayers) {
    throw fail(`it targets ${quote(target)}, but has no weights for ${module}`);
  }
}

/** PEFT's rule: the path is the name, or ends with a point and the name. */
function isNamed(path: string, name: string): boolean {
  return path === name || path.endsWith(`.${name}`);
}

function describeStranger(module: string, spec: ModelSpec): string {
  const layer = Number(/\.(\d+)\./.exec(module)?.[1] ?? -1);
  const known = blockModules(spec).some(({ module: name }) => module.endsWith(`.${name}`));
  return known && layer >= spec.layers
    ? `it has weights for ${quote(module)}, but the base has ${spec.layers} layers`
    : `it has weights for ${quote(module)}, which the base does not have as a linear layer`;
}
