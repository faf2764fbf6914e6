/**
 * Measures a page of results again: `deno run -A bench/page.ts docs/bench/lavapipe.md [NAMES]`.
 *
 * A block of the page is `<!-- NAME: COMMAND -->`, what the command printed with the date and the commit, and `<!-- /NAME -->`. Runs
 * the commands of the blocks that are named, or of all, one after the other, and puts what they print in their place. What
 * stands between the blocks is written by hand: it is to be read again when numbers have changed.
 */

import { UsageError } from "../engine/errors.ts";
import { runCommand } from "../cli/run_command.ts";

/** One measured part of a page. */
interface Block {
  name: string;
  command: string;
}

const BEGIN = /^<!-- ([\w-]+): (.+) -->$/gm;

/** The blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const blocks = [...page.matchAll(BEGIN)].map(([, name, command]) => ({ name, command }));
  for (const { name } of blocks) {
    const ends = page.split(`\n<!-- /${name} -->\n`).length - 1;
    if (ends === 1) continue;
    throw new UsageError(`Cannot read the page: block "${name}" has ${ends} ends`);
  }
  return blocks;
}

/** The page with other content in a block. */
export function withBlock(page: string, { name, command }: Block, content: string): string {
  const [begin, end] = [`<!-- ${name}: ${command} -->\n`, `\n<!-- /${name} -->\n`];
  const from = page.indexOf(begin) + begin.length;
  return `${page.slice(0, from)}\n${content.trim()}\n${page.slice(page.indexOf(end, from - 1))}`;
}

/** What a command says of itself, and its tables; what is no Markdown becomes a block of code. */
export function contentOf(command: string, printed: string, { date, commit }: Measured): string {
  const text = printed.trim();
  const body = /^\| ?-/m.test(text) ? text : `\`\`\`\n${text}\n\`\`\``;
  return `\`${command}\`, ${date}, ${commit}:\n\n${body}`;
}

/** When and of what something was measured. */
interface Measured {
  date: string;
  commit: string;
}

async function output(command: string): Promise<string> {
  const { success, stdout } = await new Deno.Command("bash", {
    args: ["-c", command],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new UsageError(`Cannot measure: "${command}" failed`);
  return new TextDecoder().decode(stdout);
}

async function main([path, ...names]: string[]): Promise<void> {
  if (path === undefined) throw new UsageError("Cannot measure a page: name its file");
  const blocks = blocksOf(await Deno.readTextFile(path));
  const unknown = names.find((name) => !blocks.some((block) => block.name === name));
  if (unknown !== undefined) throw new UsageError(`Cannot measure "${unknown}": no such block`);
  const commit = (await output("git rev-parse --short HEAD")).trim();
  for (const block of blocks) {
    if (names.length > 0 && !names.includes(block.name)) continue;
    console.error(`${block.name}: ${block.command}`);
    const date = new Date().toISOString().slice(0, 10);
    const content = contentOf(block.command, await output(block.command), { date, commit });
    // Read again: what was measured may take long, and somebody may have written meanwhile.
    await Deno.writeTextFile(path, withBlock(await Deno.readTextFile(path), block, content));
  }
}

if (import.meta.main) await runCommand(() => main(Deno.args));
