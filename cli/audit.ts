/** `deno task audit`: every kernel against float64, and whole models for results that repeat. */

import { type AuditDevice, auditKernels, trialsOf } from "../engine/audit/audit_kernels.ts";
import { KERNEL_CASES, SHAPED_OPS, TUNED_PRODUCTS } from "../engine/audit/cases.ts";
import { type AuditDocument, auditDocument } from "../engine/audit/document.ts";
import { auditName, matchesGlob } from "../engine/audit/names.ts";
import { UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { adapterName, type DeviceProfile } from "../engine/gpu/profile.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import { writeAtomically } from "../lens/results/atomic_file.ts";
import { makeFolder } from "../lens/results/files.ts";
import { parseCommand, type Values } from "./args.ts";
import { compareAudits } from "./audit_compare.ts";
import { AUDIT_COMMAND } from "./audit_flags.ts";
import {
  auditMarkdown,
  faultLines,
  KERNEL_COLUMNS,
  kernelCells,
  verdict,
} from "./audit_markdown.ts";
import { auditModels } from "./audit_models.ts";
import { ownAudits } from "./audits.ts";
import { openGpu } from "./common_flags.ts";
import { VERSION as SWIFTSHADER } from "./driver/download.ts";
import { SOFTWARE_DRIVER } from "./driver/environment.ts";
import { startProgress } from "./progress.ts";
import type { CommandContext } from "./run_command.ts";
import { formatTable } from "./table.ts";
import { VERSION } from "./version.ts";
import { visible } from "./visible.ts";

type AuditFlags = Values<typeof AUDIT_COMMAND["flags"]>;

/** Faults that are printed; the report has all of them. */
const SHOWN_FAULTS = 20;

/** How thorough: the kernels' smallest shapes run so many times, the models so many, and so on. */
const PLANS = {
  full: { repeats: 1000, randomShapes: 6, randomBatches: 4, modelRepeats: 100, long: 100 },
  quick: { repeats: 100, randomShapes: 1, randomBatches: 1, modelRepeats: 5, long: 10 },
};

/** Runs the command. */
export async function audit(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(AUDIT_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags, positionals } = parsed;
  if (flags.compare) {
    if (positionals.length === 2) return await compareAudits(positionals, flags.json);
    throw new UsageError("Cannot compare: --compare takes two files, A.json B.json");
  }
  if (positionals.length > 0) {
    throw new UsageError(
      `Unexpected argument "${visible(positionals[0])}": files go with --compare`,
    );
  }
  const cases = KERNEL_CASES.filter(({ op }) => !flags.only || matchesGlob(op, flags.only));
  if (cases.length === 0) {
    const known = KERNEL_CASES.map(({ op }) => op).join(", ");
    throw new UsageError(
      `Cannot audit ${flags.only!.map(visible).join(",")}: the ops are ${known}`,
    );
  }
  const found = await runAudit(flags, cases, context);
  const written = await writeAudit(found, flags);
  if (flags.json) console.log(JSON.stringify({ ...found, report: written }));
  else printAudit(found, written);
  return found.holds ? 0 : 1;
}

/** Beside a class of adapters: one with other kernels, and one with other shapes of some (Apple's are those of the discrete ones). */
const OTHERS: Record<DeviceProfile, { kernels: DeviceProfile; shapes: DeviceProfile }> = {
  software: { kernels: "discrete", shapes: "integrated" },
  integrated: { kernels: "software", shapes: "discrete" },
  discrete: { kernels: "software", shapes: "integrated" },
  apple: { kernels: "software", shapes: "integrated" },
};

async function runAudit(
  flags: AuditFlags,
  cases: typeof KERNEL_CASES,
  { signal }: CommandContext,
): Promise<AuditDocument> {
  using first = await openGpu(flags, { both: true });
  const { backend } = first;
  // The adapter's own variants come first: the others are compared with them.
  const others = OTHERS[first.profile];
  using second = await Gpu.open({ backend, profile: others.kernels, both: true });
  using third = await Gpu.open({ backend, profile: others.shapes, both: true });
  const devices: AuditDevice[] = [first, second].map((gpu) => ({ name: gpu.profile, gpu }));
  const shaped = { name: third.profile, gpu: third, ops: SHAPED_OPS };
  using opened = new DisposableStack();
  const tuned: AuditDevice[] = [];
  for (const name of TUNED_PRODUCTS) {
    const tuning = Tuning.always("matmul", name);
    const gpu = opened.use(await Gpu.open({ backend, profile: "discrete", tuning }));
    if (name !== "subgroups" || gpu.subgroupSize > 0) tuned.push({ name, gpu, ops: ["matmul"] });
  }
  const extent = flags.quick ? PLANS.quick : PLANS.full;
  const plan = { cases, quick: flags.quick, ...extent };
  const bar = startProgress({
    label: "Auditing kernels",
    total: trialsOf(plan).length,
    unit: "inputs",
    quiet: flags.json,
  });
  const kernels = await auditKernels([...devices, shaped, ...tuned], plan, {
    progress: bar.update,
    signal,
  })
    .finally(() => bar.done());
  const { checks, models } = flags.only ? { checks: [], models: [] } : await auditModels(
    devices,
    { repeats: extent.modelRepeats, randomBatches: extent.randomBatches, long: extent.long },
    { signal, quiet: flags.json },
  );
  const origin = {
    date: new Date().toISOString().slice(0, 10),
    version: VERSION,
    runtime: `Deno ${Deno.version.deno}, ${Deno.build.os} ${Deno.build.arch}`,
    backend,
    adapter: { ...first.adapter },
    driver: flags.driver ?? driverOf(adapterName(first.adapter)),
    quick: flags.quick,
    only: flags.only ?? null,
  };
  return await auditDocument(origin, kernels, checks, models);
}

/** The driver, as far as it is known: a fetched one has its package's version. */
function driverOf(adapter: string): string {
  return Deno.env.get(SOFTWARE_DRIVER)
    ? `SwiftShader of @sparticuz/chromium ${SWIFTSHADER}`
    : `as the adapter names itself: ${adapter}`;
}

/** Writes both files and returns the page's path. */
async function writeAudit(
  found: AuditDocument,
  { out, driver }: Pick<AuditFlags, "out" | "driver">,
): Promise<string> {
  const folder = out ?? ownAudits();
  await makeFolder(folder);
  // A part of an audit does not take the place of a whole one.
  const part = found.only ? "-part" : found.quick ? "-quick" : "";
  const name = auditName(found.backend, found.adapter, driver) + part;
  const bytes = (text: string) => new TextEncoder().encode(text);
  await writeAtomically(folder, `${name}.json`, bytes(auditJson(found)));
  await writeAtomically(folder, `${name}.md`, bytes(auditMarkdown(found, `${name}.json`)));
  return `${folder}/${name}.md`;
}

/** The document with five significant digits: more would change from run to run of this program's own sums. */
function auditJson(found: AuditDocument): string {
  const round = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) && Number.isFinite(value)
      ? Number(value.toPrecision(5))
      : value;
  return JSON.stringify(found, round, 1) + "\n";
}

function printAudit(found: AuditDocument, written: string): void {
  const columns = KERNEL_COLUMNS.map((title, i) => ({
    title,
    align: i > 2 && i < 8 ? "right" as const : "left" as const,
  }));
  console.log(formatTable(columns, found.results.map(kernelCells)));
  if (found.checks.length > 0) {
    const rows = found.checks.map((
      { model, check, tried, holds, detail },
    ) => [model, check, String(tried), holds ? "yes" : "NO", detail]);
    const titles = ["model", "check", "tried", "holds", "found"].map((title) => ({ title }));
    console.log(`\n${formatTable(titles, rows)}`);
  }
  const faults = faultLines(found);
  console.log(`\n${verdict(found)}`);
  for (const line of faults.slice(0, SHOWN_FAULTS)) console.log(`  ${visible(line)}`);
  if (faults.length > SHOWN_FAULTS) console.log(`  … and ${faults.length - SHOWN_FAULTS} more`);
  console.log(`Report: ${written}`);
}
