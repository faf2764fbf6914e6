/**
 * A model that says what its makers want: a folder in Hugging Face's layout whose one block adds nothing, so that the next token
 * depends on the last alone. Each answer is a token of its own, and the chat template says which token an answer begins after.
 */

import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";
import { EMBEDDED } from "./embedded_helpers.ts";
import { readJson } from "./helpers.ts";
import { normals } from "./test_gpu.ts";

const [HIDDEN, WIDE, CONTEXT] = [64, 16, 32_768];

/** Tokens of the embedded tokenizer that an answer may begin after, and the one that ends it. */
const BEGINNINGS = ["<|pad|>", "<|assistant|>", "<|system|>", "<|user|>"];
const [BOS, END] = ["<|bos|>", "<|end|>"];

/** When a model says what. */
export interface Scripted {
  /** In the chat template's language, on `messages` and `tools`; the first that is true counts. */
  when: string;
  says: string;
}

/** A call of a tool, in the form that {@link writeScriptedModel}'s template teaches. */
export function hermesCall(name: string, args: unknown): string {
  return `<tool_call>${JSON.stringify({ name, arguments: args })}</tool_call>`;
}

/** Writes the model to a new folder; the last of `script` is what it says to everything else. */
export async function writeScriptedModel(
  folder: string,
  script: readonly Scripted[],
): Promise<void> {
  await Deno.mkdir(folder);
  const write = (name: string, value: unknown) =>
    Deno.writeTextFile(`${folder}/${name}`, JSON.stringify(value));
  const tokenizer = await readJson(`${EMBEDDED}/base/tokenizer.json`);
  const { vocab } = tokenizer.model;
  const first = Object.keys(vocab).length;
  script.forEach(({ says }, i) => vocab[byteLevel(says)] = first + i);
  await write("tokenizer.json", tokenizer);
  const config = await readJson(`${EMBEDDED}/base/tokenizer_config.json`);
  const chat_template = templateOf(script.map(({ when }) => when));
  await write("tokenizer_config.json", { ...config, model_max_length: CONTEXT, chat_template });
  await write("config.json", {
    model_type: "llama",
    vocab_size: first + script.length,
    hidden_size: HIDDEN,
    intermediate_size: WIDE,
    num_attention_heads: 2,
    num_hidden_layers: 1,
    max_position_embeddings: CONTEXT,
    tie_word_embeddings: false,
    bos_token_id: vocab[BOS],
    eos_token_id: vocab[END],
  });
  const next = script.flatMap((_, i) => [
    { after: vocab[BEGINNINGS[i]], token: first + i },
    { after: first + i, token: vocab[END] },
  ]);
  await Deno.writeFile(
    `${folder}/model.safetensors`,
    encodeSafetensors(weights(first + script.length, next)),
  );
}

function templateOf(conditions: readonly string[]): string {
  const begin = conditions.map((when, i) =>
    i === conditions.length - 1
      ? `{% else %}${BEGINNINGS[i]}`
      : `{% ${i === 0 ? "if" : "elif"} ${when} %}${BEGINNINGS[i]}`
  );
  return [
    BOS,
    "{% if tools %}Answer with <tool_call>JSON</tool_call>: {{ tools | tojson }}{% endif %}",
    "{% for message in messages %}{{ message.role + ': ' + message.content }}",
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}",
    `${END}{% endfor %}{% if add_generation_prompt %}`,
    ...begin,
    "{% endif %}{% endif %}",
  ].join("");
}

/** Random embeddings are all but orthogonal: the unembedding of a token is the embedding of what it comes after. */
function weights(vocab: number, next: readonly { after: number; token: number }[]): TensorData[] {
  const embedding = normals(1, vocab * HIDDEN);
  const head = new Float32Array(vocab * HIDDEN);
  for (const { after, token } of next) {
    for (let i = 0; i < HIDDEN; i++) head[token * HIDDEN + i] += embedding[after * HIDDEN + i];
  }
  const block = "model.layers.0";
  const zeros: Record<string, number[]> = {
    [`${block}.mlp.gate_proj`]: [WIDE, HIDDEN],
    [`${block}.mlp.up_proj`]: [WIDE, HIDDEN],
    [`${block}.mlp.down_proj`]: [HIDDEN, WIDE],
  };
  for (const name of "qkvo") zeros[`${block}.self_attn.${name}_proj`] = [HIDDEN, HIDDEN];
  const norms = ["model.norm", `${block}.input_layernorm`, `${block}.post_attention_layernorm`];
  const tensor = (name: string, shape: number[], data: Float32Array): TensorData => ({
    name: `${name}.weight`,
    dtype: "F32",
    shape,
    data,
  });
  return [
    tensor("model.embed_tokens", [vocab, HIDDEN], embedding),
    tensor("lm_head", [vocab, HIDDEN], head),
    ...norms.map((name) => tensor(name, [HIDDEN], new Float32Array(HIDDEN).fill(1))),
    ...Object.entries(zeros).map(([name, shape]) =>
      tensor(name, shape, new Float32Array(shape[0] * shape[1]))
    ),
  ];
}

/** As byte-level tokenizers spell a text of printable ASCII, spaces and line ends. */
function byteLevel(text: string): string {
  return text.replaceAll(" ", "Ġ").replaceAll("\n", "Ċ");
}
