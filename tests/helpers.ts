/** What the tests that cross modules share: a device, the fixtures with their references, and comparisons. */

import { assert, assertEquals } from "@std/assert";
import { withAdapter } from "../engine/adapter.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { KeyPlacement } from "../engine/batch.ts";
import type { Captured, ForwardRequest } from "../engine/transformer.ts";
import { Transformer } from "../engine/transformer.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { Checkpoint } from "../engine/weights/checkpoint.ts";
import { loadLora } from "../engine/weights/lora.ts";
import { parseAdapterConfig } from "../engine/weights/lora_config.ts";
import { loadWeights } from "../engine/weights/model_weights.ts";
import { parseConfig } from "../models/config.ts";
import { BACKEND } from "./test_gpu.ts";

/** Where the tiny models with references from Hugging Face's code are. */
export const FIXTURES = `${import.meta.dirname}/fixtures`;

/** All of them. */
export const FIXTURE_MODELS = [
  "llama2_mha",
  "llama3_tied",
  "llama3_untied",
  "qwen2_tied",
  "qwen2_untied",
  "qwen2_swa",
  "qwen3_tied",
  "qwen3_untied",
  "gemma2",
  "gemma3_text",
  "gemma3_mm",
  "mistral",
  "olmo2",
  "phi3",
];

/** The spellings of a fixture's config: transformers 4.57's, the Hub's older one, transformers 5's. */
export const CONFIGS = ["config.json", "config.hub.json", "config.v5.json"];

let shared: Promise<Gpu> | undefined;

/** One device for all tests of a file: compiling the kernels takes longer than running them. */
export function sharedGpu(): Promise<Gpu> {
  return shared ??= Gpu.open({ backend: BACKEND });
}

// A device of Dawn that is open while the realm of its instance is taken down asks that for news, and crashes.
Deno.test.afterAll(async () => (await shared)?.close());

/** A parsed JSON file. */
export async function readJson(path: string) {
  return JSON.parse(await Deno.readTextFile(path));
}

/** A safetensors file, whole in memory. */
export async function openTensors(path: string): Promise<Checkpoint> {
  return await Checkpoint.open(memorySource(path, await Deno.readFile(path)));
}

/** A fixture's model, with one of the three spellings of its config, or a parsed one. */
export async function fixtureModel(
  gpu: Gpu,
  name: string,
  config: unknown = "config.json",
): Promise<Transformer> {
  const folder = `${FIXTURES}/${name}`;
  const json = typeof config === "string" ? await readJson(`${folder}/${config}`) : config;
  const spec = parseConfig(json, name);
  return new Transformer(gpu, spec, await loadWeights(gpu, spec, await openModel(folder)));
}

/** A fixture's weights, in one file or in shards. */
async function openModel(folder: string): Promise<Checkpoint> {
  const index = await readJson(`${folder}/model.safetensors.index.json`).catch(() => undefined);
  if (index === undefined) return await openTensors(`${folder}/model.safetensors`);
  const read = async (file: string) => memorySource(file, await Deno.readFile(`${folder}/${file}`));
  return await Checkpoint.openSharded(index, "model.safetensors.index.json", read);
}

/** A fixture's adapter on its base. */
export async function fixtureAdapter(
  base: Transformer,
  name: string,
  adapter: string,
): Promise<Transformer> {
  const folder = `${FIXTURES}/${name}/${adapter}`;
  const config = parseAdapterConfig(await readJson(`${folder}/adapter_config.json`), adapter);
  const checkpoint = await openTensors(`${folder}/adapter_model.safetensors`);
  return await withAdapter(base, loadLora(config, checkpoint, base.spec));
}

/** What Hugging Face's code computed for a fixture. */
export class Reference {
  private constructor(
    private readonly tensors: Checkpoint,
    /** `reference.json`: how the steered and patched runs were made. */
    readonly notes: {
      steer: { layer: number; alpha: number };
      patch: { layer: number; position: number };
    },
  ) {}

  static async open(name: string): Promise<Reference> {
    const folder = `${FIXTURES}/${name}`;
    const tensors = await openTensors(`${folder}/reference.safetensors`);
    return new Reference(tensors, await readJson(`${folder}/reference.json`));
  }

