/** Names of adapters as files, and globs over ops. */

import { type AdapterDescription, adapterName } from "../gpu/profile.ts";

/**
 * `deno`, "llvmpipe (LLVM 15.0.6, 512 bits)", `Mesa 22.3.6` → `deno-llvmpipe-llvm-15.0.6-512-bits-mesa-22.3.6`.
 *
 * @param driver what the user knows of it: WebGPU tells no version, and two may be on one machine
 */
export function auditName(backend: string, adapter: AdapterDescription, driver = ""): string {
  const words = `${backend} ${adapterName(adapter)} ${driver}`.toLowerCase();
  return words.replaceAll(/[^a-z0-9.]+/g, "-").replaceAll(/^[-.]+|[-.]+$/g, "");
}

/** Whether a name is one of those that globs stand for; `*` is any letters. */
export function matchesGlob(name: string, globs: readonly string[]): boolean {
  return globs.some((glob) => {
    const pattern = glob.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${pattern.join(".*")}$`).test(name);
  });
}
