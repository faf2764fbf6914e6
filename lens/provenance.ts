/** What made a number: hashes of inputs and kernels. */

import { adapterName } from "../engine/gpu/profile.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { type JsonValue, stableJson } from "./results/stable_json.ts";

/** SHA-256 in hex of a text. */
export async function sha256Of(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

/** Eight hexadecimal digits that tell one set of inputs and options from another. */
export async function fingerprintOf(inputs: JsonValue): Promise<string> {
  return (await sha256Of(stableJson(inputs, "inputs"))).slice(0, 8);
}

/** What an audit says of kernels: on which adapter it was, and which specialisations it ran. */
export interface KernelAuditRecord {
  date: string;
  backend: string;
  /** The adapter's own description of itself. */
  adapter: string;
  /** Whether everything that it looked at was right. */
  holds: boolean;
  kernels: readonly { name: string; constants: Readonly<Record<string, number>>; sha256: string }[];
}

/**
 * Whether a kernel was audited on this adapter: `audited` as it ran, `other constants` for the same source with other
 * specialisations only, or neither. An audit that found a fault counts for nothing.
 */
export function auditState(
  kernel: KernelAuditRecord["kernels"][number],
  { backend, adapter }: { backend: string; adapter: string },
  audits: readonly KernelAuditRecord[],
): { state: "audited" | "other constants" | "not audited"; date?: string } {
  const here = audits.filter((audit) =>
    audit.holds && audit.backend === backend && audit.adapter === adapter
  ).sort((a, b) => a.date < b.date ? 1 : -1);
  const constants = (of: Readonly<Record<string, number>>) => stableJson(of, "constants");
  for (const exact of [true, false]) {
    const found = here.find(({ kernels }) =>
      kernels.some((one) =>
        one.name === kernel.name && one.sha256 === kernel.sha256 &&
        (!exact || constants(one.constants) === constants(kernel.constants))
      )
    );
    if (found) return { state: exact ? "audited" : "other constants", date: found.date };
  }
  return { state: "not audited" };
}

/** The kernels that ran, each with the hash of its source and the constants that it was specialised with, and with what audits say of it. */
export async function kernelHashes(
  gpu: Gpu,
  audits?: readonly KernelAuditRecord[],
): Promise<JsonValue> {
  const kernels = await Promise.all(
    gpu.kernels.list().map(async ({ name, code, constants }) => ({
      name,
      constants: { ...constants },
      sha256: await sha256Of(code),
    })),
  );
  const key = (kernel: typeof kernels[number]) => kernel.name + JSON.stringify(kernel.constants);
  kernels.sort((a, b) => key(a) < key(b) ? -1 : 1);
  if (!audits) return kernels;
  const here = { backend: gpu.backend, adapter: adapterName(gpu.adapter) };
  return kernels.map((kernel) => ({ ...kernel, audit: auditState(kernel, here, audits) }));
}
