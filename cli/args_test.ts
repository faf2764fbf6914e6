import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { closest, editDistance } from "./closest.ts";

const command = {
  usage: "deno task diff",
  summary: "Reads the difference of two models.",
  positionals: ["NAME"],
  examples: [{ command: "deno task diff --documents 10", does: "a quick look" }],
  flags: {
    documents: { kind: "int", default: 1000, min: 1, max: 5000, help: "documents to read" },
    seed: { kind: "int", help: "seed of the shuffle" },
    scale: { kind: "float", default: 1, help: "strength" },
    shuffle: { kind: "bool", default: true, negatable: true, help: "shuffle the documents" },
    json: { kind: "bool", help: "print JSON" },
    backend: { kind: "string", choices: ["deno", "dawn", "auto"], default: "auto", help: "WebGPU" },
    skipTokens: { kind: "int", default: 5, help: "tokens left out of the norms" },
    layers: { kind: "list", default: ["0.5"], help: "layers" },
    out: { kind: "string", placeholder: "DIR", help: "results folder" },
  },
} as const satisfies Command<Flags>;

function run(...args: string[]) {
  const parsed = parseCommand(command, args);
  if (parsed.kind !== "run") throw new Error("the arguments were read as a request for help");
  return parsed;
}

function refused(message: string, ...args: string[]) {
  assertThrows(() => parseCommand(command, args), UsageError, message);
}

Deno.test("parseCommand() fills in the defaults", () => {
  assertEquals(run().flags, {
    documents: 1000,
    seed: undefined,
    scale: 1,
    shuffle: true,
    json: false,
    backend: "auto",
    skipTokens: 5,
    layers: ["0.5"],
    out: undefined,
  });
});

Deno.test("parseCommand() reads values in their types", () => {
  const { flags, positionals } = run(
    ...["--documents=10", "--seed", "-3", "--scale", "-0.5", "--no-shuffle", "--json", "007"],
    ...[
      "--backend",
      "dawn",
      "--skip-tokens",
      "2",
      "--layers",
      "0.5,1",
      "--layers",
      "2",
      "--out",
      "7",
    ],
  );
  assertEquals(flags, {
    documents: 10,
    seed: -3,
    scale: -0.5,
    shuffle: false,
    json: true,
    backend: "dawn",
    skipTokens: 2,
    layers: ["0.5", "1", "2"],
    out: "7",
  });
  assertEquals(positionals, ["007"]);
  // The types follow the table.
  const documents: number = flags.documents;
  const backend: "deno" | "dawn" | "auto" = flags.backend;
  const out: string | undefined = flags.out;
  assertEquals([documents, backend, out], [10, "dawn", "7"]);
});

Deno.test("parseCommand() names the closest known flag", () => {
  refused("Unknown flag --docments: did you mean --documents?", "--docments", "10");
  refused("Unknown flag --no-shufle: did you mean --shuffle?", "--no-shufle");
  refused("Unknown flag --no-json: did you mean --json?", "--no-json");
  refused("Unknown flag --quux: see --help", "--quux=1");
  refused("Unknown flag --__proto__", "--__proto__.x=1");
  refused("Unknown flag -x", "-x");
});

Deno.test("parseCommand() refuses malformed values and values out of range", () => {
  refused("Cannot use --documents 0: it is a whole number from 1 to 5000", "--documents", "0");
  refused("Cannot use --documents 1.5", "--documents", "1.5");
  refused("Cannot use --documents ten", "--documents=ten");
  refused("Cannot use --seed 9007199254740993", "--seed", "9007199254740993");
  refused("Cannot use --scale NaN: it is a number", "--scale", "NaN");
  refused(
    "Cannot use --backend dwan: it is one of deno, dawn, auto, did you mean dawn?",
    "--backend",
    "dwan",
  );
  refused("Missing value of --out", "--out");
  refused("Missing value of --out", "--out", "--json");
  refused("Cannot take --seed twice: 1 and 2", "--seed", "1", "--seed=2");
  refused("Cannot read --layers 0.5,,1: an item is empty", "--layers", "0.5,,1");
  refused("Cannot read --json=maybe: --json takes no value", "--json=maybe");
  refused('Unexpected argument "b"', "a", "b");
});

Deno.test("parseCommand() refuses to run without a required flag", () => {
  const capture: Command<{ model: { kind: "string"; required: true; help: string } }> = {
    usage: "deno task capture",
    summary: "Captures.",
    flags: { model: { kind: "string", required: true, help: "a model's folder" } },
  };
  assertThrows(() => parseCommand(capture, []), UsageError, "Missing --model: a model's folder");
});

Deno.test("parseCommand() shows help, whatever else is wrong", () => {
  const parsed = parseCommand(command, ["--documents", "zero", "-h"]);
  if (parsed.kind !== "help") throw new Error("no help");
  for (
    const part of [
      "Usage: deno task diff NAME [flags]",
      "--documents N",
      "documents to read (default: 1000)",
      "--[no-]shuffle",
      "--backend deno|dawn|auto",
      "--skip-tokens N",
      "--out DIR",
      "# a quick look",
    ]
  ) assertStringIncludes(parsed.text, part);
});

Deno.test("closest() suggests what was meant, and nothing far-fetched", () => {
  assertEquals(editDistance("kitten", "sitting"), 3);
  assertEquals(closest("docs", ["documents", "seed"]), undefined);
  assertEquals(closest("doc", ["documents", "seed"]), "documents");
  assertEquals(closest("sead", ["documents", "seed"]), "seed");
  assertEquals(closest("max-tokens", ["tokens", "max-new-tokens"]), "max-new-tokens");
  assertEquals(closest("x".repeat(100_000), ["documents"]), undefined);
});

Deno.test("parseCommand() takes what begins with a hyphen and a digit for a value of a list too", () => {
  assertEquals(run("--layers", "-3--1,2").flags.layers, ["-3--1", "2"]);
  refused("Missing value of --layers", "--layers", "--json");
});
