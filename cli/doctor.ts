/** `deno task doctor`: what this machine offers, whether it works, and what is missing. */

import { type Backend, BACKENDS, requestAdapter } from "../engine/gpu/backend.ts";
import { type MatrixUnit, matrixUnit } from "../engine/gpu/matrix_unit.ts";
import { adapterName, describeAdapter, profileOf } from "../engine/gpu/profile.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { checkAdapter } from "./doctor_check.ts";
import { APT_ADVICE, restartOnDriver } from "./driver/ensure.ts";
import { prepareEnvironment, SOFTWARE_DRIVER } from "./driver/environment.ts";
import { driverFolder, isInstalled } from "./driver/swiftshader.ts";
import { formatTable } from "./table.ts";
import { visible } from "./visible.ts";

/** The limits that decide what fits and which kernels run. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** The features that optional kernels and the profiler use. */
const FEATURES = ["shader-f16", "subgroups", "timestamp-query"];

/** One backend, examined. */
export interface BackendReport {
  backend: Backend;
  works: boolean;
  adapter?: ReturnType<typeof describeAdapter>;
  features?: string[];
  /** What products of fast mode go through, if there is such a thing. */
  matrices?: MatrixUnit;
  limits?: Record<string, number>;
  /** Why it does not work. */
  problem?: string;
}

/** What `doctor --json` prints. */
export interface DoctorReport {
  deno: string;
  os: string;
  /** The fetched driver that this process runs on, if any. */
  softwareDriver?: string;
  backends: BackendReport[];
  advice: string[];
}

const COMMAND = {
  usage: "deno task doctor",
  summary: "Shows the WebGPU backends, whether they compute, and what is missing.",
  flags: {
    json: { kind: "bool", help: "print one JSON object" },
    fetch: {
      kind: "bool",
      help: "where nothing works, fetch a software driver and look again",
    },
  },
  examples: [{ command: "deno task doctor --json", does: "for a bug report" }],
} as const satisfies Command<Flags>;

async function examine(backend: Backend): Promise<BackendReport> {
  try {
    const adapter = await requestAdapter(backend, { both: true }); // what fast mode would find
    if (!adapter) return { backend, works: false, problem: "it finds no adapter" };
    const limits = adapter.limits as unknown as Record<string, number>;
    const report: BackendReport = {
      backend,
      works: false,
      adapter: describeAdapter(adapter),
      features: [...adapter.features].sort(),
      matrices: matrixUnit(adapter),
      limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    };
    const problem = await checkAdapter(adapter);
    return problem ? { ...report, problem } : { ...report, works: true };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { backend, works: false, problem };
  }
}

/** What the user could do better, most needed first. */
export function adviseOn(
  backends: readonly BackendReport[],
  softwareDriver: string | undefined,
): string[] {
  const working = backends.filter((report) => report.works);
  if (working.length === 0) {
    return [
      `Install a Vulkan driver: the GPU's own, or for the CPU ${APT_ADVICE}`,
      "Or have a software driver fetched: deno task doctor --fetch (other commands do so by themselves)",
    ];
  }
  if (working.some((report) => !report.adapter?.software)) return [];
  const advice = [
    "Only the CPU computes here: if this machine has a GPU, install its Vulkan driver",
  ];
  if (softwareDriver) advice.push(`A software driver four times as fast: ${APT_ADVICE}`);
  return advice;
}

const MIB = 1 << 20;

function formatLimit(name: string, value: number | undefined): string {
  if (value === undefined) return "not told";
  if (name.includes("BufferBindingSize") || name === "maxBufferSize") {
    return `${Math.floor(value / MIB)} MiB`;
  }
  return name.endsWith("StorageSize") ? `${value / 1024} KiB` : String(value);
}

/** PCI ids, which Deno gives as decimal numbers, as the lists of them have them. */
function formatId(id: string): string {
  return /^\d+$/.test(id) ? `0x${Number(id).toString(16)}` : id;
}

function rows(report: BackendReport): string[][] {
  const { backend, works, adapter, features, matrices, limits, problem } = report;
  const out = [[`backend ${backend}`, works ? "works" : `does not work: ${problem}`]];
  if (adapter && features && limits) {
    out.push(["  adapter", `${adapterName(adapter)} (${profileOf(adapter)})`]);
    const ids = [adapter.vendor, adapter.architecture, adapter.device].filter(Boolean);
    out.push(["  vendor, device", ids.map(formatId).join(", ")]);
    const has = (name: string) => `${name} ${features.includes(name) ? "yes" : "no"}`;
    out.push(["  features", FEATURES.map(has).join(", ")]);
    if (matrices) {
      const { m, n, k } = matrices;
      out.push(["  matrix unit", `[${m}, ${k}] · [${k}, ${n}] of f16, for --precision fast`]);
    }
    for (const name of LIMITS) out.push([`  ${name}`, formatLimit(name, limits[name])]);
  }
  return out;
}

/** The report as a person reads it. */
export function formatReport(report: DoctorReport): string {
  const body = [["deno", report.deno], ["system", report.os]];
  if (report.softwareDriver) body.push(["fetched driver", report.softwareDriver]);
  for (const backend of report.backends) body.push(...rows(backend));
  const table = formatTable([{ title: "what", minWidth: 36 }, { title: "this machine" }], body);
  if (report.advice.length === 0) return table;
  return [table, "", ...report.advice.map(visible)].join("\n");
}

/**
 * Runs `deno task doctor`.
 *
 * @returns 0 when at least one backend computes, else 1.
 */
export async function doctor(args: readonly string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  prepareEnvironment();
  const backends: BackendReport[] = [];
  for (const backend of BACKENDS) backends.push(await examine(backend));
  const softwareDriver = Deno.env.get(SOFTWARE_DRIVER) || undefined;
  const works = backends.some((report) => report.works);
  if (!works && !softwareDriver && (parsed.flags.fetch || isInstalled(driverFolder()))) {
    await restartOnDriver("auto");
  }
  const report: DoctorReport = {
    deno: Deno.version.deno,
    os: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
    softwareDriver,
    backends,
    advice: adviseOn(backends, softwareDriver),
  };
  console.log(parsed.flags.json ? JSON.stringify(report) : formatReport(report));
  return works ? 0 : 1;
}
