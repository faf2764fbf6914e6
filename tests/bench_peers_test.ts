/** What the comparison with other programs rests on: their files' formats, and that a wrong answer is not quoted. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { checkPeer, compare } from "../bench/peers/compare.ts";
import { encodeGguf } from "../bench/peers/gguf.ts";
import type { OpenPeer } from "../bench/peers/open.ts";
import { encode, Float } from "../bench/peers/protobuf.ts";
import { toBf16, transposed } from "../bench/peers/tensors.ts";
import type { Row } from "../bench/row.ts";

Deno.test("Protobuf fields have the bytes of its own documentation", () => {
  const bytes = (...message: Parameters<typeof encode>) =>
    encode(...message).flatMap((b) => [...b]);
  assertEquals(bytes([[1, 150]]), [0x08, 0x96, 0x01]);
  assertEquals(bytes([[2, "testing"]]), [0x12, 7, ...new TextEncoder().encode("testing")]);
  assertEquals(bytes([[3, [[1, 150]]]]), [0x1a, 3, 0x08, 0x96, 0x01]);
  assertEquals(bytes([[1, -2]]), [0x08, 0xfe, ...Array(8).fill(0xff), 1]);
  assertEquals(bytes([[1, new Float(1)]]), [0x0d, 0, 0, 0x80, 0x3f]);
});

Deno.test("A GGUF file has its header, its values and its tensors at multiples of 32", async () => {
  const data = new Float32Array([1, 2, 3]);
  const parts = encodeGguf(
    new Map([["n", { type: "u32", value: 7 }], ["a", {
      type: "array",
      of: "string",
      values: ["x"],
    }]]),
    [{ name: "t", shape: [3], data }, { name: "u", shape: [1, 2], data: new Uint16Array([4, 5]) }],
  );
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  const view = new DataView(bytes.buffer);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, 4)), "GGUF");
  assertEquals([view.getUint32(4, true), view.getBigUint64(8, true)], [3, 2n]);
  assertEquals(view.getBigUint64(16, true), 2n);
  assertEquals(bytes.length % 32, 0);
  const start = bytes.length - 64;
  assertEquals([0, 4, 8].map((at) => view.getFloat32(start + at, true)), [1, 2, 3]);
  assertEquals([32, 34].map((at) => view.getUint16(start + at, true)), [4, 5]);
});

Deno.test("Tensors turn over and go back to bf16", () => {
  assertEquals([...transposed(new Float32Array([1, 2, 3, 4, 5, 6]), 3)], [1, 4, 2, 5, 3, 6]);
  assertEquals([...toBf16(new Float32Array([1, -2]))], [0x3f80, 0xc000]);
});

/** A peer that answers always the same. */
function fake(name: OpenPeer["name"], token: number, logit: number): OpenPeer {
  return {
    name,
    tolerance: 1e-4,
    stop: () => Promise.resolve(),
    ask: (job) => {
      const count = job.kind === "pass" ? job.sequences.length : 33;
      const tokens = Array<number>(count).fill(token);
      const logits = job.kind === "check" ? job.ids.map(() => logit) : undefined;
      return Promise.resolve({ milliseconds: 10, tokens, logits });
    },
  };
}

Deno.test("A peer with another argmax or other logits is refused, and one with other tokens has no number", async () => {
  const ours = fake("ours", 5, 2);
  assertEquals(await checkPeer(ours, fake("onnxruntime", 5, 2), 64), 0);
  await assertRejects(() => checkPeer(ours, fake("onnxruntime", 6, 2), 64), Error, "argmax is 6");
  await assertRejects(() => checkPeer(ours, fake("onnxruntime", 5, 2.1), 64), Error, "off by");
  await assertRejects(() => checkPeer(ours, fake("onnxruntime", 5, NaN), 64), Error, "off by");
  const rows: Row[] = [];
  await compare(
    "tiny",
    [ours, fake("llama-cpu", 5, 2), fake("onnxruntime", 6, 2)],
    64,
    {
      turns: 1,
      errors: new Map([["llama-cpu", 0]]),
      add: (row) => rows.push(row),
    },
  );
  const of = (name: string) => rows.find((row) => row.name === `peers/prefill/tiny/${name}`);
  assertEquals(of("ours")?.value, 51_200);
  assertEquals(of("ours:llama-cpu")?.value, 1);
  assertEquals(of("onnxruntime")?.value, NaN);
  assertMatch(of("onnxruntime")!.note!, /left out: it got other tokens/);
  assertEquals(of("ours:onnxruntime"), undefined);
});
