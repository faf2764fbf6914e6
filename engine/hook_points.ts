/** What happens at the hooks of a pass: edits, then captures, and the pass's end after the last that is wanted. */

import { type Batch, rowsAt } from "./batch.ts";
import { addedVector, applyEdit } from "./edits.ts";
import { UsageError } from "./errors.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { DeviceTensor } from "./gpu/tensor.ts";
import {
  BLOCK_HOOKS,
  type Capture,
  type HookEdit,
  type HookName,
  hookOrder,
  hookWidth,
} from "./hooks.ts";
import type { ModelSpec } from "./model_spec.ts";
import type { AddedVector } from "./ops/few_rows.ts";
import { copyRows } from "./ops/rows.ts";

/** What a forward pass kept: at each captured hook a tensor `[rows, width]` and the rows of each sequence. */
export class Captured {
  #tensors = new Map<HookName, { tensor: DeviceTensor; offsets: Uint32Array }>();

  /** @internal Stores one capture. */
  set(hook: HookName, tensor: DeviceTensor, offsets: Uint32Array): void {
    this.#tensors.set(hook, { tensor, offsets });
  }

  /** Activations at a hook, sequences end to end. */
  get(hook: HookName): DeviceTensor {
    return this.#tensors.get(hook)!.tensor;
  }

  /** Where each sequence's rows begin at a hook, and the end of the last: `[sequences + 1]`. */
  offsets(hook: HookName): Uint32Array {
    return this.#tensors.get(hook)!.offsets;
  }

