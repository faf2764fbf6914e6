import { assertEquals, assertThrows } from "@std/assert";
import { ActivationMeans, meansOf, type MeansState } from "./activation_means.ts";
import { ModelError } from "./errors.ts";
import { sumReference } from "./ops/accumulate_reference.ts";
import { rowNormReference } from "./ops/rows_reference.ts";
import {
  assertWithin,
  closeTestGpus,
  input,
  normals,
  type Reference,
  run,
  testGpu,
  U,
  withOutlier,
} from "../tests/test_gpu.ts";

Deno.test.afterAll(closeTestGpus);

const [DOCUMENTS, POSITIONS, HIDDEN] = [20, 3, 70];
const ROW = POSITIONS * HIDDEN;
const base = withOutlier(normals(1, DOCUMENTS * ROW), HIDDEN);
const finetuned = base.map((value, i) => value + 0.01 * Math.sin(i));

/** Accumulates the documents from `from` on in batches of the given sizes. */
async function accumulated(
  batches: readonly number[],
  from = 0,
  resume?: MeansState,
): Promise<MeansState> {
  const gpu = await testGpu("software");
  const means = new ActivationMeans(gpu, POSITIONS, HIDDEN, resume);
  for (const documents of batches) {
    const part = (x: Float32Array<ArrayBuffer>) =>
      input(gpu, x.slice(from * ROW, (from + documents) * ROW), [documents * POSITIONS, HIDDEN]);
    await run(gpu, (recorder) => means.add(recorder, part(base), part(finetuned), documents));
    from += documents;
  }
  const state = await means.state();
  means.release();
  return state;
}

/** A sum's reference, divided, with the rounding of the result to f32. */
function mean({ expected, bound }: Reference): Reference {
  return {
    expected: expected.map((sum) => sum / DOCUMENTS),
    bound: bound.map((error, i) => (error + U * Math.abs(expected[i])) / DOCUMENTS),
  };
}

function meanNorm(x: Float32Array): Reference {
  const norms = rowNormReference(x, DOCUMENTS * POSITIONS, HIDDEN);
  const sum = sumReference(Float32Array.from(norms.expected), undefined, DOCUMENTS, POSITIONS);
  norms.bound.forEach((error, row) =>
    sum.bound[row % POSITIONS] += error + U * norms.expected[row]
  );
  return mean(sum);
}

Deno.test("means of both models, of their difference and of their norms", async () => {
  const means = meansOf(await accumulated([8, 12]));
  assertEquals(means.documents, DOCUMENTS);
  assertWithin(means.base, mean(sumReference(base, undefined, DOCUMENTS, ROW)), "base");
  assertWithin(
    means.finetuned,
    mean(sumReference(finetuned, undefined, DOCUMENTS, ROW)),
    "finetuned",
  );
  assertWithin(means.delta, mean(sumReference(finetuned, base, DOCUMENTS, ROW)), "delta");
  assertWithin(means.baseNorm, meanNorm(base), "norm of base");
  assertWithin(means.finetunedNorm, meanNorm(finetuned), "norm of finetuned");
});

Deno.test("neither batches nor an interruption change a bit of the sums", async () => {
  const whole = await accumulated([20]);
  assertEquals(await accumulated([1, 7, 12]), whole);
  const half = await accumulated([9]);
  assertEquals(half.documents, 9);
  assertEquals(await accumulated([11], 9, half), whole);
});

Deno.test("sums of another shape are refused", async () => {
  const gpu = await testGpu("software");
  const state = await accumulated([1]);
  state.sums.base = state.sums.base.slice(2);
  assertThrows(
    () => new ActivationMeans(gpu, POSITIONS, HIDDEN, state),
    ModelError,
    "Cannot resume: the sums of base have 418 values, expected 420",
  );
});
