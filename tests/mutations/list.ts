/**
 * What the architectures differ in, each taken out once: a change of the source, and the parity test that must then fail.
 * ../slow/mutations_test.ts makes the changes on a copy of the tree.
 */

/** One change. `find` stands in `file` exactly once. */
export interface Mutation {
  what: string;
  file: string;
  find: string;
  replace: string;
  /** Start of the name of a test in tests/parity_test.ts. */
  caughtBy: string;
}

const ATTENTION = "shaders/attention.wgsl";
const BLOCK = "engine/block_pass.ts";
const PASS = "engine/forward_pass.ts";
const ROPE = "engine/rope.ts";
const at = (name: string) => `models/architectures/${name}.ts`;
const FIRST_KEY = "var start = count - min(count, params.window);";

/** All of them, in the order of the differences: windows, layer patterns, softcaps, norms, RoPE, scales, biases, files. */
export const MUTATIONS: readonly Mutation[] = [
  {
    what: "a window one key wider",
    file: ATTENTION,
    find: FIRST_KEY,
    replace: "var start = count - min(count, max(params.window, params.window + 1u));",
    caughtBy: "mistral, config.json",
  },
  {
    what: "a window one key narrower",
    file: ATTENTION,
    find: FIRST_KEY,
    replace: "var start = count - min(count, params.window - 1u);",
    caughtBy: "phi3, config.json",
  },
  {
    what: "no window",
    file: ATTENTION,
    find: FIRST_KEY,
    replace: "var start = 0u;",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma 2: odd layers slide instead of even ones",
    file: at("gemma2"),
    find: "layer % 2 === 0",
    replace: "layer % 2 === 1",
    caughtBy: "gemma2, config.hub.json",
  },
  {
    what: "Gemma 3: the pattern begins one layer early",
    file: at("gemma3"),
    find: "(layer + 1) % period !== 0",
    replace: "layer % period !== 0",
    caughtBy: "gemma3_text, config.hub.json",
  },
  {
    what: "Gemma 3: sliding_window_pattern is not read",
    file: at("gemma3"),
    find: '"_sliding_window_pattern", b, fail) ?? 6',
    replace: '"_sliding_window_pattern", b, fail) && 3',
    caughtBy: "gemma3_text, config.hub.json",
  },
  {
    what: "explicit layer_types are not read",
    file: at("layers"),
    find: 'layerTypes(config, fail)?.map((type) => type === "sliding_attention") ??',
    replace: "undefined ??",
    caughtBy: "explicit layer_types",
  },
  {
    what: "Qwen 2: sliding_window without use_sliding_window",
    file: at("qwen2"),
    find: "config.use_sliding_window ? config.sliding_window ?? null : null",
    replace: "config.sliding_window ?? null",
    caughtBy: "qwen2_tied, config.hub.json",
  },
  {
    what: "Qwen 2: max_window_layers slide, instead of those from it on",
    file: at("qwen2"),
    find: "layer >= (config.max_window_layers",
    replace: "layer < (config.max_window_layers",
    caughtBy: "qwen2_swa, config.hub.json",
  },
  {
    what: "Mistral: no window",
    file: at("mistral"),
    find: "uniformAttention(config, config.sliding_window ?? null, rope, fail)",
    replace: "uniformAttention(config, null, rope, fail)",
    caughtBy: "mistral, config.json",
  },
  {
    what: "Gemma 2: no cap on scores",
    file: at("gemma2"),
    find: "attentionSoftcap: config.attn_logit_softcapping ?? null",
    replace: "attentionSoftcap: null",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma 3: attn_logit_softcapping is read",
    file: at("gemma3"),
    find: '    qkNorm: "head",',
    replace:
      '    qkNorm: "head",\n    attentionSoftcap: json.attn_logit_softcapping as number ?? null,',
    caughtBy: "Gemma 3 has no cap on scores",
  },
  {
    what: "Gemma 2: no cap on logits",
    file: PASS,
    find: "if (finalSoftcap !== null)",
    replace: "if (finalSoftcap === 0)",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma 3, multimodal: a cap on logits",
    file: at("gemma3"),
    find: "    finalSoftcap: null,\n",
    replace: "",
    caughtBy: "Gemma 3 caps logits",
  },
  {
    what: "the cap comes before the scale",
    file: ATTENTION,
    find: "return params.cap * soft_tanh(params.scale * total / params.cap);",
    replace: "return params.scale * params.cap * soft_tanh(total / params.cap);",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma: norms multiply by w, not by 1 + w",
    file: at("gemma"),
    find: "normOffset: 1",
    replace: "normOffset: 0",
    caughtBy: "gemma3_text, config.json",
  },
  {
    what: "Gemma: the norms after a sublayer are left out",
    file: BLOCK,
    find: "const norm = block.norms[place];",
    replace: "const norm = undefined;",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma: post_attention_layernorm in the place that Llama's has",
    file: at("gemma"),
    find:
      '      attentionOut: "post_attention_layernorm",\n      mlpIn: "pre_feedforward_layernorm",',
    replace: '      mlpIn: "post_attention_layernorm",',
    caughtBy: "gemma2, config.json",
  },
  {
    what: "OLMo 2: its norms in front of the sublayers",
    file: at("olmo2"),
    find: '      attentionOut: "post_attention_layernorm",\n      mlpOut:',
    replace: '      attentionIn: "post_attention_layernorm",\n      mlpIn:',
    caughtBy: "olmo2, config.json",
  },
  {
    what: "OLMo 2: the norm of q and k spans a head, not the projection",
    file: BLOCK,
    find: "this.#norm(flat, weight, 1, heads * headDim)",
    replace: "this.#norm(flat, weight, heads, headDim)",
    caughtBy: "olmo2, config.json",
  },
  {
    what: "Qwen 3: no norm of q and k",
    file: at("qwen3"),
    find: 'qkNorm: "head"',
    replace: 'qkNorm: "none"',
    caughtBy: "qwen3_tied, config.json",
  },
  {
    what: "Gemma 3: no norm of q and k",
    file: at("gemma3"),
    find: 'qkNorm: "head"',
    replace: 'qkNorm: "none"',
    caughtBy: "gemma3_mm, config.json",
  },
  {
    what: "the norm of k comes after RoPE",
    file: BLOCK,
    find: "const v = cached?.v ?? freshV;",
    replace: `const v = cached?.v ?? freshV;
    if (block.kNorm) {
      const again = this.#normOrSame(block, "attentionIn", resid.buffer);
      const plain = this.#products.linear(again, block.linears["self_attn.k_proj"]);
      const turned = scratch.take(kvHeads * headDim);
      rope(recorder, { ...turn, x: plain, out: turned, heads: kvHeads, toCache: true });
      const rows = tokens * kvHeads;
      const eps = spec.normEps;
      rmsnorm(recorder, { x: turned, weight: block.kNorm, out: k, rows, width: headDim, eps });
    }`,
    caughtBy: "qwen3_untied, config.json",
  },
  {
    what: "another epsilon",
    file: BLOCK,
    find: "const eps = this.model.spec.normEps;",
    replace: "const eps = 10 * this.model.spec.normEps;",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma: embeddings are not scaled",
    file: at("gemma"),
    find: "embeddingScale: Math.fround(Math.sqrt(config.hidden_size))",
    replace: "embeddingScale: 1",
    caughtBy: "gemma3_text, config.json",
  },
  {
    what: "Gemma: the scale of embeddings is rounded to bf16",
    file: at("gemma"),
    find: "Math.fround(Math.sqrt(config.hidden_size))",
    replace: "8.9375",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "RoPE turns neighbours instead of halves",
    file: "shaders/rope_vec4.wgsl",
    find: "let cos = vec4(near.xz, far.xz);",
    replace: "let cos = vec4(near.zx, far.zx);",
    caughtBy: "llama2_mha, config.json",
  },
  {
    what: "llama3 scaling is left out",
    file: ROPE,
    find: "  if (turns < lowFreqFactor) return frequency / factor;",
    replace: "  if (turns < lowFreqFactor) return frequency;",
    caughtBy: "llama3_tied, config.json",
  },
  {
    what: "llama3 scaling does not blend",
    file: ROPE,
    find: "return (1 - smooth) * frequency / factor + smooth * frequency;",
    replace: "return frequency;",
    caughtBy: "llama3_tied, config.json",
  },
  {
    what: "linear scaling is left out",
    file: ROPE,
    find: "return frequency / scaling.factor;",
    replace: "return frequency;",
    caughtBy: "gemma3_text, config.json",
  },
  {
    what: "Gemma 3: layers that slide have the base of the others",
    file: at("gemma3"),
    find: "{ theta: 10_000, headDim },",
    replace: "{ theta: 1_000_000, headDim },",
    caughtBy: "gemma3_mm, config.hub.json",
  },
  {
    what: "Gemma 3: scaling in every layer",
    file: at("gemma3"),
    find: "{ rope_local_base_freq, [slidingKey]: byType?.sliding_attention },",
    replace: "{ ...rest, rope_local_base_freq, [slidingKey]: byType?.sliding_attention },",
    caughtBy: "gemma3_text, config.json",
  },
  {
    what: "Phi-3: whole heads turn",
    file: at("phi3"),
    find: "Math.floor(headDim * settings.partialRotaryFactor)",
    replace: "headDim",
    caughtBy: "phi3, config.json",
  },
  {
    what: "rope_theta of transformers 5 is not read",
    file: at("rope"),
    find: 'theta: either(keys.theta, theta, "rope_theta", values.rope_theta),',
    replace: 'theta: either(keys.theta, theta, "rope_theta", null),',
    caughtBy: "llama3_tied, config.v5.json",
  },
  {
    what: "Gemma 2: the scores' scale is that of the head's size",
    file: at("gemma"),
    find: "1 / Math.sqrt(config.query_pre_attn_scalar)",
    replace: "1 / Math.sqrt(config.head_dim!)",
    caughtBy: "gemma2, config.json",
  },
  ...["q", "k", "v"].map((p): Mutation => ({
    what: `Qwen 2: no bias of ${p}`,
    file: at("qwen2"),
    find: '["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]',
    replace: JSON.stringify(
      ["q", "k", "v"].filter((other) => other !== p).map((other) => `self_attn.${other}_proj`),
    ),
    caughtBy: "qwen2_untied, config.json",
  })),
  {
    what: "head_dim is taken to be hidden / heads",
    file: at("common"),
    find: "config.head_dim ?? hiddenSize / heads",
    replace: "hiddenSize / heads",
    caughtBy: "qwen3_tied, config.json",
  },
  {
    what: "query heads share keys in turns instead of in groups",
    file: ATTENTION,
    find: "(i % params.heads) / (params.heads / params.kv_heads)",
    replace: "(i % params.heads) % params.kv_heads",
    caughtBy: "llama3_tied, config.json",
  },
  {
    what: "gelu for silu",
    file: "shaders/glu.wgsl",
    find: "if (ACTIVATION == 0u)",
    replace: "if (ACTIVATION == 9u)",
    caughtBy: "llama2_mha, config.json",
  },
  {
    what: "erf for the tanh approximation of gelu",
    file: "shaders/many_rows.wgsl",
    find: "return a / (1.0 + exp(-b * fma(C3, b * b, C1)));",
    // Abramowitz and Stegun 7.1.26, within 1.5e-7.
    replace: `let y = abs(b) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.3275911 * y);
  let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return 0.5 * a * (1.0 + sign(b) * (1.0 - poly * exp(-y * y)));`,
    caughtBy: "gemma2, config.json",
  },
  {
    what: "Gemma: silu",
    file: at("gemma"),
    find: "activation: config.hidden_activation",
    replace: 'activation: "silu"',
    caughtBy: "gemma3_text, config.json",
  },
  {
    what: "Gemma: an untied head by default",
    file: at("gemma"),
    find: "tie_word_embeddings: true",
    replace: "tie_word_embeddings: false",
    caughtBy: "gemma2, config.json",
  },
  {
    what: "a tied head by default",
    file: at("common"),
    find: "config.tie_word_embeddings ?? false",
    replace: "true",
    caughtBy: "qwen3_untied, config.json",
  },
  {
    what: "Phi-3: gate and up are swapped",
    file: at("phi3"),
    find: '["mlp.gate_proj", "mlp.up_proj"]',
    replace: '["mlp.up_proj", "mlp.gate_proj"]',
    caughtBy: "phi3, config.json",
  },
  {
    what: "Gemma 3, multimodal: the decoder is looked for where the text model has it",
    file: at("gemma3"),
    find: '["language_model.model", "model.language_model", ...spec.tensors.roots]',
    replace: "spec.tensors.roots",
    caughtBy: "gemma3_mm, config.json",
  },
  {
    what: "the residual is captured after the final norm",
    file: PASS,
    find: 'return at("hook_resid_post");',
    replace: `if (layer === this.model.spec.layers - 1) {
      const { buffer } = finalNorm(this.model, this.recorder, { buffer: resid.buffer, shape: [this.batch.tokens, this.model.spec.hiddenSize] } as never);
      this.recorder.copy(buffer, 0, resid.buffer, 0, 4 * count);
    }
    return at("hook_resid_post");`,
    caughtBy: "llama2_mha, config.json",
  },
  {
    what: "rank-stabilised LoRA is scaled by the rank",
    file: "engine/weights/lora_config.ts",
    find: "config.use_rslora ? Math.sqrt(rankOf(module)) : rankOf(module)",
    replace: "rankOf(module)",
    caughtBy: "qwen3_tied with lora_rs",
  },
];
