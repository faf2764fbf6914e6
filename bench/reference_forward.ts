/** A Llama's forward pass in float64, as plainly as it can be written: what a bench's answers are held to. */

import type { Checkpoint } from "../engine/weights/checkpoint.ts";
import type { RandomConfig } from "./large/random_model.ts";

/**
 * Logits `[vocab]` after the last of some tokens; for models of `bench/shapes.ts` without a scaling of their rotation.
 * Everything is in float64 but the weights, which are as stored.
 */
export async function referenceLogits(
  checkpoint: Checkpoint,
  config: RandomConfig,
  tokens: readonly number[],
): Promise<Float64Array> {
  const { hidden_size: hidden, head_dim: head, rms_norm_eps: eps } = config;
  const groups = config.num_attention_heads / config.num_key_value_heads;
  const weight = (name: string) => checkpoint.readFloat32(`${name}.weight`);
  const table = await weight("model.embed_tokens");
  const resid = tokens.map((id) =>
    Float64Array.from(table.subarray(id * hidden, (id + 1) * hidden))
  );

  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const of = (name: string) => weight(`model.layers.${layer}.${name}`);
    const linear = async (name: string, x: Float64Array[]) => {
      const w = await of(name);
      return x.map((row) => product(w, row));
    };
    const inner = await of("input_layernorm");
    const normed = resid.map((row) => rmsnorm(row, inner, eps));
    const [q, k, v] = [
      await linear("self_attn.q_proj", normed),
      await linear("self_attn.k_proj", normed),
      await linear("self_attn.v_proj", normed),
    ];
    for (const rows of [q, k]) rows.forEach((row, at) => rotate(row, at, head, config.rope_theta));
    const mixed = q.map((row, at) => attend(row, k.slice(0, at + 1), v, head, groups));
    addTo(resid, await linear("self_attn.o_proj", mixed));

    const outer = await of("post_attention_layernorm");
    const x = resid.map((row) => rmsnorm(row, outer, eps));
    const gate = await linear("mlp.gate_proj", x);
    const up = await linear("mlp.up_proj", x);
    const silu = gate.map((row, t) => row.map((g, i) => g / (1 + Math.exp(-g)) * up[t][i]));
    addTo(resid, await linear("mlp.down_proj", silu));
  }
  return product(table, rmsnorm(resid.at(-1)!, await weight("model.norm"), eps));
}

/** W x, `w` `[rows, x.length]`. */
function product(w: Float32Array, x: Float64Array): Float64Array {
  const out = new Float64Array(w.length / x.length);
  for (let row = 0; row < out.length; row++) {
    for (let i = 0, at = row * x.length; i < x.length; i++) out[row] += w[at + i] * x[i];
  }
  return out;
}

function rmsnorm(x: Float64Array, weight: Float32Array, eps: number): Float64Array {
  const square = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value, i) => value / Math.sqrt(square + eps) * weight[i]);
}

/** Rotates the halves of each head, in place (Su et al. 2021, in Hugging Face's layout). */
function rotate(x: Float64Array, position: number, head: number, theta: number): void {
  const half = head / 2;
  for (let start = 0; start < x.length; start += head) {
    for (let i = start; i < start + half; i++) {
      const angle = position * theta ** (-(i - start) / half);
      const [low, high] = [x[i], x[i + half]];
      x[i] = low * Math.cos(angle) - high * Math.sin(angle);
      x[i + half] = high * Math.cos(angle) + low * Math.sin(angle);
    }
  }
}

function attend(
  q: Float64Array,
  keys: Float64Array[],
  values: Float64Array[],
  head: number,
  groups: number,
): Float64Array {
  const out = new Float64Array(q.length);
  for (let start = 0; start < q.length; start += head) {
    const shared = Math.floor(start / head / groups) * head;
    const scores = keys.map((key) => {
      let dot = 0;
      for (let i = 0; i < head; i++) dot += q[start + i] * key[shared + i];
      return dot / Math.sqrt(head);
    });
    const top = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - top));
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, t) => {
      for (let i = 0; i < head; i++) out[start + i] += weight / total * values[t][shared + i];
    });
  }
  return out;
}

function addTo(resid: Float64Array[], more: Float64Array[]): void {
  more.forEach((row, t) => row.forEach((value, i) => resid[t][i] += value));
}
