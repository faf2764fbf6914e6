import { assertEquals, assertThrows } from "@std/assert";
import { ActivationSums, meansOf, type MeansState } from "./activation_means.ts";
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
  values: Float32Array<ArrayBuffer>,
  batches: readonly number[],
  from = 0,
  resume?: MeansState,
): Promise<MeansState> {
  const gpu = await testGpu("software");
  const sums = new ActivationSums(gpu, POSITIONS, HIDDEN, resume);
  for (const documents of batches) {
    const part = values.slice(from * ROW, (from + documents) * ROW);
    const x = input(gpu, part, [documents * POSITIONS, HIDDEN]);
    await run(gpu, (recorder) => sums.add(recorder, x, documents));
    from += documents;
  }
  const [state] = await ActivationSums.states(gpu, [sums]);
  sums.release();
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
  const sum = sumReference(Float32Array.from(norms.expected), DOCUMENTS, POSITIONS);
  norms.bound.forEach((error, row) =>
    sum.bound[row % POSITIONS] += error + U * norms.expected[row]
  );
  return mean(sum);
}

/** The sum of differences, with the bounds of both sums. */
function differenceReference(): Reference {
  const [ours, theirs] = [base, finetuned].map((x) => sumReference(x, DOCUMENTS, ROW));
  return {
    expected: theirs.expected.map((sum, i) => sum - ours.expected[i]),
    bound: theirs.bound.map((error, i) => error + ours.bound[i]),
  };
}

Deno.test("means of both models, of their difference and of their norms", async () => {
  const means = meansOf(await accumulated(base, [8, 12]), await accumulated(finetuned, [20]));
  assertEquals(means.documents, DOCUMENTS);
  assertWithin(means.base, mean(sumReference(base, DOCUMENTS, ROW)), "base");
  assertWithin(means.finetuned, mean(sumReference(finetuned, DOCUMENTS, ROW)), "finetuned");
  assertWithin(means.delta, mean(differenceReference()), "delta");
  assertWithin(means.baseNorm, meanNorm(base), "norm of base");
  assertWithin(means.finetunedNorm, meanNorm(finetuned), "norm of finetuned");
});

Deno.test("neither batches nor an interruption change a bit of the sums", async () => {
  const whole = await accumulated(base, [20]);
  assertEquals(await accumulated(base, [1, 7, 12]), whole);
  const half = await accumulated(base, [9]);
  assertEquals(half.documents, 9);
  assertEquals(await accumulated(base, [11], 9, half), whole);
});

Deno.test("sums of another shape are refused", async () => {
  const gpu = await testGpu("software");
  const state = await accumulated(base, [1]);
  const short = { ...state, sum: state.sum.slice(2) };
  assertThrows(
    () => new ActivationSums(gpu, POSITIONS, HIDDEN, short),
    ModelError,
    "Cannot resume: the sums have 418 values, expected 420",
  );
});
