/** What the questions of a bench share: the device, its clock and ceilings, the models, and the rows so far. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import { type LoadedModel, loadFinetuned, loadModel } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { writeRandomAdapter, writeRandomModel } from "./large/random_model.ts";
import type { KernelCase } from "./kernels/case.ts";
import type { Clock, Effort } from "../engine/gpu/measure.ts";
import type { Row } from "./row.ts";
import { type ShapeName, SHAPES } from "./shapes.ts";

/** How the run was asked for. */
export interface BenchOptions {
  /** Names of rows with `*` for anything; all when empty. */
  only: readonly string[];
  models: readonly ShapeName[];
  /** Smaller sizes and fewer turns: to see that it works. */
  quick: boolean;
  /** Where random models are written, and found again. */
  folder: string;
  signal?: AbortSignal;
}

/** One run of the benches on one device. */
export class BenchContext {
  readonly rows: Row[] = [];
  /** GB/s of the copy kernel and GFLOP/s of the fma kernel, once they are measured. */
  readonly ceilings: { copy?: number; fma?: number } = {};
  /** The matrix product that was the fastest, in GFLOP/s, once they are measured. */
  bestMatmul?: KernelCase;
  readonly effort: Effort;
  readonly #patterns: RegExp[];
  #loaded?: { name: ShapeName; model: LoadedModel };

  constructor(readonly gpu: Gpu, readonly clock: Clock, readonly options: BenchOptions) {
    this.effort = options.quick ? { turns: 3, least: 20 } : { turns: 5, least: 100 };
    this.#patterns = options.only.map((name) =>
      new RegExp(`^${name.split("*").map((part) => RegExp.escape(part)).join(".*")}$`)
    );
  }

  /** Whether a row was asked for. */
  wants(name: string): boolean {
    return this.#patterns.length === 0 || this.#patterns.some((pattern) => pattern.test(name));
  }

  /** Those of these names that were asked for. */
  wanted(names: readonly string[]): string[] {
    return names.filter((name) => this.wants(name));
  }

  /** Keeps a row, and shows on standard error that it is there. */
  add(row: Row): void {
    this.rows.push(row);
    const { name, value, unit, note } = row;
    const what = Number.isFinite(value) ? `${Number(value.toPrecision(4))} ${unit}` : note;
    console.error(`${name}: ${what}`);
  }

  /** The folder of a random model, written where it is not there yet. */
  async modelFolder(name: ShapeName): Promise<string> {
    return await this.#written(name, (folder) => writeRandomModel(folder, SHAPES[name], 1));
  }

  /** A folder, written where it is not there yet. */
  async #written(name: string, write: (folder: string) => Promise<void>): Promise<string> {
    const folder = `${this.options.folder}/${name}`;
    const done = `${folder}/complete`;
    if (!await Deno.stat(done).catch(() => undefined)) {
      console.error(`Writing random weights of ${name}`);
      await write(folder);
      await Deno.writeTextFile(done, "");
    }
    return folder;
  }

  /** A random model on this device. It stays until another is asked for: the large ones take long to load. */
  async model(name: ShapeName): Promise<Transformer> {
    return (await this.#model(name)).transformer;
  }

  async #model(name: ShapeName): Promise<LoadedModel> {
    if (this.#loaded?.name === name) return this.#loaded.model;
    this.drop();
    const source = await resolveSource(await this.modelFolder(name));
    const model = await loadModel(this.gpu, source);
    this.#loaded = { name, model };
    return model;
  }

  /** That model under a random adapter of this rank on all linear layers; whoever asks for it destroys it. */
  async adapted(name: ShapeName, rank: number): Promise<Transformer> {
    const base = await this.#model(name);
    const folder = await this.#written(
      `${name}-lora${rank}`,
      (folder) => writeRandomAdapter(folder, SHAPES[name], rank, 2),
    );
    return (await loadFinetuned(this.gpu, base, await resolveSource(folder))).transformer;
  }

  /** Frees the model. */
  drop(): void {
    this.#loaded?.model.transformer.destroy();
    this.#loaded = undefined;
  }

  /** A random model on any device; whoever asks for it destroys it. */
  async load(name: ShapeName, gpu: Gpu): Promise<Transformer> {
    const source = await resolveSource(await this.modelFolder(name));
    return (await loadModel(gpu, source)).transformer;
  }
}

/** Token ids that look like nothing, the same for one seed. */
export function someTokens(length: number, vocabulary: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => (seed * 7919 + i * 104_729 + 17) % vocabulary);
}
