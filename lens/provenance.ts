/** What made a number: hashes of inputs and kernels. */

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

/** The kernels that ran, each with the hash of its source and the constants that it was specialised with. */
export async function kernelHashes(gpu: Gpu): Promise<JsonValue> {
  const kernels = await Promise.all(
    gpu.kernels.list().map(async ({ name, code, constants }) => ({
      name,
      constants: { ...constants },
      sha256: await sha256Of(code),
    })),
  );
  const key = (kernel: typeof kernels[number]) => kernel.name + JSON.stringify(kernel.constants);
  return kernels.sort((a, b) => key(a) < key(b) ? -1 : 1);
}
