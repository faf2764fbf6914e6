/**
 * What the forward pass needs to know of a model, as data. `models/architectures/` makes one from a `config.json`; the
 * transformer reads nothing else, so an architecture is added without touching the engine.
 */

/** How rotary frequencies are made; see `rope.ts` for the formulas. */
export interface RopeSpec {
  /** Base of the geometric series of wavelengths (`rope_theta`). */
  theta: number;
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
    };
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
  /** Whether the unembedding is the embedding table. */
  tiedHead: boolean;
  rope: RopeSpec;
  /** Scale of q·k before the softmax. */
  attentionScale: number;
  /** Names of the checkpoint's tensors. */
  tensors: TensorNames;
}

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

/** Where each weight lies in a checkpoint: the names of its tensors. */
export interface TensorNames {
  /** `[vocab, hidden]`. */
  embedding: string;
  /** `[hidden]`. */
  finalNorm: string;
  /** `[vocab, hidden]`; the embedding's name when tied. */
  head: string;
  /** Module path of block `i` without a final point, such as `model.layers.3`. */
  block(i: number): string;
}
