/** What a command's flags are: one table a command, from which values, checks and help are made. */

interface Described {
  /** A phrase for the help text, with its unit. */
  help: string;
  /** Stands for the value in the help text. */
  placeholder?: string;
  /** The command cannot run without it. */
  required?: boolean;
}

/** One flag. A flag of a table under `skipTokens` is written `--skip-tokens`. */
export type Flag =
  | Described & { kind: "bool"; default?: boolean; negatable?: boolean }
  | Described & { kind: "string"; default?: string; choices?: readonly string[] }
  | Described & { kind: "int" | "float"; default?: number; min?: number; max?: number }
  /** Separated by commas, or given several times. */
  | Described & { kind: "list"; default?: readonly string[] };

/** The flags of a command, by their names in code. */
export type Flags = Readonly<Record<string, Flag>>;

/** A command, as its user sees it. */
export interface Command<F extends Flags> {
  /** As it is typed: `deno task diff`. */
  usage: string;
  /** One sentence. */
  summary: string;
  flags: F;
  /** Names of the arguments that are not flags; none by default. Of the last there may be any number if it ends with "…". */
  positionals?: readonly string[];
  examples?: readonly { command: string; does: string }[];
}

type Type<F> = F extends { kind: "bool" } ? boolean
  : F extends { kind: "list" } ? string[]
  : F extends { kind: "int" | "float" } ? number
  : F extends { choices: readonly (infer C)[] } ? C
  : string;

type Present<F> = F extends { kind: "bool" } | { required: true } ? true
  : F extends { default: infer D } ? undefined extends D ? false : true
  : false;

/** The values of a table's flags; one that is not given and has no default is `undefined`. */
export type Values<F extends Flags> = {
  [K in keyof F]: Present<F[K]> extends true ? Type<F[K]> : Type<F[K]> | undefined;
};

/** `skipTokens` → `skip-tokens`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
