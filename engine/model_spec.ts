/**
 * What the forward pass needs to know of a model, as data. `models/architectures/` makes one from a `config.json`; the
 * transformer reads nothing else, so an architecture is added without touching the engine.
 */

/** How rotary frequencies are made; see `rope.ts` for the formulas. */
export interface RopeSpec {
  /** Base of the geometric series of wavelengths (`rope_theta`). */
  theta: number;
  /** How many of a head's dimensions turn, from the first on; even. The others pass unchanged. */
  rotaryDim: number;
  /** Frequency scaling, or none. */
  scaling:
    | { kind: "none" }
    | { kind: "linear"; factor: number }
    | {
      kind: "llama3";
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositions: number;
    }
    | {
      /** Each inverse frequency is divided by a factor of its own, `[rotaryDim / 2]`; cos and sin are multiplied. */
      kind: "longrope";
      factors: readonly number[];
      attentionFactor: number;
    };
}

/** What differs between the attention of one layer and the next. */
export interface LayerAttention {
  /** Keys that a query sees, itself among them; null sees all before it. */
  window: number | null;
  rope: RopeSpec;
}

/** A decoder-only transformer: sizes and choices. Lengths are in elements, ids are token ids. */
export interface ModelSpec {
  /** `model_type` of config.json. */
  modelType: string;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediateSize: number;
  vocabSize: number;
  /** The longest sequence that the model was made for, in tokens. */
  maxPositions: number;
  /** Epsilon of every RMSNorm. */
  normEps: number;
  /** Added to every norm's weight: 1 where a norm multiplies by (1 + w), else 0. */
  normOffset: 0 | 1;
  /** The norms of a block, by their place in it; a place without one has no norm. */
  blockNorms: BlockNorms;
  /** RMSNorm of q and k between projection and RoPE: of each head, or across the whole projection. */
  qkNorm: "none" | "head" | "projection";
  /** Linear layers with a bias. */
  biases: readonly BlockLinear[];
  /** Of the gate of the feed-forward layer; `gelu_tanh` is the tanh approximation. */
  activation: "silu" | "gelu_tanh";
  /** What embeddings are multiplied by, as f32; the unembedding is not. */
  embeddingScale: number;
  /** Scale of q·k before the softmax. */
  attentionScale: number;
  /** Attention scores become cap · tanh(score / cap), after the scale and before the mask; null leaves them. */
  attentionSoftcap: number | null;
  /** The same for the logits. */
  finalSoftcap: number | null;
  /** By layer: `[layers]`. */
  attention: readonly LayerAttention[];
  /** Whether the unembedding is the embedding table. */
  tiedHead: boolean;
  /** Names of the checkpoint's tensors. */
  tensors: TensorNames;
}

/** Names of a block's norms in the checkpoint (without `.weight`), by what they act on. */
export interface BlockNorms {
  /** The residual stream, before attention reads it. */
  attentionIn?: string;
  /** Attention's output, before it is added to the residual stream. */
  attentionOut?: string;
  /** The residual stream, before the feed-forward layer reads it. */
  mlpIn?: string;
  /** The feed-forward layer's output, before it is added. */
  mlpOut?: string;
}

/** Places of {@link BlockNorms}. */
export const BLOCK_NORMS = ["attentionIn", "attentionOut", "mlpIn", "mlpOut"] as const;

/** The linear layers of one block that an adapter may target, by Hugging Face's module names. */
export const BLOCK_LINEARS = [
  "self_attn.q_proj",
  "self_attn.k_proj",
  "self_attn.v_proj",
  "self_attn.o_proj",
  "mlp.gate_proj",
  "mlp.up_proj",
  "mlp.down_proj",
] as const;

/** One of {@link BLOCK_LINEARS}. */
export type BlockLinear = typeof BLOCK_LINEARS[number];

/** Values of a token's queries, keys and values together. */
export function projectedWidth({ heads, kvHeads, headDim }: ModelSpec): number {
  return (heads + 2 * kvHeads) * headDim;
}

/** The shape `[out, in]` of a block's linear layer. */
export function linearShape(spec: ModelSpec, linear: BlockLinear): [number, number] {
  const { hiddenSize, intermediateSize } = spec;
  const attention = spec.heads * spec.headDim;
  const keys = spec.kvHeads * spec.headDim;
  const shapes: Record<BlockLinear, [number, number]> = {
    "self_attn.q_proj": [attention, hiddenSize],
    "self_attn.k_proj": [keys, hiddenSize],
    "self_attn.v_proj": [keys, hiddenSize],
    "self_attn.o_proj": [hiddenSize, attention],
    "mlp.gate_proj": [intermediateSize, hiddenSize],
    "mlp.up_proj": [intermediateSize, hiddenSize],
    "mlp.down_proj": [hiddenSize, intermediateSize],
  };
  return shapes[linear];
}

/**
 * Where each weight lies in a checkpoint. All names are below the decoder's module (`root`), the head's apart; the same
 * model is saved under different roots, so there are several to try.
 */
export interface TensorNames {
  /** Module paths under which the decoder may be saved, such as `model`; the empty one is the file's own root. */
  roots: readonly string[];
  /** Names under which the head's `[vocab, hidden]` may be saved, where it is not tied. */
  heads: readonly string[];
  /** Modules that hold several linear layers, one below the other by rows. */
  fused: readonly FusedLinears[];
  /** Modules that have no part in reading text, such as a vision tower: an adapter's weights for them count for nothing. */
  ignored?: readonly string[];
}

/** The path of something below a root; the root may be empty. */
export function modulePath(root: string, name: string): string {
  return root === "" ? name : `${root}.${name}`;
}

/** A module of a block whose rows are those of several linear layers, in this order. */
export interface FusedLinears {
  /** Such as `self_attn.qkv_proj`. */
  module: string;
  linears: readonly BlockLinear[];
}

/** Where a linear layer's rows lie in the checkpoint. */
export interface LinearPlace {
  /** Module of the block, without `.weight`. */
  module: string;
  firstRow: number;
  /** Rows of the whole module. */
  moduleRows: number;
}

/** The module of the checkpoint that holds a linear layer, and its rows there. */
export function linearPlace(spec: ModelSpec, linear: BlockLinear): LinearPlace {
  const rowsOf = (name: BlockLinear) => linearShape(spec, name)[0];
  const fused = spec.tensors.fused.find(({ linears }) => linears.includes(linear));
  if (!fused) return { module: linear, firstRow: 0, moduleRows: rowsOf(linear) };
  const before = fused.linears.slice(0, fused.linears.indexOf(linear));
  const sum = (names: readonly BlockLinear[]) => names.reduce((s, name) => s + rowsOf(name), 0);
  return { module: fused.module, firstRow: sum(before), moduleRows: sum(fused.linears) };
}

/** A module of a block as the checkpoint has it, with the linear layers that its rows are. */
export interface BlockModule {
  /** Such as `self_attn.q_proj`, or a fused one. */
  module: string;
  linears: readonly BlockLinear[];
  /** `[out, in]` of the whole module. */
  shape: [number, number];
}

/** The modules of a block that hold its linear layers, in the order of {@link BLOCK_LINEARS}. */
export function blockModules(spec: ModelSpec): BlockModule[] {
  const modules = new Map<string, BlockModule>();
  for (const linear of BLOCK_LINEARS) {
    const { module, moduleRows } = linearPlace(spec, linear);
    const linears = [...modules.get(module)?.linears ?? [], linear];
    modules.set(module, { module, linears, shape: [moduleRows, linearShape(spec, linear)[1]] });
  }
  return [...modules.values()];
}
