/** Several models of one family, of which as many are on the device as fit. */

import { ModelError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { ModelSpec } from "../engine/model_spec.ts";
import type { Transformer } from "../engine/transformer.ts";
import { openCheckpoint } from "./checkpoint_files.ts";
import {
  checkSameSizes,
  loadFinetuned,
  loadMixed,
  loadModel,
  type LoadOptions,
  readSpec,
} from "./load_model.ts";
import { weightBytes, type WeightBytesOptions, workingBytes } from "./memory.ts";
import type { ModelSource } from "./source.ts";

/** Called when a model begins to load; what it returns is told how the loading goes, and of its end. */
export type LoadWatch = (
  name: string,
) => Pick<LoadOptions, "progress" | "streaming"> & { done(): void };

/** Two models to be compared. */
export interface ModelPair {
  readonly spec: ModelSpec;
  /** Whether both can be on the device at once. If not, asking for one drops the other. */
  readonly together: boolean;
  base(): Promise<Transformer>;
  finetuned(): Promise<Transformer>;
}

/** Two models that are on the device already. */
export function loadedPair(base: Transformer, finetuned: Transformer): ModelPair {
  return {
    spec: base.spec,
    together: true,
    base: () => Promise.resolve(base),
    finetuned: () => Promise.resolve(finetuned),
  };
}

interface Slot {
  source: ModelSource;
  /** The model that an adapter changes. */
  base?: string;
  /** How far the model is from `mixedWith`; 1 where it is as it was trained. */
  strength: number;
  /** The base between which and itself a whole checkpoint is taken. */
  mixedWith?: ModelSource;
  spec: ModelSpec;
  /** What it takes on the device, without its base. */
  bytes: number;
  loaded?: Transformer;
  /** When it was last asked for. */
  used: number;
}

/** Models by name, loaded when they are asked for. What has not been asked for longest makes room. */
export class ModelShelf {
  readonly #slots = new Map<string, Slot>();
  readonly #options: Pick<LoadOptions, "signal" | "planned">;
  #clock = 0;

  /** @param options for every model that is loaded */
  constructor(
    private readonly gpu: Gpu,
    private readonly watch?: LoadWatch,
    options: Pick<LoadOptions, "signal" | "planned"> = {},
  ) {
    const { signal, planned } = options;
    this.#options = { signal, planned };
  }

  /**
   * Puts a model on the shelf. Only its config and the headers of its weights are read.
   *
   * @param base the name of the model that it was finetuned from, which must be there; absent for the first
   * @param strength how far from the base it is taken: 0 is the base, 1 the model itself; between them a whole checkpoint is
   *   mixed in f32, which takes twice the memory of 16-bit weights
   * @throws {ModelError} for an adapter without a base, or a model of other sizes than its base
   */
  async add(name: string, source: ModelSource, base?: string, strength = 1): Promise<void> {
    const under = base === undefined ? undefined : this.#slot(base);
    if (source.kind === "adapter" && !under) {
      throw new ModelError(
        `Cannot load "${source.ref}" as a model: it is a LoRA adapter; name its base model too`,
      );
    }
    const adapter = source.kind === "adapter";
    const spec = adapter ? under!.spec : await readSpec(source);
    if (under) checkSameSizes({ ...under, ref: under.source.ref }, { spec, ref: source.ref });
    const mixedWith = !adapter && strength !== 1 ? under?.source : undefined;
    this.#slots.set(name, {
      source,
      base: adapter ? base : undefined,
      strength,
      mixedWith,
      spec,
      bytes: await bytesOf(source, spec, { widened: mixedWith !== undefined }),
      used: 0,
    });
  }

  /** The sizes and choices of a model. */
  spec(name: string): ModelSpec {
    return this.#slot(name).spec;
  }

  /** Whether all of these can be on the device at once, beside the activations. */
  fit(names: readonly string[]): boolean {
    const all = new Set(names.flatMap((name) => [name, this.#slot(name).base ?? name]));
    const working = workingBytes(this.spec(names[0]));
    const bytes = [...all].reduce((sum, name) => sum + this.#slot(name).bytes, working);
    return bytes <= this.gpu.buffers.budget;
  }

  /** A model on the device. Another one may have to go for it: do not keep what this returned before. */
  async get(name: string): Promise<Transformer> {
    return await this.#get(name, []);
  }

  /** As {@link get}; those of `beside` stay. */
  async #get(name: string, beside: readonly string[]): Promise<Transformer> {
    const slot = this.#slot(name);
    const base = slot.base === undefined ? undefined : await this.#get(slot.base, beside);
    slot.used = ++this.#clock;
    if (slot.loaded) return slot.loaded;
    this.#makeRoom(slot, beside);
    if (base) {
      const on = { source: slot.source, transformer: base };
      const options = { ...this.#options, strength: slot.strength };
      const tuned = await loadFinetuned(this.gpu, on, slot.source, options);
      return slot.loaded = tuned.transformer;
    }
    const watched = this.watch?.(slot.source.name);
    const options = { ...this.#options, ...watched };
    try {
      const { source, strength, mixedWith } = slot;
      const { transformer } = mixedWith
        ? await loadMixed(this.gpu, mixedWith, source, strength, options)
        : await loadModel(this.gpu, source, options);
      return slot.loaded = transformer;
    } finally {
      watched?.done();
    }
  }

  /** Two of the models as a pair. */
  pair(base: string, finetuned: string): ModelPair {
    // An adapter does nothing without its base.
    const together = this.#slot(finetuned).base === base || this.fit([base, finetuned]);
    const beside = together ? [base, finetuned] : [];
    return {
      spec: this.spec(base),
      together,
      base: () => this.#get(base, beside),
      finetuned: () => this.#get(finetuned, beside),
    };
  }

  /** Takes a model off the device. It can be asked for again. */
  unload(name: string): void {
    for (const [other, { base }] of this.#slots) if (base === name) this.unload(other);
    const slot = this.#slot(name);
    slot.loaded?.destroy();
    slot.loaded = undefined;
  }

  /** Takes everything off the device. */
  [Symbol.dispose](): void {
    for (const name of this.#slots.keys()) this.unload(name);
  }

  /** Unloads models, the longest unasked for first, until one more fits; its base and those of `beside` stay. */
  #makeRoom(wanted: Slot, beside: readonly string[]): void {
    const { buffers } = this.gpu;
    const needed = wanted.bytes + workingBytes(wanted.spec);
    const lacks = () => buffers.remainingBytes < needed;
    if (!lacks()) return;
    buffers.trim();
    const stays = [wanted.base, ...beside];
    const loaded = [...this.#slots].filter(([name, slot]) => slot.loaded && !stays.includes(name))
      .sort(([, a], [, b]) => a.used - b.used);
    for (const [name] of loaded) {
      if (!lacks()) return;
      this.unload(name);
    }
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (!slot) throw new ModelError(`There is no model called "${name}" on the shelf`);
    return slot;
  }
}

async function bytesOf(
  source: ModelSource,
  spec: ModelSpec,
  options: WeightBytesOptions,
): Promise<number> {
  const checkpoint = await openCheckpoint(source);
  try {
    return weightBytes(checkpoint, spec, options);
  } finally {
    checkpoint.close();
  }
}