  /** A floating-point tensor, flat. */
  async values(name: string): Promise<Float32Array<ArrayBuffer>> {
    return await this.tensors.readFloat32(name);
  }

  /** The rows of an integer tensor: one array a sequence. */
  async sequences(name: string): Promise<number[][]> {
    const { shape } = this.tensors.info(name);
    const ids = [...new Int32Array((await this.tensors.read(name)).buffer)];
    const length = shape[shape.length - 1];
    return Array.from(
      { length: ids.length / length },
      (_, s) => ids.slice(s * length, s * length + length),
    );
  }
}

/** The hook after every block. */
export function residPosts({ spec }: Transformer): string[] {
  return Array.from({ length: spec.layers }, (_, i) => `blocks.${i}.hook_resid_post`);
}

/** Captured activations on the host: at each hook one array a sequence. */
export type Run = Map<string, Float32Array[]>;

/** Runs a forward pass and brings what it captured back. */
export async function run(
  model: Transformer,
  sequences: readonly ArrayLike<number>[],
  request: ForwardRequest,
  placements?: readonly KeyPlacement[],
): Promise<Run> {
  return (await readAll(model.gpu, [
    await model.forward(model.batch(sequences, placements), request),
  ]))[0];
}

/** Brings several passes' captures back in one wait, and releases them. */
export async function readAll(gpu: Gpu, passes: readonly Captured[]): Promise<Run[]> {
  const tensors = passes.flatMap((pass) => pass.hooks().map((hook) => pass.get(hook)));
  const data = await gpu.read(tensors);
  const runs = passes.map((pass) =>
    new Map(
      pass.hooks().map((hook) => {
        const values = new Float32Array(data.shift()!);
        const offsets = pass.offsets(hook);
        const width = pass.get(hook).shape[1];
        const rows = (s: number) => values.slice(offsets[s] * width, offsets[s + 1] * width);
        return [hook, Array.from({ length: offsets.length - 1 }, (_, s) => rows(s))];
      }),
    )
  );
  for (const pass of passes) pass.release();
  return runs;
}

/** ‖a − b‖ / ‖b‖, in double. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assertEquals(actual.length, expected.length);
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return Math.sqrt(difference / size);
}

/** Fails when the relative L2 error is over a bound (or not a number). */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number,
  what: string,
): void {
  assert(expected.length > 0, `${what}: nothing to compare`);
  const error = relativeError(actual, expected);
  assert(error <= bound, `${what}: relative L2 error ${error} is over ${bound}`);
}

/** Fails at the first value whose bits differ. */
export function assertSameBits(actual: Float32Array, expected: Float32Array, what: string): void {
  assertEquals(actual.length, expected.length, what);
  assert(expected.length > 0, `${what}: nothing to compare`);
  const bits = (x: Float32Array) => new Uint32Array(x.buffer, x.byteOffset, x.length);
  const [a, b] = [bits(actual), bits(expected)];
  const at = a.findIndex((word, i) => word !== b[i]);
  assert(at < 0, `${what}: value ${at} is ${actual[at]}, expected ${expected[at]}`);
}

/** Fails when any hook of two runs differs in any bit. */
export function assertSameRun(actual: Run, expected: Run, what: string): void {
  assertEquals([...actual.keys()], [...expected.keys()], what);
  for (const [hook, sequences] of expected) {
    assertEquals(actual.get(hook)!.length, sequences.length, what);
    sequences.forEach((values, s) =>
      assertSameBits(actual.get(hook)![s], values, `${what}: ${hook} of sequence ${s}`)
    );
  }
}

/** Arrays end to end. */
export function concat(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Token ids that look random and are always the same (Lehmer's generator). */
export function someTokens({ spec }: Transformer, count: number, seed: number): number[] {
  let state = seed + 1;
  return Array.from({ length: count }, () => (state = state * 48271 % 2147483647) % spec.vocabSize);
}

/** A vector that looks random and is always the same, values in [−1, 1). */
export function someVector(width: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed + 1;
  return Float32Array.from(
    { length: width },
    () => (state = state * 48271 % 2147483647) / 1073741823.5 - 1,
  );
}
