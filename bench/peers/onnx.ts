/**
 * A random Llama as an ONNX graph in f32 (onnx.proto3, opset 21), in the form in which exporters for ONNX Runtime write it: fused
 * norms and grouped attention of its own operators, with keys and values going in and out.
 *
 * Inputs: `ids` `[batch, length]` int32, `lengths` `[batch]` int32 (of each sequence, less 1), `total` int32 (the longest), and
 * `past.{i}.key|value` `[batch, kvHeads, past, headDim]`. Outputs: `logits` `[batch, 1, vocab]` of the last token and
 * `present.{i}.key|value`.
 */

import type { RandomConfig } from "../large/random_model.ts";
import { encode, type Field, Float, type Message } from "./protobuf.ts";
import { Tensors, transposed } from "./tensors.ts";

const [FLOAT, INT32, INT64] = [1, 6, 7]; // TensorProto.DataType
const MICROSOFT = "com.microsoft";

/** Collects the nodes and weights of a graph. */
class Graph {
  readonly nodes: Field[] = [];
  readonly weights: Field[] = [];

  /** A node with one output, of the node's own name. */
  node(
    op: string,
    name: string,
    inputs: readonly string[],
    attributes: Record<string, number | Float> = {},
    domain = "",
    outputs: readonly string[] = [name],
  ): string {
    const fields: Field[] = [
      ...inputs.map((input): Field => [1, input]),
      ...outputs.map((output): Field => [2, output]),
      [3, name],
      [4, op],
    ];
    for (const [key, value] of Object.entries(attributes)) {
      // AttributeProto: name 1, f 2, i 3, type 20 (1 float, 2 int)
      const isFloat = value instanceof Float;
      fields.push([5, [[1, key], [isFloat ? 2 : 3, value], [20, isFloat ? 1 : 2]]]);
    }
    if (domain) fields.push([7, domain]);
    this.nodes.push([1, fields]);
    return name;
  }

  /** A constant tensor. */
  weight(
    name: string,
    shape: readonly number[],
    data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>,
  ): string {
    const type = data instanceof Float32Array ? FLOAT : INT64;
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    // TensorProto: dims 1, data_type 2, name 8, raw_data 9
    this.weights.push([5, [...shape.map((d): Field => [1, d]), [2, type], [8, name], [9, raw]]]);
    return name;
  }
}

/** ValueInfoProto of a tensor; a text is a dimension that may be anything. */
function value(name: string, type: number, shape: readonly (number | string)[]): Message {
  const dimensions = shape.map((d): Field => [1, [typeof d === "number" ? [1, d] : [2, d]]]);
  return [[1, name], [2, [[1, [[1, type], [2, dimensions]]]]]];
}

