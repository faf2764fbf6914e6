/** Models with random weights in the shape of published ones: no download, but the same sizes to load and to run. */

import { EMBEDDED_ROOT } from "../../models/embedded.ts";

/** What is written as config.json, as far as tensors depend on it. */
export interface RandomConfig {
  /** `llama`, `qwen3` or `gemma3_text`. */
  model_type: string;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  vocab_size: number;
  tie_word_embeddings: boolean;
  rms_norm_eps: number;
  rope_theta: number;
  [key: string]: unknown;
}

/** A tensor to be written; its values are drawn while it is written. */
interface RandomTensor {
  name: string;
  shape: number[];
  /** Mean and standard deviation. */
  mean: number;
  deviation: number;
}

const block = (i: number, name: string) => `model.layers.${i}.${name}`;

/** The linear layers of a block, `[out, in]`. */
function linears(config: RandomConfig): Record<string, [number, number]> {
  const { hidden_size: hidden, intermediate_size: wide, head_dim: head } = config;
  const queries = config.num_attention_heads * head;
  const keys = config.num_key_value_heads * head;
  return {
    "self_attn.q_proj": [queries, hidden],
    "self_attn.k_proj": [keys, hidden],
    "self_attn.v_proj": [keys, hidden],
    "self_attn.o_proj": [hidden, queries],
    "mlp.gate_proj": [wide, hidden],
    "mlp.up_proj": [wide, hidden],
    "mlp.down_proj": [hidden, wide],
  };
}

/** The norms of a block: where they stand, and their sizes. */
function norms(config: RandomConfig): [string, number][] {
  const { model_type, hidden_size: hidden, head_dim: head } = config;
  const names = ["input_layernorm", "post_attention_layernorm"];
  if (model_type === "gemma3_text") {
    names.push("pre_feedforward_layernorm", "post_feedforward_layernorm");
  }
  const ofHeads = model_type === "llama" ? [] : ["self_attn.q_norm", "self_attn.k_norm"];
  return [
    ...names.map((name): [string, number] => [name, hidden]),
    ...ofHeads.map((name): [string, number] => [name, head]),
  ];
}

/** Writes `config.json`, `model.safetensors` (bf16) and the embedded base's tokenizer into a folder. */
export async function writeRandomModel(folder: string, config: RandomConfig, seed: number) {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    await Deno.copyFile(`${EMBEDDED_ROOT}/base/${file}`, `${folder}/${file}`);
  }
  const { hidden_size: hidden, vocab_size: vocab } = config;
  const weight = (name: string, shape: number[]): RandomTensor => ({
    name: `${name}.weight`,
    shape,
    mean: 0,
    deviation: 1 / Math.sqrt(shape[1]),
  });
  const norm = (name: string, size = hidden): RandomTensor => ({
    name: `${name}.weight`,
    shape: [size],
    mean: config.model_type === "gemma3_text" ? 0 : 1, // Gemma's multiply by 1 + w
    deviation: 0.1,
  });
  const tensors = [weight("model.embed_tokens", [vocab, hidden]), norm("model.norm")];
  if (!config.tie_word_embeddings) tensors.push(weight("lm_head", [vocab, hidden]));
  for (let i = 0; i < config.num_hidden_layers; i++) {
    for (const [name, size] of norms(config)) tensors.push(norm(block(i, name), size));
    for (const [name, shape] of Object.entries(linears(config))) {
      tensors.push(weight(block(i, name), shape));
    }
  }
  await writeTensors(`${folder}/model.safetensors`, tensors, seed);
}

/** Writes a random LoRA adapter of that model, on all linear layers. */
export async function writeRandomAdapter(
  folder: string,
  config: RandomConfig,
  rank: number,
  seed: number,
) {
  await Deno.mkdir(folder, { recursive: true });
  const settings = {
    peft_type: "LORA",
    r: rank,
    lora_alpha: rank,
    bias: "none",
    target_modules: Object.keys(linears(config)).map((name) => name.split(".")[1]),
  };
  await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify(settings));
  const tensors: RandomTensor[] = [];
  for (let i = 0; i < config.num_hidden_layers; i++) {
    for (const [name, [out, into]] of Object.entries(linears(config))) {
      const factor = (which: string, shape: number[]): RandomTensor => ({
        name: `base_model.model.${block(i, name)}.lora_${which}.weight`,
        shape,
        mean: 0,
        deviation: 0.3 / Math.sqrt(shape[1]),
      });
      tensors.push(factor("A", [rank, into]), factor("B", [out, rank]));
    }
  }
  await writeTensors(`${folder}/adapter_model.safetensors`, tensors, seed);
}

/** Values written at a time. */
const PIECE = 1 << 23;

async function writeTensors(path: string, tensors: RandomTensor[], seed: number): Promise<void> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const { name, shape } of tensors) {
    const start = end;
    end += 2 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: "BF16", shape, data_offsets: [start, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new BigUint64Array([BigInt(padded.length)]);
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  await writeAll(file, new Uint8Array(length.buffer));
  await writeAll(file, padded);
  const random = new Xorshift(seed);
  for (const { shape, mean, deviation } of tensors) {
    const table = normalTable(mean, deviation);
    for (let left = shape.reduce((a, b) => a * b, 1); left > 0; left -= PIECE) {
      const values = new Uint16Array(Math.min(PIECE, left));
      for (let i = 0; i < values.length; i++) values[i] = table[random.next() >>> 20];
      await writeAll(file, new Uint8Array(values.buffer));
    }
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** 4,096 quantiles of the standard normal distribution: drawing one is a look-up. */
const QUANTILES = Float64Array.from({ length: 4096 }, (_, i) => quantile((i + 0.5) / 4096));

/** Bf16 bits of the quantiles of a normal distribution. */
function normalTable(mean: number, deviation: number): Uint16Array {
  const values = Float32Array.from(QUANTILES, (q) => mean + deviation * q);
  return Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
}

/** The normal quantile, by bisection. */
function quantile(p: number): number {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (cumulative(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Φ(x) by Simpson's rule from 0. */
function cumulative(x: number): number {
  const steps = 64;
  const h = x / steps;
  const density = (t: number) => Math.exp(-t * t / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += (i % 2 ? 4 : 2) * density(i * h);
  return 0.5 + sum * h / 3;
}

/** Marsaglia's xorshift32: two thousand million draws have to be quick, not good. */
class Xorshift {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed * 2654435761 + 1) >>> 0 || 1;
  }
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return this.#state = x >>> 0;
  }
}