  /** The hooks that were captured. */
  hooks(): HookName[] {
    return [...this.#tensors.keys()];
  }

  /** Gives all buffers back. */
  release(): void {
    for (const { tensor } of this.#tensors.values()) tensor.release();
    this.#tensors.clear();
  }
}

/** The hooks of one pass. */
export class HookPoints {
  readonly captured = new Captured();
  readonly #captures: Required<Capture>[];
  readonly #edits: readonly HookEdit[];
  /** Order of the last hook that anything depends on; the pass ends there. */
  readonly #last: number;

  /**
   * @param from the layer at which the pass begins; undefined for the embedding
   * @param least the order of a hook that the pass must reach whatever is captured
   * @throws {UsageError} for a hook that the model does not have, or that lies before the pass's beginning
   */
  constructor(
    private readonly spec: ModelSpec,
    private readonly batch: Batch,
    private readonly recorder: Recorder,
    wanted: {
      capture?: readonly (HookName | Capture)[];
      edits?: readonly HookEdit[];
      from?: number;
      least?: number;
    },
  ) {
    this.#captures = (wanted.capture ?? []).map((c) =>
      typeof c === "string" ? { hook: c, positions: "all" } : { positions: "all", ...c }
    );
    this.#edits = wanted.edits ?? [];
    const orders = this.#captures.map(({ hook }) => hookOrder(spec, hook));
    this.#last = Math.max(wanted.least ?? -Infinity, ...orders);
    // A pass that starts at a layer is given the residual after the one before, so that hook is met too.
    const first = wanted.from === undefined
      ? -1
      : Math.max(0, wanted.from * BLOCK_HOOKS.length - 1);
    for (const { hook } of [...this.#captures, ...this.#edits]) {
      if (hookOrder(spec, hook) < first) {
        throw new UsageError(
          `Cannot reach hook "${hook}": the pass starts at layer ${wanted.from}`,
        );
      }
    }
  }

  /** Whether nothing is wanted of the pass at all. */
  get nothing(): boolean {
    return this.#last === -Infinity;
  }

  /** Whether anything happens at a hook: an edit, a capture, or the end of the pass. */
  uses(hook: HookName): boolean {
    return this.#edits.some((edit) => edit.hook === hook) || this.#seen(hook);
  }

  /** Whether somebody looks at a hook, or the pass ends there. */
  #seen(hook: HookName): boolean {
    return this.#captures.some((capture) => capture.hook === hook) ||
      hookOrder(this.spec, hook) >= this.#last;
  }

  /** The edit of a hook where nothing else happens and every row gets the same vector; it is then for the caller to do instead of a visit. */
  addedVector(hook: HookName): AddedVector | undefined {
    const [edit, ...others] = this.#edits.filter((edit) => edit.hook === hook);
    if (!edit || others.length > 0 || this.#seen(hook)) return undefined;
    return addedVector(this.recorder, this.spec, this.batch, edit);
  }

  /**
   * Applies the edits of a hook, keeps its captures, and tells whether the pass is over. `rows` are the batch rows
   * that `x` holds, all of them when absent.
   */
  visit(hook: HookName, x: GPUBuffer, rows?: readonly number[]): boolean {
    for (const edit of this.#edits) {
      if (edit.hook === hook) applyEdit(this.recorder, this.spec, this.batch, edit, x, rows);
    }
    for (const { hook: name, positions } of this.#captures) {
      if (name === hook) this.#capture(name, positions, x, rows);
    }
    return hookOrder(this.spec, hook) >= this.#last;
  }

  /**
   * Likewise at the last hook, where nobody needs `x` `[rows, ·]` any more: a capture of all of it takes it as it is.
   *
   * @returns whether it was taken
   */
  visitLast(hook: HookName, x: DeviceTensor, rows: readonly number[]): boolean {
    const captures = this.#captures.filter((capture) => capture.hook === hook);
    const wanted = Array.from(
      this.batch.starts,
      (_, s) => rowsAt(this.batch, s, captures[0]?.positions ?? []),
    );
    if (captures.length !== 1 || wanted.flat().join() !== rows.join()) {
      this.visit(hook, x.buffer, rows);
      return false;
    }
    for (const edit of this.#edits) {
      if (edit.hook === hook) applyEdit(this.recorder, this.spec, this.batch, edit, x.buffer, rows);
    }
    const offsets = new Uint32Array(wanted.length + 1);
    wanted.forEach((some, s) => offsets[s + 1] = offsets[s] + some.length);
    this.captured.set(hook, x, offsets);
    return true;
  }

  /** The batch rows, in rising order, that captures after the last block want. */
  rowsOfTail(): number[] {
    const lastBlockHook = this.spec.layers * BLOCK_HOOKS.length - 1;
    const wanted = this.#captures.filter(({ hook }) => hookOrder(this.spec, hook) > lastBlockHook);
    const kept = new Uint8Array(this.batch.tokens);
    for (let s = 0; s < this.batch.starts.length; s++) {
      for (const { positions } of wanted) {
        for (const row of rowsAt(this.batch, s, positions)) kept[row] = 1;
      }
    }
    const rows: number[] = [];
    kept.forEach((one, row) => {
      if (one) rows.push(row);
    });
    return rows;
  }

  /** The listed rows of `x` `[·, width]` in a tensor of their own. */
  gather(x: GPUBuffer, rows: readonly number[], width: number): DeviceTensor {
    const { recorder } = this;
    const out = recorder.gpu.tensor([rows.length, width]);
    if (rows.every((row, i) => row === i)) {
      recorder.copy(x, 0, out.buffer, 0, rows.length * width * 4);
    } else {
      const pairs = recorder.upload(Uint32Array.from(rows.flatMap((row, i) => [row, i])));
      copyRows(recorder, { pairs, x, out: out.buffer, count: rows.length, width });
    }
    return out;
  }

  #capture(
    hook: HookName,
    positions: Capture["positions"],
    x: GPUBuffer,
    held?: readonly number[],
  ): void {
    const { batch } = this;
    const placeOf = held && new Map(held.map((row, place) => [row, place]));
    const offsets = new Uint32Array(batch.starts.length + 1);
    const places: number[] = [];
    for (let s = 0; s < batch.starts.length; s++) {
      for (const row of rowsAt(batch, s, positions!)) places.push(placeOf?.get(row) ?? row);
      offsets[s + 1] = places.length;
    }
    this.captured.set(hook, this.gather(x, places, hookWidth(this.spec, hook)), offsets);
  }
}
