import { assert, assertEquals } from "@std/assert";
import { type StackedCase, StackedProduct } from "../../tests/stacked_products.ts";
import {
  assertSameBits,
  assertWithin,
  closeTestGpus,
  compute,
  output,
  PROFILES,
  testGpu,
} from "../../tests/test_gpu.ts";
import { Scratch } from "../scratch.ts";
import type { WeightMatrix } from "../weights/matrix.ts";
import type { Linear } from "../weights/model_weights.ts";
import { planPacked, recordPacking } from "../weights/packed.ts";
import { adaptedProduct } from "../adapted_product.ts";
import { type AdaptedPart, addShares, fitsShares } from "./add_shares.ts";
import { matmul } from "./matmul.ts";

Deno.test.afterAll(closeTestGpus);

/** Ranks beside a chunk, of several sizes and of none; other dtypes than the matrices'; up to three matrices. */
const CASES: StackedCase[] = [
  {
    rows: 1,
    parts: [64, 32, 36],
    k: 72,
    dtype: "BF16",
    form: "store",
    norm: true,
    lora: { ranks: [16, 0, 8], dtype: "F32", scale: 2 },
  },
  {
    rows: 4,
    parts: [96, 32],
    k: 264,
    dtype: "F32",
    form: "store",
    norm: true,
    bias: true,
    lora: { ranks: [72, 136], dtype: "BF16", scale: -0.7 },
  },
  {
    rows: 3,
    parts: [133],
    k: 520,
    dtype: "F16",
    form: "add",
    lora: { ranks: [64], dtype: "F16", scale: 0.3 },
  },
  {
    rows: 2,
    parts: [96, 96],
    k: 136,
    dtype: "BF16",
    form: "silu",
    norm: true,
    lora: { ranks: [24, 0], dtype: "BF16", scale: 1.5 },
  },
  {
    rows: 1,
    parts: [320, 320],
    k: 64,
    dtype: "BF16",
    form: "gelu_tanh",
    lora: { ranks: [8, 40], dtype: "F16", scale: 0.1 },
  },
];

for (const profile of PROFILES) {
  Deno.test(`products of few rows with adapters' shares: within their bound, with the bits of their steps (${profile})`, async () => {
    const gpu = await testGpu(profile);
    for (const [i, one] of CASES.entries()) {
      const { rows, form } = one;
      const product = await StackedProduct.create(gpu, one, 10 * i);
      const name = JSON.stringify(one);
      let texture: GPUTexture | undefined;
      const [found, stepped] = await compute(gpu, (recorder) => {
        const placed = product.place();
        const { x, norm, bias } = placed;
        const packed = profile === "software"
          ? planPacked(product.matrices, (bytes) => texture = gpu.texels.create(bytes)!)!
          : undefined;
        if (packed) recordPacking(recorder, packed);
        const linears = product.matrices.map((weight, p): Linear => {
          const factors = product.lora[p];
          return { weight, lora: factors && { ...factors, scale: one.lora!.scale } };
        });
        const out = product.out();
        const scratch = new Scratch(gpu, rows);
        const earlier = recorder.dispatches;
        const stack = { linears, packed: packed && { ...packed, bias }, bias };
        const args = { stack, x, norm, out: out.buffer, rows, form };
        assert(adaptedProduct(recorder, scratch, args), name);
        assertEquals(recorder.dispatches - earlier, 3);
        const { out: stepped } = product.steps(recorder, placed);
        return [out, stepped];
      });
      assertSameBits(found, stepped, name);
      assertWithin(found, product.reference(), name);
      if (texture) gpu.texels.destroy(texture);
      product.destroy();
    }
  });
}

Deno.test("what has no adapter keeps its bits, a zero its sign; factors that several have are made once", async () => {
  const gpu = await testGpu("discrete");
  const one: StackedCase = {
    rows: 2,
    parts: [5, 5],
    k: 8,
    dtype: "F32",
    form: "store",
    lora: { ranks: [8, 8], dtype: "F32", scale: 1 },
  };
  const product = await StackedProduct.create(gpu, one, 3);
  const [{ a, b }, other] = product.lora.map((factors) => factors!);
  const zeros = new Float32Array(20).fill(-0);
  const [plain, both, apart] = await compute(gpu, (recorder) => {
    const { x } = product.place();
    const placed = () => {
      const tensor = output(gpu, [2, 10]);
      recorder.copy(recorder.upload(zeros), 0, tensor.buffer, 0, zeros.byteLength);
      return tensor;
    };
    const low = output(gpu, [2, 8]).buffer;
    matmul(recorder, { x, weight: a, y: low, rows: 2 });
    const sums = (parts: readonly AdaptedPart[]) => {
      const sums = placed();
      const { buffer: x } = sums;
      addShares(recorder, { x, low, lowWidth: 8, parts, out: x, rows: 2, form: "store" });
      return sums;
    };
    const share = (b: WeightMatrix) => ({ count: 5, share: { b, first: 0, scale: 1 } });
    const apart = placed();
    [b, other.b].forEach((weight, i) => {
      const columns = { stride: 10, first: 5 * i };
      matmul(recorder, { x: low, weight, y: apart.buffer, rows: 2, addScaled: 1, columns });
    });
    return [sums([{ count: 5 }, share(b)]), sums([share(b), share(other.b)]), apart];
  });
  assertEquals([...plain.subarray(0, 5)].map((zero) => Object.is(zero, -0)), Array(5).fill(true));
  assert(plain.subarray(5, 10).every((sum) => sum !== 0));
  assertSameBits(both, apart);
  product.destroy();
});

Deno.test("what the kernel cannot add goes step by step", () => {
  const window = { buffer: {} as GPUBuffer, firstRow: 0, rows: 64 };
  const matrix = (changes: Partial<WeightMatrix> = {}): WeightMatrix => ({
    name: "b",
    dtype: 2,
    rows: 64,
    columns: 16,
    stride: 16,
    rowBytes: 32,
    windows: [window],
    ...changes,
  });
  const part = (changes: Partial<WeightMatrix> = {}, first = 0): AdaptedPart => ({
    count: 64,
    share: { b: matrix(changes), first, scale: 1 },
  });
  const fits = (parts: AdaptedPart[], form: "store" | "silu" = "store") =>
    fitsShares({ parts, form });
  assert(fits([part(), { count: 8 }, part({ columns: 8 }, 16)]));
  assert(fits([part(), { count: 64 }], "silu"));
  assert(!fits([{ count: 64 }]), "no adapter");
  assert(!fits([part({ columns: 12, stride: 16 })]), "a rank that ends amid eight");
  assert(!fits([part(), part({}, 4)]), "low rows that begin amid eight");
  assert(!fits([part(), part({ dtype: 1 })]), "two dtypes");
  assert(!fits([part({ windows: [window, window] })]), "two windows");
  assert(!fits([part({ windows: [] })]), "on the device packed only");
  assert(!fits([part(), part(), part(), part()]), "four matrices");
  assert(!fits([part(), { count: 32 }], "silu"), "gates and ups that do not pair");
  assert(!fits([part(), part(), part()], "silu"), "gates alone come in pairs");
});
