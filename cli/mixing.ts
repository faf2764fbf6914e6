/** `deno task mixing`: the whole method on finetunes with more and more generic text in them. */

import { UsageError } from "../engine/errors.ts";
import { type MixingRow, mixingRow } from "../lens/mixing_rows.ts";
import { fingerprintOf } from "../lens/provenance.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { embeddedOrganisms } from "../models/embedded.ts";
import { parseCommand } from "./args.ts";
import { MIXING_COMMAND, type MixingFlags } from "./mixing_flags.ts";
import { mixingTable } from "./mixing_print.ts";
import { pipelineResults } from "./pipeline.ts";
import { precisionSetting } from "./precision.ts";
import { flagsToArgs, givenSettings } from "./pipeline_args.ts";
import type { CommandContext } from "./run_command.ts";
import { RUN_COMMAND } from "./run_flags.ts";
import { VERSION } from "./version.ts";

/** What `mixing.json` holds. */
export interface MixingResult {
  organism: string;
  position: number;
  /** The strength that every ratio was steered with; null where none was. */
  alpha: number | null;
  rows: MixingRow[];
  /** The folder. */
  results: string;
}

/** The organism of which there are mixes. */
const ORGANISM = "cake_bake";

/** Runs the command. */
export async function mixing(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(MIXING_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const found = await mixingResults(parsed.flags, context);
  if (parsed.flags.json) console.log(JSON.stringify(found));
  else console.log(`\n${mixingTable(found)}`);
  return 0;
}

/** Does what is not done yet, and writes table and plot. */
export async function mixingResults(
  flags: MixingFlags,
  context: CommandContext,
): Promise<MixingResult> {
  const mixes = await chosenMixes(flags);
  const {
    position,
    out: asked,
    backend,
    memoryBudget,
    precision: _precision,
    overwrite,
    alpha: given,
    ...rest
  } = flags;
  const { ratios: _ratios, json: _json, ...others } = rest;
  const settings = { ...others, ...precisionSetting(flags) };
  const args = flagsToArgs({ positions: [`${position}`], agent: false, ...settings });
  const inputs = {
    version: VERSION,
    command: "mixing",
    organisms: mixes.map(({ name }) => name),
    position,
    ...givenSettings(settings),
    alpha: given ?? null,
  };
  const out = asked ?? `results/mixing-${await fingerprintOf(inputs)}`;
  using folder = await RunFolder.open(out, { fingerprint: inputs, overwrite });
  const rows: MixingRow[] = [];
  // One strength for all: what it does then depends on the trace alone.
  let alpha = given;
  for (const [i, { name, ratio }] of mixes.entries()) {
    console.error(`Ratio ${ratio} (${i + 1} of ${mixes.length}): ${name}`);
    const own = { organism: name, model: "embedded", out: `${out}/ratio_${ratio}` };
    const parsed = parseCommand(RUN_COMMAND, [
      ...args,
      ...flagsToArgs({ ...own, alpha, backend, memoryBudget, overwrite }),
    ]);
    if (parsed.kind === "help") throw new Error("A step's command line asks for help");
    const summary = await pipelineResults(parsed.flags, context);
    alpha ??= summary.positions[0].alpha ?? undefined;
    rows.push(mixingRow(summary, { organism: name, ratio }));
  }
  const result = { organism: ORGANISM, position, alpha: alpha ?? null, rows, results: out };
  // The library that plots is large: only those who plot wait for it.
  const { mixingPlot } = await import("../lens/mixing_plot.ts");
  await folder.writeJson("mixing.json", result as unknown as JsonValue);
  await folder.writeBytes("mixing.svg", new TextEncoder().encode(mixingPlot(rows)));
  await folder.finish("mixing");
  const { writeReport } = await import("../lens/report/report_step.ts");
  await writeReport(out, folder);
  return result;
}

/** The finetunes that were asked for, in the order of their ratios. */
async function chosenMixes({ ratios }: MixingFlags): Promise<{ name: string; ratio: number }[]> {
  const all = await embeddedOrganisms();
  const facts = all.find(({ name }) => name === ORGANISM)!.key_facts.join();
  const mixes = all
    .filter(({ kind, key_facts }) => kind === "lora" && key_facts.join() === facts)
    .map(({ name, mix }) => ({ name, ratio: mix })).sort((a, b) => a.ratio - b.ratio);
  if (ratios === undefined) return mixes;
  const wanted = new Set(ratios.map((text) => {
    const found = mixes.find(({ ratio }) => text.trim() !== "" && ratio === Number(text));
    if (found) return found;
    const known = mixes.map(({ ratio }) => ratio).join(", ");
    throw new UsageError(`Cannot use ratio "${text}": there are ${known}`);
  }));
  return mixes.filter((mix) => wanted.has(mix));
}
