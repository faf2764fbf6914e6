/** Reads a command line by a command's table of flags. Everything wrong with it is a {@link UsageError}. */

import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "../engine/errors.ts";
import { helpText } from "./args_help.ts";
import { type Command, type Flag, flagName, type Flags, type Values } from "./args_types.ts";
import { closest } from "./closest.ts";
import { visible } from "./visible.ts";

export type { Command, Flag, Flags, Values } from "./args_types.ts";

/** A command line, read: a request for help, or the flags' values and the other arguments. */
export type Parsed<F extends Flags> =
  | { kind: "help"; text: string }
  | { kind: "run"; flags: Values<F>; positionals: string[] };

/** Every command takes these. */
const COMMON: Flags = {
  help: { kind: "bool", help: "" },
  debug: { kind: "bool", help: "" },
};

/**
 * Reads `args` by `command`'s table.
 *
 * @throws {UsageError} for an unknown flag (naming the closest known one), a missing, repeated or malformed value, a number out
 *   of its range, or too many arguments.
 *
 * @example
 * ```ts
 * import { parseCommand } from "./args.ts";
 * const parsed = parseCommand({
 *   usage: "deno task diff",
 *   summary: "Reads what a finetune left in a model.",
 *   flags: { documents: { kind: "int", default: 1000, min: 1, help: "documents to read" } },
 * }, ["--documents", "10"]);
 * if (parsed.kind === "run") console.log(parsed.flags.documents);
 * ```
 */
export function parseCommand<const F extends Flags>(
  command: Command<F>,
  args: readonly string[],
): Parsed<F> {
  if (asksForHelp(args)) return { kind: "help", text: helpText(command) };
  const table: Record<string, Flag> = { ...COMMON, ...command.flags };
  const names = Object.keys(table).map(flagName);
  const parsed = parseArgs(joinNegativeNumbers(table, args), {
    boolean: byKind(table, (flag) => flag.kind === "bool"),
    string: [...byKind(table, (flag) => flag.kind !== "bool"), "_"],
    collect: byKind(table, (flag) => flag.kind !== "bool"),
    negatable: byKind(table, (flag) => flag.kind === "bool" && flag.negatable === true),
    unknown: (argument: string, key?: string) => {
      if (key !== undefined) throw unknownFlag(argument, names);
      return true;
    },
  }) as Record<string, unknown>;
  const values: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries<Flag>(command.flags)) {
    values[key] = readFlag(flagName(key), flag, parsed[flagName(key)], args);
  }
  const positionals = (parsed._ as unknown[]).map(String);
  checkPositionals(command, positionals);
  return { kind: "run", flags: values as Values<F>, positionals };
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const flags = end < 0 ? args : args.slice(0, end);
  return flags.includes("--help") || flags.includes("-h");
}

function byKind(table: Record<string, Flag>, wanted: (flag: Flag) => boolean): string[] {
  return Object.keys(table).filter((key) => wanted(table[key])).map(flagName);
}

/** `--scale -1` → `--scale=-1`: the parser takes what begins with a hyphen for a flag. */
function joinNegativeNumbers(table: Record<string, Flag>, args: readonly string[]): string[] {
  const numbers = ["int", "float", "list"];
  const numeric = new Set(
    byKind(table, (flag) => numbers.includes(flag.kind)).map((name) => `--${name}`),
  );
  const out: string[] = [];
  for (const argument of args) {
    const before = out.at(-1);
    const isValue = before !== undefined && numeric.has(before) && /^-[\d.]/.test(argument);
    if (isValue) out[out.length - 1] = `${before}=${argument}`;
    else out.push(argument);
  }
  return out;
}

function unknownFlag(argument: string, names: readonly string[]): UsageError {
  const flag = argument.split("=", 1)[0];
  const near = closest(flag.replace(/^-+/, "").replace(/^no-/, ""), names);
  const hint = near ? `did you mean --${near}?` : "see --help";
  return new UsageError(`Unknown flag ${visible(flag.slice(0, 80))}: ${hint}`);
}

function readFlag(name: string, flag: Flag, given: unknown, args: readonly string[]): unknown {
  if (flag.kind === "bool") return readBool(name, flag.default ?? false, given, args);
  const texts = (given as unknown[]).map(String);
  if (texts.length === 0) {
    if (flag.required) throw new UsageError(`Missing --${name}: ${flag.help}`);
    return flag.kind === "list" && flag.default ? [...flag.default] : flag.default;
  }
  if (texts.some((text) => text === "")) {
    throw new UsageError(`Missing value of --${name}: ${flag.help}`);
  }
  if (flag.kind === "list") return readList(name, texts);
  if (texts.length > 1) {
    throw new UsageError(`Cannot take --${name} twice: ${texts.map(visible).join(" and ")}`);
  }
  return flag.kind === "string"
    ? readString(name, flag, texts[0])
    : readNumber(name, flag, texts[0]);
}

function readBool(
  name: string,
  byDefault: boolean,
  given: unknown,
  args: readonly string[],
): boolean {
  // The parser takes any value but "false" for true.
  const written = args.find((argument) => argument.startsWith(`--${name}=`));
  if (written !== undefined && !/=(true|false)$/.test(written)) {
    throw new UsageError(`Cannot read ${visible(written)}: --${name} takes no value`);
  }
  const mentioned = args.some((argument) =>
    argument === `--${name}` || argument === `--no-${name}` || argument === written
  );
  return mentioned ? given === true : byDefault;
}

function readList(name: string, texts: readonly string[]): string[] {
  const items = texts.flatMap((text) => text.split(",")).map((item) => item.trim());
  if (items.some((item) => item === "")) {
    throw new UsageError(`Cannot read --${name} ${visible(texts.join(","))}: an item is empty`);
  }
  return items;
}

function readString(name: string, flag: Flag & { kind: "string" }, text: string): string {
  const { choices } = flag;
  if (!choices || choices.includes(text)) return text;
  const near = closest(text, choices);
  const hint = near ? `, did you mean ${near}?` : "";
  throw new UsageError(
    `Cannot use --${name} ${visible(text)}: it is one of ${choices.join(", ")}${hint}`,
  );
}

function readNumber(name: string, flag: Flag & { kind: "int" | "float" }, text: string): number {
  const value = Number(text);
  const { min = -Infinity, max = Infinity } = flag;
  const whole = flag.kind === "int";
  const readable = text.trim() !== "" &&
    (whole ? Number.isSafeInteger(value) : Number.isFinite(value));
  if (!readable || value < min || value > max) {
    const kind = whole ? "a whole number" : "a number";
    throw new UsageError(`Cannot use --${name} ${visible(text)}: it is ${kind}${range(min, max)}`);
  }
  return value;
}

function range(min: number, max: number): string {
  if (min !== -Infinity && max !== Infinity) return ` from ${min} to ${max}`;
  if (min !== -Infinity) return `, ${min} at least`;
  return max !== Infinity ? `, ${max} at most` : "";
}

function checkPositionals<F extends Flags>(command: Command<F>, given: readonly string[]): void {
  const names = command.positionals ?? [];
  const most = names.at(-1)?.endsWith("…") ? Infinity : names.length;
  if (given.length > most) {
    throw new UsageError(
      `Unexpected argument "${visible(given[most])}": see ${command.usage} --help`,
    );
  }
}
