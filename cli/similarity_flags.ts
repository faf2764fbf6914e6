/** The command line of `deno task similarity`. */

import type { Command, Flags } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";

/** The flags. */
export const SIMILARITY_COMMAND = {
  usage: "deno task similarity",
  summary:
    "Measures how like the finetuning's texts a model writes, steered and unsteered, beside generic texts as a null.",
  flags: {
    samples: {
      kind: "string",
      required: true,
      placeholder: "FILE",
      help: "steered and unsteered texts, as deno task steer writes them (.json or .jsonl)",
    },
    layer: { kind: "int", min: 0, help: "of the samples, where the file has several layers" },
    position: { kind: "int", help: "of the samples, where the file has several positions" },
    organism: {
      kind: "string",
      placeholder: "NAME",
      help: "the organism that was steered, for its texts; deno task organisms lists them",
    },
    model: PAIR_FLAGS.model,
    variant: PAIR_FLAGS.variant,
    finetuningText: {
      kind: "string",
      placeholder: "TEXTS",
      help: "the finetuning's texts: a file or hf:datasets/OWNER/NAME (organisms: theirs)",
    },
    text: {
      kind: "string",
      placeholder: "TEXTS",
      help:
        "generic texts: the null, and what tf-idf learns common words from (organisms: as deno task diff)",
    },
    column: {
      kind: "string",
      placeholder: "NAME",
      help: "the column of --text that holds the text or the messages",
    },
    references: {
      kind: "int",
      default: 500,
      min: 1,
      help: "finetuning texts to compare with, and generic ones, at most",
    },
    embedder: {
      kind: "string",
      placeholder: "NAME",
      help:
        "tf-idf (words, offline), or a decoder model of embeddings to run here: a folder or hf:Qwen/Qwen3-Embedding-0.6B (default: tf-idf)",
    },
    embeddingUrl: {
      kind: "string",
      placeholder: "URL",
      help:
        "in its place a server with OpenAI's /embeddings, such as https://api.openai.com/v1; the key is " +
        "PALIMPSEST_EMBEDDING_KEY or else OPENAI_API_KEY",
    },
    embeddingModel: {
      kind: "string",
      placeholder: "NAME",
      help: "the server's model",
    },
    embeddingTokens: {
      kind: "int",
      default: 512,
      min: 8,
      help: "tokens that a model reads of each text; for a server 4 characters count as one",
    },
    embeddingInstruction: {
      kind: "string",
      placeholder: "TEXT",
      help: "what a model here is told the texts are embedded for (default: nothing)",
    },
    seed: {
      kind: "int",
      default: 0,
      min: 0,
      help: "of the choice of texts and of the confidence intervals",
    },
    json: { kind: "bool", help: "print one JSON object" },
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command: "deno task similarity --samples samples.json --organism cake_bake",
      does: "by words, with the embedded organism's texts",
    },
    {
      command:
        "deno task similarity --samples samples.json --finetuning-text mine.jsonl --text web.jsonl --embedder hf:Qwen/Qwen3-Embedding-0.6B",
      does: "by meaning, with texts of your own",
    },
  ],
} as const satisfies Command<Flags>;
