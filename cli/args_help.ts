/** Help texts, made from a command's table. */

import { type Command, type Flag, flagName, type Flags } from "./args_types.ts";

const PLACEHOLDERS = { bool: "", string: "TEXT", int: "N", float: "X", list: "A,B,…" };

function left(key: string, flag: Flag): string {
  const name = flagName(key);
  if (flag.kind === "bool") return flag.negatable ? `--[no-]${name}` : `--${name}`;
  const choices = flag.kind === "string" ? flag.choices?.join("|") : undefined;
  return `--${name} ${flag.placeholder ?? choices ?? PLACEHOLDERS[flag.kind]}`;
}

function right(flag: Flag): string {
  const notes: string[] = [];
  if (flag.required) notes.push("required");
  if (flag.default !== undefined && flag.kind !== "bool") notes.push(`default: ${flag.default}`);
  if (flag.kind === "bool" && flag.default) notes.push("default: on");
  return notes.length > 0 ? `${flag.help} (${notes.join("; ")})` : flag.help;
}

/** The help text of a command, without a final line break. */
export function helpText<F extends Flags>(command: Command<F>): string {
  const rows = Object.entries<Flag>(command.flags)
    .map(([key, flag]) => [left(key, flag), right(flag)]);
  rows.push(["--debug", "show stack traces"], ["--help", "show this text"]);
  const width = Math.max(...rows.map(([flag]) => flag.length));
  const positionals = (command.positionals ?? []).map((name) => ` ${name}`).join("");
  const lines = [
    command.summary,
    "",
    `Usage: ${command.usage}${positionals} [flags]`,
    "",
    ...rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`),
  ];
  if (command.examples?.length) {
    lines.push("", "Examples:");
    for (const { command: line, does } of command.examples) lines.push(`  # ${does}`, `  ${line}`);
  }
  return lines.join("\n");
}
