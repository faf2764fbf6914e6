/** Where audits are kept, those that ship with the program and those that were made on this machine, and what they say. */

import { adapterName } from "../engine/gpu/profile.ts";
import type { KernelAuditRecord } from "../lens/provenance.ts";
import { readAudit } from "./audit_compare.ts";
import { userCache } from "./user_cache.ts";

/** The folder of the shipped ones. */
const SHIPPED = `${import.meta.dirname}/../docs/audit`;

/** The folder of the user's own. */
export function ownAudits(): string {
  return userCache("audits", "audits");
}

let known: Promise<KernelAuditRecord[]> | undefined;

/** What all audits say of kernels, read once. Files that are no audits of this version say nothing. */
export function knownAudits(): Promise<KernelAuditRecord[]> {
  return known ??= readAll();
}

async function readAll(): Promise<KernelAuditRecord[]> {
  const records: KernelAuditRecord[] = [];
  for (const folder of [() => SHIPPED, ownAudits]) {
    try {
      const names = await Array.fromAsync(Deno.readDir(folder()), ({ name }) => name);
      for (const name of names.filter((name) => name.endsWith(".json"))) {
        // A file that somebody else put there says nothing.
        records.push(...await record(`${folder()}/${name}`).then((one) => [one], () => []));
      }
    } catch {
      // There is no such folder yet.
    }
  }
  return records;
}

async function record(path: string): Promise<KernelAuditRecord> {
  const { date, backend, adapter, holds, kernels } = await readAudit(path);
  return { date, backend, adapter: adapterName(adapter), holds, kernels };
}
