/** The command line that a process was started with: what it writes into results folders says so, and can be done again. */

let recorded: readonly string[] | undefined;

/**
 * Tells what the process runs: the command's name and its arguments as they were typed. Passwords in URLs are left out; keys
 * come from the environment and are never arguments. Undefined: no command.
 */
export function recordCommandLine(args: readonly string[] | undefined): void {
  recorded = args?.map((argument) => argument.replace(/(\w+:\/\/)[^\s/@]*@/g, "$1"));
}

/** What {@link recordCommandLine} was told, or undefined where the process is no command. */
export function recordedCommandLine(): readonly string[] | undefined {
  return recorded;
}
