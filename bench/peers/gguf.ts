/** Writes a random Llama as GGUF (version 3, ggml's docs/gguf.md), with a tokenizer that only counts. */

import type { RandomConfig } from "../large/random_model.ts";
import { Tensors, toBf16 } from "./tensors.ts";

const ALIGNMENT = 32;
const TYPES = { u32: 4, f32: 6, string: 8, array: 9, i32: 5 } as const;
const GGML = { F32: 0, BF16: 30 } as const;

type Value =
  | { type: "u32" | "f32"; value: number }
  | { type: "string"; value: string }
  | { type: "array"; of: "string" | "f32" | "i32"; values: readonly (string | number)[] };

interface GgufTensor {
  name: string;
  shape: readonly number[];
  data: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
}

/** Bytes that grow. */
class Writer {
  #parts: Uint8Array<ArrayBuffer>[] = [];
  length = 0;

  bytes(part: Uint8Array<ArrayBuffer>): void {
    this.#parts.push(part);
    this.length += part.length;
  }

  u32(value: number): void {
    this.bytes(new Uint8Array(new Uint32Array([value]).buffer));
  }

  u64(value: number): void {
    this.bytes(new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  scalar(type: "u32" | "i32" | "f32" | "string", value: string | number): void {
    if (type === "string") return this.string(String(value));
    if (type !== "f32") return this.u32(Number(value));
    this.bytes(new Uint8Array(new Float32Array([Number(value)]).buffer));
  }

  align(): void {
    this.bytes(new Uint8Array((ALIGNMENT - this.length % ALIGNMENT) % ALIGNMENT));
  }

  take(): Uint8Array<ArrayBuffer>[] {
    return this.#parts;
  }
}

/** Encodes a file of these values and tensors. */
export function encodeGguf(
  values: ReadonlyMap<string, Value>,
  tensors: readonly GgufTensor[],
): Uint8Array<ArrayBuffer>[] {
  const out = new Writer();
  out.bytes(new TextEncoder().encode("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(values.size);
  for (const [key, value] of values) {
    out.string(key);
    out.u32(TYPES[value.type]);
    if (value.type === "array") {
      out.u32(TYPES[value.of]);
      out.u64(value.values.length);
      for (const one of value.values) out.scalar(value.of, one);
    } else out.scalar(value.type, value.value);
  }
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    out.string(name);
    out.u32(shape.length);
    for (const size of shape.toReversed()) out.u64(size);
    out.u32(data instanceof Float32Array ? GGML.F32 : GGML.BF16);
    out.u64(offset);
    offset += Math.ceil(data.byteLength / ALIGNMENT) * ALIGNMENT;
  }
  out.align();
  for (const { data } of tensors) {
    out.bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    out.align();
  }
  return out.take();
}

/** Writes the model in `folder`; its matrices as f32 or bf16, its norms as f32. */
export async function writeGguf(
  folder: string,
  config: RandomConfig,
  dtype: "f32" | "bf16",
  path: string,
): Promise<void> {
  const tensors = await Tensors.open(folder);
  const all: GgufTensor[] = [];
  const { hidden_size: hidden, head_dim: head } = config;
  const norm = async (name: string, module: string) =>
    all.push({ name: `${name}.weight`, shape: [hidden], data: await tensors.read(module) });
  const matrix = async (name: string, module: string, columns: number, heads?: number) => {
    let data = await tensors.read(module);
    if (heads) data = interleaved(data, heads, head, columns);
    const shape = [data.length / columns, columns];
    all.push({ name: `${name}.weight`, shape, data: dtype === "f32" ? data : toBf16(data) });
  };
  const attention = config.num_attention_heads * head;
  await matrix("token_embd", "model.embed_tokens", hidden);
  await norm("output_norm", "model.norm");
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const [to, from] = [`blk.${i}`, `model.layers.${i}`];
    await norm(`${to}.attn_norm`, `${from}.input_layernorm`);
    await norm(`${to}.ffn_norm`, `${from}.post_attention_layernorm`);
    await matrix(`${to}.attn_q`, `${from}.self_attn.q_proj`, hidden, config.num_attention_heads);
    await matrix(`${to}.attn_k`, `${from}.self_attn.k_proj`, hidden, config.num_key_value_heads);
    await matrix(`${to}.attn_v`, `${from}.self_attn.v_proj`, hidden);
    await matrix(`${to}.attn_output`, `${from}.self_attn.o_proj`, attention);
    await matrix(`${to}.ffn_gate`, `${from}.mlp.gate_proj`, hidden);
    await matrix(`${to}.ffn_up`, `${from}.mlp.up_proj`, hidden);
    await matrix(`${to}.ffn_down`, `${from}.mlp.down_proj`, config.intermediate_size);
  }
  tensors.close();
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (const part of encodeGguf(metadata(config), all)) {
    for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
  }
}

/** Rows of q and k with the two halves of each head interleaved: llama.cpp turns neighbours, Hugging Face halves. */
function interleaved(
  data: Float32Array<ArrayBuffer>,
  heads: number,
  head: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(data.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < head; i++) {
      const from = h * head + (i % 2) * head / 2 + (i >> 1);
      const to = h * head + i;
      out.set(data.subarray(from * columns, (from + 1) * columns), to * columns);
    }
  }
  return out;
}

function metadata(config: RandomConfig): Map<string, Value> {
  const values = new Map<string, Value>();
  const set = (key: string, type: "u32" | "f32", value: number) => values.set(key, { type, value });
  values.set("general.architecture", { type: "string", value: "llama" });
  set("llama.context_length", "u32", Number(config.max_position_embeddings));
  set("llama.embedding_length", "u32", config.hidden_size);
  set("llama.block_count", "u32", config.num_hidden_layers);
  set("llama.feed_forward_length", "u32", config.intermediate_size);
  set("llama.attention.head_count", "u32", config.num_attention_heads);
  set("llama.attention.head_count_kv", "u32", config.num_key_value_heads);
  set("llama.attention.key_length", "u32", config.head_dim);
  set("llama.attention.value_length", "u32", config.head_dim);
  set("llama.attention.layer_norm_rms_epsilon", "f32", config.rms_norm_eps);
  set("llama.rope.dimension_count", "u32", config.head_dim);
  set("llama.rope.freq_base", "f32", config.rope_theta);
  set("llama.vocab_size", "u32", config.vocab_size);
  const count = config.vocab_size;
  const named = ["<unk>", "<s>", "</s>"];
  const tokens = Array.from({ length: count }, (_, i) => {
    if (i < named.length) return named[i];
    const byte = i - named.length;
    if (byte > 255) return `t${i}`;
    return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  });
  // 1 normal, 2 unknown, 3 control, 6 a byte
  const kinds = tokens.map((_, i) => i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1);
  values.set("tokenizer.ggml.model", { type: "string", value: "llama" });
  values.set("tokenizer.ggml.tokens", { type: "array", of: "string", values: tokens });
  values.set("tokenizer.ggml.scores", { type: "array", of: "f32", values: tokens.map(() => 0) });
  values.set("tokenizer.ggml.token_type", { type: "array", of: "i32", values: kinds });
  set("tokenizer.ggml.bos_token_id", "u32", 1);
  set("tokenizer.ggml.eos_token_id", "u32", 2);
  return values;
}
