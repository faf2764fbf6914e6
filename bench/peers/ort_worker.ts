/**
 * ONNX Runtime Web on this runtime's WebGPU. Keys and values stay on the device between steps.
 * Arguments: the library's file, the ONNX file, layers, key/value heads, size of a head.
 */

import { argmax, type Peer, servePeer } from "./worker.ts";

/** What is used of onnxruntime-web. */
interface OrtTensor {
  data: Float32Array;
  dispose(): void;
}
interface Ort {
  env: { wasm: { numThreads: number }; logLevel: string };
  Tensor: new (type: string, data: ArrayBufferView, shape: number[]) => OrtTensor;
  InferenceSession: {
    create(model: Uint8Array, options: object): Promise<Session>;
  };
}
interface Session {
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
}

class OnnxRuntime implements Peer {
  private constructor(
    private readonly ort: Ort,
    private readonly session: Session,
    private readonly names: readonly string[],
    private readonly kvHeads: number,
    private readonly headDim: number,
  ) {}

  static async open(library: string, file: string, layers: number, kvHeads: number, head: number) {
    const ort = await import(library) as Ort;
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = 1;
    const names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
    const places = Object.fromEntries(names.map((name) => [`present.${name}`, "gpu-buffer"]));
    const session = await ort.InferenceSession.create(await Deno.readFile(file), {
      executionProviders: ["webgpu"],
      preferredOutputLocation: { logits: "cpu", ...places },
      graphOptimizationLevel: "all",
    });
    return new OnnxRuntime(ort, session, names, kvHeads, head);
  }

  /** No keys and values yet. */
  #empty(batch: number): Map<string, OrtTensor> {
    const shape = [batch, this.kvHeads, 0, this.headDim];
    return new Map(
      this.names.map((name) => [name, new this.ort.Tensor("float32", new Float32Array(), shape)]),
    );
  }

  /** Runs tokens after what `past` has, replaces it, and gives the last logits `[batch, vocab]`. */
  async #step(sequences: number[][], before: number, past: Map<string, OrtTensor>) {
    const [batch, length] = [sequences.length, sequences[0].length];
    const total = before + length;
    const ints = (values: number[], shape: number[]) =>
      new this.ort.Tensor("int32", Int32Array.from(values), shape);
    const feeds: Record<string, OrtTensor> = {
      ids: ints(sequences.flat(), [batch, length]),
      lengths: ints(sequences.map(() => total - 1), [batch]),
      total: ints([total], []),
    };
    for (const [name, tensor] of past) feeds[`past.${name}`] = tensor;
    const results = await this.session.run(feeds);
    for (const [name, tensor] of past) {
      tensor.dispose();
      past.set(name, results[`present.${name}`]);
    }
    return results.logits.data;
  }

  async check(tokens: number[], ids: number[]) {
    const past = this.#empty(1);
    const logits = await this.#step([tokens], 0, past);
    for (const tensor of past.values()) tensor.dispose();
    return { tokens: [argmax(logits)], logits: ids.map((id) => logits[id]) };
  }

  async pass(sequences: number[][]): Promise<number[]> {
    const past = this.#empty(sequences.length);
    const logits = await this.#step(sequences, 0, past);
    for (const tensor of past.values()) tensor.dispose();
    const vocab = logits.length / sequences.length;
    return sequences.map((_, s) => argmax(logits.subarray(s * vocab, (s + 1) * vocab)));
  }

  async decode(prompt: number[], newTokens: number, begin: () => void): Promise<number[]> {
    const past = this.#empty(1);
    const tokens = [argmax(await this.#step([prompt], 0, past))];
    begin();
    while (tokens.length < newTokens) {
      const before = prompt.length + tokens.length - 1;
      tokens.push(argmax(await this.#step([tokens.slice(-1)], before, past)));
    }
    for (const tensor of past.values()) tensor.dispose();
    return tokens;
  }
}

const [library, file, ...sizes] = Deno.args;
const [layers, kvHeads, headDim] = sizes.map(Number);
await servePeer(() => OnnxRuntime.open(library, file, layers, kvHeads, headDim));
