/** The flags of `deno task audit`. */

import type { Command, Flags } from "./args.ts";
import { DEVICE_FLAGS } from "./common_flags.ts";

export const AUDIT_COMMAND = {
  usage: "deno task audit",
  summary:
    "Audits every kernel against float64 references under its stated bound, and whole models for results that repeat.\n" +
    "Exits with 1 where a bound does not hold, a bit depends on the batch, or a kernel writes where it must not.\n" +
    "With --compare A.json B.json: names the first kernel and the first layer in which two audits part (1 where they do).",
  flags: {
    quick: { kind: "bool", help: "fewer shapes and repeats, in under two minutes" },
    only: {
      kind: "list",
      placeholder: "GLOB,…",
      help: "only these ops, such as matmul or soft*; whole models are then left out",
    },
    compare: { kind: "bool", help: "compare two audits instead: their .json files follow" },
    driver: {
      kind: "string",
      placeholder: "TEXT",
      help: "the driver and its version, for the report and its name: WebGPU does not tell them",
    },
    out: {
      kind: "string",
      placeholder: "DIR",
      help: "folder for the report, .md and .json (default: audits in the user's cache)",
    },
    json: { kind: "bool", help: "print one JSON object" },
    ...DEVICE_FLAGS,
  },
  positionals: ["[A.json]", "[B.json]"],
  examples: [
    { command: "deno task audit --quick", does: "all kernels and the embedded models, in short" },
    { command: "deno task audit --backend dawn", does: "the other implementation of WebGPU" },
    { command: "deno task audit --only matmul", does: "one op in every shape and variant" },
    {
      command: "deno task audit --compare mine.json theirs.json",
      does: "where two adapters part, by how much, and on how many tokens they agree",
    },
  ],
} as const satisfies Command<Flags>;
