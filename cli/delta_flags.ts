/** Flags of the commands that use a difference: where it comes from, which of it is taken, and where results go. */

import type { Flags } from "./args.ts";

/** Where δ comes from. */
export const DELTA_FLAGS = {
  from: {
    kind: "string",
    placeholder: "DIR",
    help: "results of deno task diff to take the difference from (default: it is measured anew)",
  },
  layers: {
    kind: "list",
    default: ["0.5"],
    help: "one relative depth from 0 to 1; layer floor(depth * (layers - 1))",
  },
  deltaDocuments: {
    kind: "int",
    min: 1,
    help: "documents to measure the difference on (default: 10000; embedded models: 1000)",
  },
} as const satisfies Flags;

/** What becomes of the results. */
export const RESULT_FLAGS = {
  overwrite: { kind: "bool", help: "discard what the results folder has and start anew" },
  json: { kind: "bool", help: "print one JSON object" },
} as const satisfies Flags;