/** Encodes the model in `folder`. */
export async function encodeOnnx(
  folder: string,
  config: RandomConfig,
): Promise<Uint8Array<ArrayBuffer>> {
  const tensors = await Tensors.open(folder);
  const graph = new Graph();
  const { hidden_size: hidden, head_dim: head, vocab_size: vocab } = config;
  const [heads, kvHeads] = [config.num_attention_heads, config.num_key_value_heads];
  const epsilon = new Float(config.rms_norm_eps);
  const norm = async (module: string) => graph.weight(module, [hidden], await tensors.read(module));
  const linear = async (name: string, x: string, module: string, columns: number) => {
    const weights = await tensors.read(module);
    const shape = [columns, weights.length / columns];
    return graph.node("MatMul", name, [
      x,
      graph.weight(module, shape, transposed(weights, columns)),
    ]);
  };

  const table = await tensors.read("model.embed_tokens");
  addRotation(graph, config);
  let resid = graph.node("Gather", "embed", [graph.weight("table", [vocab, hidden], table), "ids"]);
  let normed = graph.node(
    "SimplifiedLayerNormalization",
    "first_norm",
    [resid, await norm("model.layers.0.input_layernorm")],
    { axis: -1, epsilon },
  );
  /** resid += x, and its norm. */
  const skip = async (name: string, x: string, module: string) => {
    const outputs = [`${name}.normed`, "", "", `${name}.resid`];
    const inputs = [resid, x, await norm(module)];
    const op = "SkipSimplifiedLayerNormalization";
    graph.node(op, name, inputs, { epsilon }, MICROSOFT, outputs);
    [normed, , , resid] = outputs;
  };
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const [at, from] = [`layer${i}`, `model.layers.${i}`];
    const q = await linear(`${at}.q`, normed, `${from}.self_attn.q_proj`, hidden);
    const k = await linear(`${at}.k`, normed, `${from}.self_attn.k_proj`, hidden);
    const v = await linear(`${at}.v`, normed, `${from}.self_attn.v_proj`, hidden);
    const mixed = graph.node(
      "GroupQueryAttention",
      `${at}.attention`,
      [q, k, v, `past.${i}.key`, `past.${i}.value`, "lengths", "total", "cos", "sin"],
      {
        num_heads: heads,
        kv_num_heads: kvHeads,
        do_rotary: 1,
        rotary_interleaved: 0,
        scale: new Float(1 / Math.sqrt(head)),
      },
      MICROSOFT,
      [`${at}.attention`, `present.${i}.key`, `present.${i}.value`],
    );
    const out = await linear(`${at}.o`, mixed, `${from}.self_attn.o_proj`, heads * head);
    await skip(`${at}.middle`, out, `${from}.post_attention_layernorm`);
    const gate = await linear(`${at}.gate`, normed, `${from}.mlp.gate_proj`, hidden);
    const up = await linear(`${at}.up`, normed, `${from}.mlp.up_proj`, hidden);
    const sigmoid = graph.node("Sigmoid", `${at}.sigmoid`, [gate]);
    const silu = graph.node("Mul", `${at}.silu`, [gate, sigmoid]);
    const glu = graph.node("Mul", `${at}.glu`, [silu, up]);
    const down = await linear(`${at}.down`, glu, `${from}.mlp.down_proj`, config.intermediate_size);
    const last = i === config.num_hidden_layers - 1;
    const next = last ? "model.norm" : `model.layers.${i + 1}.input_layernorm`;
    await skip(`${at}.end`, down, next);
  }
  const end = graph.weight("last", [1], new BigInt64Array([-1n]));
  const row = graph.node("Gather", "last_row", [normed, end], { axis: 1 });
  const unembedding = graph.weight("unembedding", [hidden, vocab], transposed(table, hidden));
  graph.node("MatMul", "logits", [row, unembedding]);
  tensors.close();
  return concat(encode(modelOf(graph, config)));
}

/** Cosines and sines `[positions, headDim / 2]`. */
function addRotation(graph: Graph, config: RandomConfig): void {
  const half = config.head_dim / 2;
  const positions = Number(config.max_position_embeddings);
  for (const [name, turn] of [["cos", Math.cos], ["sin", Math.sin]] as const) {
    const values = Float32Array.from(
      { length: positions * half },
      (_, at) => turn(Math.floor(at / half) * config.rope_theta ** (-(at % half) / half)),
    );
    graph.weight(name, [positions, half], values);
  }
}

function modelOf({ nodes, weights }: Graph, config: RandomConfig): Message {
  const { num_hidden_layers: layers, num_key_value_heads: kvHeads, head_dim: head } = config;
  const inputs = [
    value("ids", INT32, ["batch", "length"]),
    value("lengths", INT32, ["batch"]),
    value("total", INT32, []),
  ];
  const outputs = [value("logits", FLOAT, ["batch", 1, config.vocab_size])];
  for (let i = 0; i < layers; i++) {
    for (const part of ["key", "value"]) {
      inputs.push(value(`past.${i}.${part}`, FLOAT, ["batch", kvHeads, "past", head]));
      outputs.push(value(`present.${i}.${part}`, FLOAT, ["batch", kvHeads, "total_length", head]));
    }
  }
  const graph: Field[] = [
    ...nodes,
    [2, "random"],
    ...weights,
    ...inputs.map((input): Field => [11, input]),
    ...outputs.map((output): Field => [12, output]),
  ];
  // ModelProto: ir_version 1, graph 7, opset_import 8 (domain 1, version 2)
  return [[1, 10], [7, graph], [8, [[1, ""], [2, 21]]], [8, [[1, MICROSOFT], [2, 1]]]];
}

function concat(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
