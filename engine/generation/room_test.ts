import { assert, assertEquals } from "@std/assert";
import type { ModelSpec } from "../model_spec.ts";
import type { Transformer } from "../transformer.ts";
import type { DeviceProfile } from "../gpu/profile.ts";
import { generationRoom, usualSteps } from "./room.ts";

const MIB = 2 ** 20;

/** Shaped like Llama 3.1 8B. */
const spec = {
  hiddenSize: 4096,
  intermediateSize: 14336,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  layers: 32,
  vocabSize: 128256,
} as ModelSpec;

function roomOf(bound: number, left: number, change: Partial<ModelSpec> = {}) {
  const gpu = {
    profile: "discrete",
    limits: { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: bound },
    buffers: { trim() {}, remainingBytes: left },
  };
  return generationRoom({ gpu, spec: { ...spec, ...change } } as unknown as Transformer, 1);
}

Deno.test("no buffer is over the adapter's limit", () => {
  const { keys, sequences, passTokens } = roomOf(128 * MIB, Infinity, { layers: 8 });
  assertEquals(passTokens, 2048);
  assertEquals(sequences, Math.floor(128 * MIB / (4 * 128256)));
  assertEquals(keys, 128 * MIB / (4 * 8 * 128));
  // Wide activations, and a vocabulary of which hardly a row fits.
  assertEquals(roomOf(16 * MIB, Infinity).passTokens, Math.floor(16 * MIB / (4 * 14336)));
  assertEquals(roomOf(MIB, Infinity, { vocabSize: 262144 }).sequences, 1);
});

Deno.test("keys and values take 4 GiB at the most, and what the budget leaves", () => {
  const row = 2 * 32 * 4 * 8 * 128;
  assertEquals(roomOf(2 ** 31, Infinity).keys, 4 * 2 ** 30 / row);
  for (const left of [8192, 4096, 2048, 512, 200].map((mib) => mib * MIB)) {
    const { keys, workBytes, sequences, passTokens } = roomOf(2 ** 31, left);
    assert(workBytes <= left / 2 + MIB, `${workBytes} of ${left}`);
    assert(keys > 0 && keys * row + workBytes <= left, `${keys} keys of ${left}`);
    assert(sequences >= 1 && passTokens >= 1);
  }
  assertEquals(roomOf(2 ** 31, 0).keys, 0);
});

Deno.test("rounds are shorter for many sequences, and on CPU cores", () => {
  const steps = (profile: DeviceProfile) => [1, 7, 8, 64].map((n) => usualSteps({ profile }, n));
  assertEquals(steps("discrete"), [16, 16, 8, 8]);
  assertEquals(steps("software"), [8, 8, 4, 4]);
});
