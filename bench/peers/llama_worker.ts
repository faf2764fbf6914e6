/**
 * llama.cpp through the prebuilt addon of node-llama-cpp, called directly: its own loop would be timed otherwise.
 * Arguments: the addon's folder, the GGUF file, how many layers go to the GPU, sequences of a pass at most.
 */

import { createRequire } from "node:module";
import { type Peer, servePeer } from "./worker.ts";

/** What is used of the addon, by its own declarations (`bindings/AddonTypes.d.ts` of node-llama-cpp 3.22). */
interface Addon {
  setLogger(logger: (level: number, message: string) => void): void;
  loadBackends(folder?: string): void;
  init(): Promise<void>;
  AddonModel: new (path: string, options: object) => { init(): Promise<boolean> };
  AddonContext: new (model: object, options: object) => Context;
  AddonSampler: new (model: object) => { applyConfig(config: object): void };
}

interface Context {
  init(): Promise<boolean>;
  initBatch(size: number): void;
  addToBatch(
    sequence: number,
    position: number,
    tokens: Uint32Array,
    wanted: Uint32Array,
  ): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(place: number, sampler: object): Promise<number>;
  sampleToken(
    place: number,
    sampler: object,
    probabilities: false,
    confidence: false,
    logits: [number[], false, false, false, number],
  ): Promise<[number, undefined, undefined, number[]]>;
  disposeSequence(sequence: number): void;
}

const MOST_TOKENS = 1024;

class Llama implements Peer {
  private constructor(
    private readonly one: Context,
    private readonly many: Context,
    private readonly sampler: object,
  ) {}

  static async open(folder: string, file: string, layers: number, sequences: number) {
    const addon = createRequire(import.meta.url)(`${folder}/llama-addon.node`) as Addon;
    addon.setLogger((level, message) => {
      if (level <= 2) console.error(message.trimEnd()); // errors
    });
    addon.loadBackends();
    addon.loadBackends(folder);
    await addon.init();
    const model = new addon.AddonModel(file, { gpuLayers: layers, addonExports: addon });
    if (!await model.init()) throw new Error(`llama.cpp cannot load ${file}`);
    const context = async (sequences: number) => {
      const threads = navigator.hardwareConcurrency;
      const options = { contextSize: MOST_TOKENS * sequences, batchSize: 512, sequences, threads };
      // On software devices of Vulkan its flash attention takes many times as long as the plain one.
      const flashAttention = layers > 0 ? false : "auto";
      const made = new addon.AddonContext(model, { ...options, flashAttention });
      if (!await made.init()) throw new Error("llama.cpp cannot make a context");
      return made;
    };
    const sampler = new addon.AddonSampler(model);
    sampler.applyConfig({ temperature: 0 });
    return new Llama(await context(1), await context(sequences), sampler);
  }

  /** Feeds tokens and tells the places of the wanted logits. */
  async #feed(context: Context, rows: { tokens: number[]; position: number }[]): Promise<number[]> {
    context.initBatch(rows.reduce((sum, { tokens }) => sum + tokens.length, 0));
    const places = rows.map(({ tokens, position }, sequence) => {
      const wanted = Uint32Array.of(tokens.length - 1);
      return context.addToBatch(sequence, position, Uint32Array.from(tokens), wanted)[0];
    });
    await context.decodeBatch();
    return places;
  }

  async check(tokens: number[], ids: number[]) {
    this.one.disposeSequence(0);
    const [place] = await this.#feed(this.one, [{ tokens, position: 0 }]);
    const [token, , , pairs] = await this.one.sampleToken(place, this.sampler, false, false, [
      ids,
      false,
      false,
      false,
      0,
    ]);
    const found = new Map<number, number>();
    for (let i = 0; i < pairs.length; i += 2) found.set(pairs[i], pairs[i + 1]);
    return { tokens: [token], logits: ids.map((id) => found.get(id) ?? NaN) };
  }

  async pass(sequences: number[][]): Promise<number[]> {
    const context = sequences.length === 1 ? this.one : this.many;
    sequences.forEach((_, s) => context.disposeSequence(s));
    const places = await this.#feed(context, sequences.map((tokens) => ({ tokens, position: 0 })));
    const best: number[] = [];
    for (const place of places) best.push(await context.sampleToken(place, this.sampler));
    return best;
  }

  async decode(prompt: number[], newTokens: number, begin: () => void): Promise<number[]> {
    const tokens = await this.pass([prompt]);
    begin();
    while (tokens.length < newTokens) {
      const position = prompt.length + tokens.length - 1;
      const [place] = await this.#feed(this.one, [{ tokens: tokens.slice(-1), position }]);
      tokens.push(await this.one.sampleToken(place, this.sampler));
    }
    return tokens;
  }
}

const [folder, file, layers, sequences] = Deno.args;
await servePeer(() => Llama.open(folder, file, Number(layers), Number(sequences)));
