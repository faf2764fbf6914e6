/** Hook points under TransformerLens names: where a forward pass can be captured and edited. */

import type { Positions } from "./batch.ts";
import { UsageError } from "./errors.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import type { ModelSpec } from "./model_spec.ts";

/** Hook points within a block, in the order in which a forward pass meets them. */
export const BLOCK_HOOKS = [
  "hook_resid_pre",
  "hook_attn_out",
  "hook_resid_mid",
  "hook_mlp_out",
  "hook_resid_post",
] as const;

/** A hook name: `hook_embed`, `blocks.{i}.{one of BLOCK_HOOKS}`, `ln_final.hook_normalized` or `logits`. */
export type HookName = string;

/** A request to keep the activations at a hook. */
export interface Capture {
  hook: HookName;
  /** Default: all. */
  positions?: Positions;
}

/** A change to the activations at a hook, before they go on (and before they are captured there). */
export interface Edit {
  hook: HookName;
  /**
   * `add`: h + scale·v. `replace`: scale·v. `project`: the component of h along v/‖v‖ becomes `scale` (0 removes it).
   */
  op: "add" | "replace" | "project";
  /** `[width of the hook]`. */
  vector: Float32Array;
  /** One number, or one for each sequence of the batch, of which null leaves it as it is. Default: 1, for `project` 0. */
  scale?: number | readonly (number | null)[];
  /** Default: all. Positions of the whole sequence, so a cached prefix counts. */
  positions?: Positions;
}

/**
 * A change of one component of every row, along a vector of the sequence's own: many variants of an intervention run as
 * the sequences of one batch. h + (c − ⟨h, v̂⟩)·v̂, where v̂ = v/‖v‖ and c is the component of another activation, or 0.
 */
export interface ComponentEdit {
  hook: HookName;
  op: "component";
  /** One for each sequence of the batch, `[width of the hook]`; null leaves a sequence as it is. One array may stand many times. */
  vectors: readonly (Float32Array | null)[];
  /**
   * Where the components come from: row i of sequence s takes that of row `firstRows[s] + i` of `tensor` `[rows, width]`, so
   * that variants of one text share the rows. Absent: the component becomes 0.
   */
  from?: { tensor: DeviceTensor; firstRows: readonly number[] };
  /** Default: all. */
  positions?: Positions;
}

/** Whatever may be changed at a hook. */
export type HookEdit = Edit | ComponentEdit;

/** What {@link hookOrder} has said of a model: every pass asks for each of its hooks several times. */
const ORDERS = new WeakMap<ModelSpec, Map<HookName, number>>();

/**
 * Where a hook stands in the order of a forward pass: `hook_embed` is −1, then five a block, then the final two.
 *
 * @throws {UsageError} for an unknown hook.
 */
export function hookOrder(spec: ModelSpec, hook: HookName): number {
  const orders = ORDERS.get(spec) ?? new Map<HookName, number>();
  let order = orders.get(hook);
  if (order === undefined) {
    order = readOrder(spec, hook);
    ORDERS.set(spec, orders.set(hook, order));
  }
  return order;
}

function readOrder(spec: ModelSpec, hook: HookName): number {
  if (hook === "hook_embed") return -1;
  const end = spec.layers * BLOCK_HOOKS.length;
  if (hook === "ln_final.hook_normalized") return end;
  if (hook === "logits") return end + 1;
  const [, layer, point] = /^blocks\.(0|[1-9]\d{0,5})\.(\w+)$/.exec(hook) ?? [];
  const place = BLOCK_HOOKS.indexOf(point as typeof BLOCK_HOOKS[number]);
  if (place >= 0 && Number(layer) < spec.layers) return Number(layer) * BLOCK_HOOKS.length + place;
  throw new UsageError(
    `Unknown hook "${hook}": this model has hook_embed, blocks.{0-${spec.layers - 1}}.{${
      BLOCK_HOOKS.join(", ")
    }}, ln_final.hook_normalized and logits`,
  );
}

/** Values a token has at a hook. */
export function hookWidth(spec: ModelSpec, hook: HookName): number {
  return hook === "logits" ? spec.vocabSize : spec.hiddenSize;
}

/**
 * Expands `*` in a block's place to every layer, and checks each name.
 *
 * @throws {UsageError} for an unknown hook.
 */
export function expandHooks(spec: ModelSpec, names: readonly string[]): HookName[] {
  const all = names.flatMap((name) =>
    name.startsWith("blocks.*.")
      ? Array.from({ length: spec.layers }, (_, i) => name.replace("*", String(i)))
      : [name]
  );
  for (const name of all) hookOrder(spec, name);
  return [...new Set(all)];
}
