/** Names of adapters as files, and globs over ops. */

import { type AdapterDescription, adapterName } from "../gpu/profile.ts";

/** `deno`, "llvmpipe (LLVM 15.0.6, 256 bits)" → `deno-llvmpipe-llvm-15.0.6-256-bits`. */
export function auditName(backend: string, adapter: AdapterDescription): string {
  const words = `${backend} ${adapterName(adapter)}`.toLowerCase();
  return words.replaceAll(/[^a-z0-9.]+/g, "-").replaceAll(/^[-.]+|[-.]+$/g, "");
}

/** Whether a name is one of those that globs stand for; `*` is any letters. */
export function matchesGlob(name: string, globs: readonly string[]): boolean {
  return globs.some((glob) => {
    const pattern = glob.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${pattern.join(".*")}$`).test(name);
  });
}
