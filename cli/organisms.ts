/** `deno task organisms`: the organisms that can be compared by name, in a table or one in full. */

import { UsageError } from "../engine/errors.ts";
import { EMBEDDED } from "../models/embedded.ts";
import { FAMILIES, listOrganisms, type OrganismEntry } from "../models/organisms.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { closest } from "./closest.ts";
import { formatOrganism, formatOrganisms } from "./organisms_print.ts";
import { terminalWidth } from "./table.ts";
import { visible } from "./visible.ts";

const COMMAND = {
  usage: "deno task organisms",
  summary: "Lists the organisms that other commands take by name; with a NAME, all about that one.",
  positionals: ["[NAME]"],
  flags: {
    family: { kind: "string", choices: FAMILIES, help: "only those of one family" },
    model: {
      kind: "string",
      placeholder: "MODEL",
      help: "only those on one base model, such as qwen3_1_7B; or embedded",
    },
    json: { kind: "bool", help: "print one JSON object with everything that is known" },
  },
  examples: [
    { command: "deno task organisms --model qwen3_1_7B", does: "what there is on a small model" },
    { command: "deno task organisms cake_bake", does: "its facts, models, variants and Hub ids" },
  ],
} as const satisfies Command<Flags>;

/** Runs the command. */
export async function organisms(args: string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags, positionals: [name] } = parsed;
  const found = select(await listOrganisms(), { ...flags, name });
  if (flags.json) console.log(JSON.stringify({ organisms: found }));
  else if (found.length === 0) console.log("No organism is both of that family and on that model.");
  else if (name === undefined) console.log(formatOrganisms(found, terminalWidth()));
  else console.log(found.map((entry) => formatOrganism(entry, terminalWidth())).join("\n\n"));
  return 0;
}

/** Which organisms to show, and of each which models. */
export interface Selection {
  name?: string;
  family?: string;
  model?: string;
}

/**
 * The organisms that fit, with only the models that do.
 *
 * @throws {UsageError} when no organism at all has that name or model, naming the closest
 */
export function select(
  all: readonly OrganismEntry[],
  { name, family, model }: Selection,
): OrganismEntry[] {
  // As other commands take it: `embedded:NAME`.
  if (name?.startsWith(EMBEDDED)) {
    const shipped = all.filter(({ where }) => where === "embedded");
    return select(shipped, { name: name.slice(EMBEDDED.length), family, model });
  }
  check("organism", name, all.map((entry) => entry.name));
  check("model", model, all.flatMap(({ models }) => models.map((one) => one.name)));
  return all
    .filter((entry) => name === undefined || entry.name === name)
    .filter((entry) => family === undefined || entry.family === family)
    .map((entry) => ({
      ...entry,
      models: entry.models.filter((one) => model === undefined || one.name === model),
    }))
    .filter(({ models }) => models.length > 0);
}

function check(what: string, asked: string | undefined, names: readonly string[]): void {
  if (asked === undefined || names.includes(asked)) return;
  const known = [...new Set(names)];
  const near = closest(asked, known);
  const hint = near ? `did you mean ${near}?` : `known: ${known.join(", ")}`;
  throw new UsageError(`Unknown ${what} ${visible(asked.slice(0, 80))}: ${hint}`);
}
