/** The command line of `deno task diff`. */

import type { Command, Flags } from "./args.ts";
import { HUB_FLAGS, MODEL_FLAGS } from "./common_flags.ts";
import { GRADER_FLAGS } from "./grader_flags.ts";
import { PAIR_FLAGS } from "./pair.ts";
import { TIMING_FLAGS } from "./timing.ts";

/** The flags; defaults that depend on the models are filled in by `diff_inputs.ts`. */
export const DIFF_COMMAND = {
  usage: "deno task diff",
  summary:
    "Compares a base and a finetuned model on unrelated text and reads the difference of their activations.",
  flags: {
    ...PAIR_FLAGS,
    text: {
      kind: "string",
      placeholder: "TEXTS",
      help:
        "unrelated text: a file (.jsonl, .json, .txt, .parquet), or hf:datasets/OWNER/NAME[@REVISION][/PATH] " +
        "(default of embedded models: theirs; of other organisms: the paper's)",
    },
    column: {
      kind: "string",
      placeholder: "NAME",
      help:
        "the column that holds the text or the messages (default: text, messages or conversations)",
    },
    chat: {
      kind: "bool",
      help:
        "take chats: the first user turn and its answer in the model's chat template; position 0 is the answer's first",
    },
    bosOnly: {
      kind: "bool",
      help: "compare on a single token, the one that begins a text: what differs before any text",
    },
    documents: {
      kind: "int",
      min: 1,
      help: "documents to average over (default: 10000; embedded models: 1000)",
    },
    tokens: {
      kind: "int",
      min: 1,
      help:
        "tokens of each document, of each answer in chats (default: 128; embedded models: 16; or as many as --positions needs)",
    },
    layers: {
      kind: "list",
      default: ["0.5"],
      help: "relative depths from 0 to 1, or all; layer floor(depth * (layers - 1))",
    },
    positions: {
      kind: "list",
      help:
        "token positions to read; every one is computed (default: 0-4; with --chat -3-4, from before the answer on)",
    },
    seed: {
      kind: "int",
      default: 0,
      min: 0,
      help: "of the shuffle, the random directions and the offline grader",
    },
    shuffle: {
      kind: "bool",
      default: true,
      negatable: true,
      help: "take the documents in random order",
    },
    readThrough: {
      kind: "string",
      choices: ["finetuned", "base"],
      default: "finetuned",
      help: "the model whose final norm and unembedding the logit lens uses",
    },
    spectrum: {
      kind: "bool",
      help: "count the directions in which up to 1000 documents' differences lie",
    },
    stability: {
      kind: "bool",
      help:
        "draw up to 1000 documents again: how far the difference and its top tokens can be trusted, and how many " +
        "documents would have been enough",
    },
    interpolate: {
      kind: "list",
      placeholder: "S,S,…",
      help:
        "compare models between the two as well: strengths over 0, at most 2, such as 0.25,0.5,0.75. An adapter is scaled; " +
        "whole checkpoints are mixed as f32, which takes twice the memory of 16-bit weights",
    },
    finetuningText: {
      kind: "string",
      placeholder: "TEXTS",
      help:
        "the finetuning's texts, from which relevance gets its keywords (organisms: theirs, if public)",
    },
    sibling: {
      kind: "string",
      placeholder: "MODEL",
      help:
        "another finetune of the base, read as a null; or none (organisms: one of another topic)",
    },
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "results folder (default: results/NAME-FINGERPRINT)",
    },
    overwrite: { kind: "bool", help: "discard what the results folder has and start anew" },
    json: { kind: "bool", help: "print one JSON object" },
    ...GRADER_FLAGS,
    ...TIMING_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    { command: "deno task diff", does: "the embedded organism that learned false facts on baking" },
    { command: "deno task diff --organism chat", does: "a broad finetune, as a control" },
    {
      command: "deno task diff --organism cake_bake --model qwen3_1_7B --variant mix1-1p0",
      does: "an organism of the paper, from the Hub",
    },
    {
      command: "deno task diff --base ./Llama-3.2-1B --finetuned ./my-adapter --text web.jsonl",
      does: "models of your own",
    },
    {
      command:
        "deno task diff --grader llm --grader-url http://localhost:8000/v1 --grader-model MODEL",
      does: "an LLM that runs here chooses Patchscope's scales",
    },
    {
      command: "deno task diff --organism cake_bake --chat",
      does: "the difference around the beginning of an answer",
    },
    {
      command: "deno task diff --spectrum --stability --interpolate 0.25,0.5,0.75",
      does: "what else there is to know of a difference",
    },
  ],
} as const satisfies Command<Flags>;
