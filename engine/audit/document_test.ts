import { assertAlmostEquals, assertEquals } from "@std/assert";
import { type AuditDocument, compareKernels, statedBound } from "./document.ts";
import { compareSums, type ModelSums } from "./layer_sums.ts";
import { measure, together, ulp } from "./measure.ts";
import { trialsOf } from "./audit_kernels.ts";
import { KERNEL_CASES } from "./cases.ts";
import { auditName, matchesGlob } from "./names.ts";
import { Draw } from "./inputs.ts";

Deno.test("errors are measured in ULP, relative L2 and shares of the bound", () => {
  assertEquals([ulp(1), ulp(1.99), ulp(2), ulp(0), ulp(2 ** -140)], [
    2 ** -23,
    2 ** -23,
    2 ** -22,
    2 ** -149,
    2 ** -149,
  ]);
  const expected = Float64Array.of(1, 2, -4);
  const bound = Float64Array.of(2 ** -20, 2 ** -20, 2 ** -20);
  const found = measure([1 + 2 ** -22, 2, -4 - 2 ** -20], { expected, bound });
  assertEquals([found.maxUlp, found.meanUlp, found.share], [2, 4 / 3, 1]);
  assertEquals(found.worst, { at: 2, actual: -4 - 2 ** -20, expected: -4, bound: 2 ** -20 });
  assertEquals(found.relativeL2, Math.sqrt((2 ** -44 + 2 ** -40) / 21));
  const lost = measure([NaN], { expected: Float64Array.of(1), bound: Float64Array.of(1) });
  assertEquals([lost.share, lost.maxUlp], [Infinity, Infinity]);
  const both = together(found, lost);
  assertEquals([both.elements, both.share], [4, Infinity]);
  const exact = measure([0], { expected: Float64Array.of(0), bound: Float64Array.of(0) });
  assertEquals([exact.share, exact.relativeL2], [0, 0]);
});

Deno.test("inputs are the same for a seed, and lie as their distribution says", () => {
  const draw = (name: ConstructorParameters<typeof Draw>[0]) =>
    new Draw(name, 7).values(4000, 40, 100);
  assertEquals(draw("normal"), draw("normal"));
  const normal = draw("normal");
  const variance = normal.reduce((sum, x) => sum + x * x, 0) / normal.length;
  assertEquals(Math.abs(variance - 1) < 0.06, true);
  assertEquals(draw("outliers").filter((x) => Math.abs(x) > 100).length > 200, true);
  const tiny = draw("denormal").filter((x) => Math.abs(x) < 2 ** -126).length;
  assertEquals(tiny > 1500 && tiny < 2500, true);
  assertEquals(draw("large").every((x) => Math.abs(x) >= 2 ** 92 && Math.abs(x) < 2 ** 100), true);
  assertEquals(new Set(draw("equal")).size, 1);
  const row = draw("cancelling").slice(0, 40);
  assertEquals(Math.abs(row.reduce((a, b) => a + b)) < 1e-3, true);
  // Exchanged checksums depend on these very numbers.
  assertEquals([...new Draw("normal", 1).values(3, 3)].map((x) => x.toFixed(6)), FIRST);
});

const FIRST = ["0.330294", "0.277051", "-0.012203"];

Deno.test("a shader's bound is read from its header", () => {
  const code =
    "// What.\n//\n// Sums:  none.\n// Error: one rounding,\n//        and u.\n//\n// More.\n\nx";
  assertEquals(statedBound(code), "one rounding, and u.");
  assertEquals(statedBound("// A. Sums: none. Error: none.\n\n// Error: not this"), "none.");
});

const audit = (checksums: Record<string, string>, sha256 = "a") =>
  ({ checksums, kernels: [{ name: "add", constants: {}, sha256 }] }) as unknown as AuditDocument;

Deno.test("comparing audits names the first kernel that parts", () => {
  const a = audit({ "add | x": "1", "glu | x": "1", "glu | y": "1", "only | a": "1" });
  const b = audit({ "glu | y": "2", "add | x": "1", "glu | x": "1", "only | b": "1" }, "b");
  assertEquals(compareKernels(a, b), {
    compared: 3,
    different: ["glu | y"],
    firstKernel: "glu",
    kernels: [{ op: "glu", different: 1, compared: 2 }],
    otherSources: ["add"],
  });
  assertEquals(compareKernels(a, a).firstKernel, null);
});

Deno.test("comparing activations names the first layer that parts, and counts tokens", () => {
  const base64 = (values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>) =>
    new Uint8Array(values.buffer).toBase64();
  const sums = (last: number, tokens: number[]): ModelSums => ({
    model: "m",
    layers: [[1, 2], [3, last]].map((values, i) => ({
      hook: `h${i}`,
      sha256: values.join(),
      values: base64(Float32Array.from(values)),
    })),
    tokens: tokens.length,
    argmax: base64(Uint32Array.from(tokens)),
  });
  const found = compareSums(sums(4, [5, 6, 7]), sums(4.5, [5, 6, 8]));
  assertEquals([found.parts, found.agree, found.tokens], ["h1", 2, 3]);
  assertAlmostEquals(found.layers[1].relativeL2, 0.5 / Math.hypot(3, 4.5));
  assertEquals(compareSums(sums(4, [5]), sums(4, [5])).parts, null);
});

Deno.test("names of files and globs", () => {
  const adapter = { vendor: "", architecture: "", device: "", software: true };
  const name = auditName("deno", { ...adapter, description: "llvmpipe (LLVM 15.0.6, 256 bits)" });
  assertEquals(name, "deno-llvmpipe-llvm-15.0.6-256-bits");
  const named = auditName("dawn", { ...adapter, description: "llvmpipe" }, "Mesa 25.0.7/../x");
  assertEquals(named, "dawn-llvmpipe-mesa-25.0.7-..-x");
  assertEquals(auditName("dawn", { ...adapter, description: "../../etc" }), "dawn-..-..-etc");
  assertEquals([matchesGlob("softmax", ["soft*"]), matchesGlob("add_bias", ["add"])], [
    true,
    false,
  ]);
});

Deno.test("a quick audit has inputs of a full one, so that the two compare", () => {
  const plan = { cases: KERNEL_CASES, repeats: 1, randomBatches: 1 };
  const seeds = (quick: boolean, randomShapes: number) =>
    new Map(
      trialsOf({ ...plan, quick, randomShapes }).map((trial) => [
        `${trial.one.op} | ${trial.shape.label} | ${trial.distribution}`,
        trial.seed,
      ]),
    );
  const full = seeds(false, 6);
  for (const [name, seed] of seeds(true, 1)) assertEquals(full.get(name), seed, name);
});
