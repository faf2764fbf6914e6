/** An audit as it is kept and exchanged: one JSON object. */

import type { AdapterDescription } from "../gpu/profile.ts";
import type { Kernel } from "../gpu/kernel.ts";
import type { KernelAudit, KernelResult } from "./audit_kernels.ts";
import type { ModelSums } from "./layer_sums.ts";
import type { Check } from "./model_checks.ts";

/** Changes when the fields do. */
export const AUDIT_FORMAT = 1;

/** On what, with what and when. */
export interface AuditOrigin {
  /** ISO 8601, the day. */
  date: string;
  version: string;
  /** The runtime and the system. */
  runtime: string;
  backend: string;
  adapter: AdapterDescription;
  /** What the user or the program knows of the driver; WebGPU does not tell. */
  driver: string;
  quick: boolean;
  /** The ops that were asked for, where not all were. */
  only: readonly string[] | null;
}

/** A specialisation that was audited. */
export interface AuditedKernel {
  name: string;
  constants: Record<string, number>;
  /** Of the shader's source. */
  sha256: string;
}

/** The whole. */
export interface AuditDocument extends AuditOrigin {
  format: typeof AUDIT_FORMAT;
  /** Whether nothing was found to be wrong. */
  holds: boolean;
  kernels: AuditedKernel[];
  /** What each .wgsl file states as its error bound. */
  bounds: Record<string, string>;
  results: KernelResult[];
  checksums: Record<string, string>;
  checks: Check[];
  models: ModelSums[];
}

/** Puts an audit together. */
export async function auditDocument(
  origin: AuditOrigin,
  found: KernelAudit,
  checks: readonly Check[],
  models: readonly ModelSums[],
): Promise<AuditDocument> {
  const { results, checksums, kernels } = found;
  return {
    format: AUDIT_FORMAT,
    ...origin,
    holds: results.every(({ faults }) => faults.length === 0) &&
      checks.every(({ holds }) => holds),
    kernels: await auditedKernels(kernels),
    bounds: Object.fromEntries(kernels.map(({ name, code }) => [name, statedBound(code)])),
    results,
    checksums,
    checks: [...checks],
    models: [...models],
  };
}

async function auditedKernels(kernels: readonly Kernel[]): Promise<AuditedKernel[]> {
  const all = await Promise.all(kernels.map(async ({ name, code, constants }) => ({
    name,
    constants: { ...constants },
    sha256: await sha256OfText(code),
  })));
  const key = ({ name, constants }: AuditedKernel) => name + JSON.stringify(constants);
  return all.sort((a, b) => key(a) < key(b) ? -1 : 1);
}

/** SHA-256 in hex of a text. */
export async function sha256OfText(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

/** What the header of a shader says after `Error:`, on one line; where it points to another kernel, that. */
export function statedBound(code: string): string {
  const header = code.split(/\n(?!\/\/)/)[0].replaceAll(/^\/\/ ?/gm, "");
  const [, own] = /(?:Error|Sums and error):\s*([\s\S]*?)(?=\n\S|\n\n|$)/.exec(header) ?? [];
  if (own) return own.replaceAll(/\s+/g, " ").trim();
  const [other] = /[^.]*error bound[^.]*\.wgsl/i.exec(header) ?? [];
  return other ? other.replaceAll(/\s+/g, " ").trim() : "";
}

/** Where two audits part. */
export interface AuditComparison {
  /** Results that both have. */
  compared: number;
  /** Those with other bits. */
  different: string[];
  /** The first op of them, in the order of a forward pass. */
  firstKernel: string | null;
  /** Ops with other bits, each with how many of its results differ. */
  kernels: { op: string; different: number; compared: number }[];
  /** Shaders whose sources are not the same: their results need not be either. */
  otherSources: string[];
}

/** Compares the checksums of two audits. */
export function compareKernels(a: AuditDocument, b: AuditDocument): AuditComparison {
  const keys = Object.keys(a.checksums).filter((key) => Object.hasOwn(b.checksums, key));
  const different = keys.filter((key) => a.checksums[key] !== b.checksums[key]);
  const opOf = (key: string) => key.split(" | ", 1)[0];
  const ops = [...new Set(keys.map(opOf))];
  const count = (list: string[], op: string) => list.filter((key) => opOf(key) === op).length;
  const hashes = (document: AuditDocument) =>
    new Map(document.kernels.map(({ name, sha256 }) => [name, sha256]));
  const [ours, theirs] = [hashes(a), hashes(b)];
  return {
    compared: keys.length,
    different,
    firstKernel: different.length > 0 ? opOf(different[0]) : null,
    kernels: ops.map((op) => ({ op, different: count(different, op), compared: count(keys, op) }))
      .filter((entry) => entry.different > 0),
    otherSources: [...ours].filter(([name, sha256]) =>
      theirs.has(name) && theirs.get(name) !== sha256
    ).map(([name]) => name),
  };
}
