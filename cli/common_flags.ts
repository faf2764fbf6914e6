/** Flags that several commands take, and how they are read. */

import { UsageError } from "../engine/errors.ts";
import { checkMatrixUnit } from "../engine/audit/matrix_check.ts";
import type { BackendChoice } from "../engine/gpu/backend.ts";
import { Gpu, type GpuOptions, type Precision } from "../engine/gpu/gpu.ts";
import { DEVICE_PROFILES, type DeviceProfile } from "../engine/gpu/profile.ts";
import type { Hub } from "../models/hub/hub.ts";
import type { SourceOptions } from "../models/source.ts";
import type { Flags } from "./args.ts";
import { downloadProgress } from "./download_progress.ts";
import { ensureAdapter } from "./driver/ensure.ts";
import { knownTuning } from "./tuning.ts";
import { visible } from "./visible.ts";

/** Where to compute, and in how much memory. */
export const DEVICE_FLAGS = {
  backend: {
    kind: "string",
    choices: ["auto", "deno", "dawn"],
    default: "auto",
    help: "WebGPU implementation: Deno's own, or Dawn",
  },
  memoryBudget: {
    kind: "string",
    placeholder: "SIZE",
    help:
      "the most device memory to use, such as 600MB or 12GiB (default: no limit); models that do not fit are read layer by layer",
  },
} as const satisfies Flags;

/** As {@link DEVICE_FLAGS}, of what runs models. */
export const MODEL_FLAGS = {
  ...DEVICE_FLAGS,
  precision: {
    kind: "string",
    choices: ["f32", "fast"],
    help:
      "fast: matrix products of numbers rounded to f16, on adapters that have it, with --backend dawn by the GPU's matrix units; how far that is from f32 is measured at the start (default: f32)",
  },
} as const satisfies Flags;

/** One model, for `openModel`. */
export const ONE_MODEL_FLAGS = {
  model: {
    kind: "string",
    required: true,
    placeholder: "MODEL",
    help: "a folder, hf:OWNER/NAME or embedded:base",
  },
  adapter: {
    kind: "string",
    placeholder: "MODEL",
    help: "a LoRA adapter on it: a folder, hf:OWNER/NAME or embedded:NAME",
  },
} as const satisfies Flags;

/** How the Hugging Face Hub is used. */
export const HUB_FLAGS = {
  offline: {
    kind: "bool",
    help: "fetch nothing from the Hugging Face Hub: use what its cache has (as HF_HUB_OFFLINE=1)",
  },
} as const satisfies Flags;

/** How models are found, as {@link HUB_FLAGS} ask for it; downloads are shown, and warned of, on standard error. */
export function sourceOptions(
  flags: { offline: boolean },
  signal?: AbortSignal,
): SourceOptions {
  return {
    // Not given, the environment decides.
    offline: flags.offline || undefined,
    onProgress: downloadProgress(),
    warn: (line) => console.error(`warning: ${visible(line)}`),
    signal,
  };
}

/** Opens the Hub as `options` say; its library is loaded only then. */
export function hubOf(options: SourceOptions): () => Promise<Hub> {
  return async () => (await import("../models/hub/hub.ts")).Hub.fromEnvironment(options);
}

const UNITS: Record<string, number> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes from a number with a unit: `600MB`, `1.5 GiB`, `4096`. */
export function parseBytes(text: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = UNITS[unit?.toLowerCase() ?? ""];
  if (digits === undefined || factor === undefined || Number(digits) === 0) {
    throw new UsageError(
      `Cannot read size "${text}": expected a number with a unit, such as 600MB or 12GiB`,
    );
  }
  return Math.floor(Number(digits) * factor);
}

/** Opens the device that {@link DEVICE_FLAGS} ask for; fetches a software driver where there is none. */
export async function openGpu(
  flags: {
    backend: BackendChoice;
    memoryBudget: string | undefined;
    precision?: Precision | undefined;
  },
  options: Pick<GpuOptions, "both"> = {},
): Promise<Gpu> {
  const memoryBudget = flags.memoryBudget === undefined
    ? undefined
    : parseBytes(flags.memoryBudget);
  await ensureAdapter({ backend: flags.backend });
  const { backend, precision } = flags;
  const profile = askedProfile();
  const gpu = await Gpu.open({ ...options, backend, memoryBudget, profile, precision });
  const warn = (line: string) => console.error(`warning: ${visible(line)}`);
  gpu.tuning = await knownTuning(gpu, warn);
  const fault = precision === "fast" ? await checkMatrixUnit(gpu) : undefined;
  if (fault !== undefined) warn(`fast mode goes on without the adapter's matrix unit: ${fault}`);
  return gpu;
}

/**
 * The class of adapters that PALIMPSEST_PROFILE names, where an adapter's own names mislead: results never depend on it.
 *
 * @throws {UsageError} if there is none of that name
 */
export function askedProfile(
  env: (name: string) => string | undefined = Deno.env.get,
): DeviceProfile | undefined {
  const name = env("PALIMPSEST_PROFILE");
  const profile = DEVICE_PROFILES.find((profile) => profile === name);
  if (!name || profile) return profile;
  throw new UsageError(
    `Cannot use PALIMPSEST_PROFILE=${name}: the profiles are ${DEVICE_PROFILES.join(", ")}`,
  );
}

/**
 * Whole numbers from a list of numbers and ranges: `0-4,7`, or `-3--1,0` where there are negative ones.
 *
 * @throws {UsageError} for anything else, or a number under `least` or over `most`
 */
export function parseRanges(
  parts: readonly string[],
  most: number,
  what: string,
  least = 0,
): number[] {
  const numbers = new Set<number>();
  for (const part of parts) {
    const [, first, last = first] = /^\s*(-?\d{1,9})(?:\s*-\s*(-?\d{1,9}))?\s*$/.exec(part) ?? [];
    const inside = Number(first) >= least && Number(last) <= most;
    if (first === undefined || Number(last) < Number(first) || !inside) {
      throw new UsageError(
        `Cannot use ${what} "${part}": expected numbers and ranges from ${least} to ${most}, such as ${least}-4`,
      );
    }
    for (let i = Number(first); i <= Number(last); i++) numbers.add(i);
  }
  return [...numbers].sort((a, b) => a - b);
}
