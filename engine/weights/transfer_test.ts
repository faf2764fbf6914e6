import { assertEquals, assertRejects } from "@std/assert";
import { Gpu } from "../gpu/gpu.ts";
import { Staging } from "../gpu/staging.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import { BACKEND } from "../../tests/test_gpu.ts";
import { runTransfers, type Transfer } from "./transfer.ts";

/** A transfer of the numbers `start`, `start` + 1, …, and the units it was asked for. */
function counting(gpu: Gpu, position: number, unit: number, units: number, asked: number[][]) {
  const words = unit * units / 4;
  const buffer = gpu.buffers.create("test", unit * units);
  const transfer: Transfer = {
    to: buffer,
    unit,
    units,
    position,
    fill(target, first, count) {
      asked.push([position, first, count]);
      const values = Float32Array.from(
        { length: unit * count / 4 },
        (_, i) => 1000 * position + first * unit / 4 + i,
      );
      target.set(new Uint8Array(values.buffer));
    },
  };
  const expected = Float32Array.from({ length: words }, (_, i) => 1000 * position + i);
  return { transfer, expected, tensor: new DeviceTensor(gpu, buffer, [words]) };
}

Deno.test("transfers run in the files' order, cut to pieces that are used again", async () => {
  using gpu = await Gpu.open({ backend: BACKEND });
  const asked: number[][] = [];
  // 11 units of 48 bytes and 40 of 16 through pieces of 256 bytes: far more than the four pieces hold.
  const later = counting(gpu, 2, 48, 11, asked);
  const sooner = counting(gpu, 1, 16, 100, asked);
  const staging = new Staging(gpu, 1024, 48);
  assertEquals(staging.pieceBytes, 256);
  const reports: number[][] = [];
  const progress = (done: number, total: number) => reports.push([done, total]);
  await runTransfers(staging, [later.transfer, sooner.transfer], { progress });
  const read = await gpu.read([later.tensor, sooner.tensor]);
  assertEquals(read.map((data) => new Float32Array(data)), [later.expected, sooner.expected]);
  assertEquals(asked[0], [1, 0, 16]);
  assertEquals(asked.map(([position]) => position), [...asked.map(([p]) => p)].sort());
  assertEquals(reports.at(-1), [11 * 48 + 1600, 11 * 48 + 1600]);

  const { allocatedBytes } = gpu.buffers;
  staging.destroy();
  assertEquals(allocatedBytes - gpu.buffers.allocatedBytes, 4 * 256, "what is staged counts");
});

Deno.test("an abort ends the bringing between two pieces", async () => {
  using gpu = await Gpu.open({ backend: BACKEND });
  const asked: number[][] = [];
  const { transfer } = counting(gpu, 1, 16, 100, asked);
  const controller = new AbortController();
  const staging = new Staging(gpu, 1024, 16);
  const run = runTransfers(staging, [transfer], {
    progress: () => controller.abort(new RangeError("enough")),
    signal: controller.signal,
  });
  await assertRejects(() => run, RangeError, "enough");
  assertEquals(asked, [[1, 0, 16]]);
  staging.destroy();
});
