/**
 * Bugs made by rule in every shader: they need no upkeep when a kernel is rewritten. Each operator plants one bug at each
 * place where its pattern stands, a few of them for each file.
 */

import type { Mutant, TestRun } from "./mutant.ts";

interface Operator {
  name: string;
  pattern: RegExp;
  /** What takes the place of a match. */
  replace(match: RegExpExecArray): string;
}

const OPERATORS: readonly Operator[] = [
  {
    name: "one element too many",
    pattern: /\((i|row|column|token|index) >= (params|p)\.(\w+)( \* \w+\.\w+)?\)/g,
    replace: ([, i, p, size, rest = ""]) => `(${i} > ${p}.${size}${rest})`,
  },
  {
    name: "the last element is left out",
    pattern: /\bi < (min\([^;]*?\)|end|\w+\.(?:count|width|documents)); /g,
    replace: ([, end]) => `i + 1u < ${end}; `,
  },
  {
    name: "a loop begins one too late",
    pattern: /for \(var (\w+) = 0u;/g,
    replace: ([, i]) => `for (var ${i} = 1u;`,
  },
  {
    name: "a barrier is dropped",
    pattern: /workgroupBarrier\(\);/g,
    replace: () => "",
  },
  {
    name: "a sum forgets what was before",
    pattern: /\b(sum|total|part|dot|compensation) \+= /g,
    replace: ([, sum]) => `${sum} = `,
  },
  {
    name: "chunks of half the size",
    pattern: /const (CHUNK|CHUNK4|KEYS) = (\d+)u;/g,
    replace: ([, name, size]) => `const ${name} = ${Number(size) / 2}u;`,
  },
  {
    name: "a product is subtracted",
    pattern: /(?<![.\w])fma\((\w+(?:\.\w+)?), /g,
    replace: ([, first]) => `fma(-${first}, `,
  },
  {
    name: "another base of the exponential",
    pattern: /(?<!\w)exp\(/g,
    replace: () => "exp2(",
  },
  {
    name: "the larger for the smaller",
    pattern: /(?<!\w)(min|max)\(/g,
    replace: ([, which]) => which === "min" ? "max(" : "min(",
  },
  {
    name: "an epsilon ten times as large",
    pattern: /params\.eps/g,
    replace: () => "10.0 * params.eps",
  },
  {
    name: "a scale is left out",
    pattern: /(params|p)\.scale \* /g,
    replace: () => "",
  },
  {
    name: "rows one element apart",
    pattern: /\* (params|p)\.(width|k|w_stride|ldy|head_dim|head_vec4)\b/g,
    replace: ([, p, name]) => `* (${p}.${name} + 1u)`,
  },
  {
    name: "the halves are swapped",
    pattern: /select\((pair << 16u), (pair & 0xffff0000u), high\)/g,
    replace: ([, low, high]) => `select(${high}, ${low}, high)`,
  },
];

/** Bugs of one operator in one file. */
const PER_FILE = 2;

/** Ops whose audit runs a kernel that is not named as the op. */
const OPS: Record<string, string> = {
  attention_prefix_texel: "attention_each",
  commit_tokens: "sample",
  key_texels: "attention_decode",
  matvec: "matmul",
  pack_texels: "few_rows",
  read_texels: "rmsnorm",
  turn_texel: "attention_each",
};

/** The audit of the ops that a shader is part of, then the tests of all kernels. */
export function shaderTests(name: string, ops: readonly string[]): TestRun[] {
  // The adapters that the tests mostly run on have no subgroups, and no matrices of them.
  if (name === "matvec_subgroup") return [{ files: ["tests/slow/subgroups_test.ts"] }];
  if (name === "matmul_matrix") return [{ files: ["engine/ops/matmul_matrix_test.ts"] }];
  const own = ops.filter((op) => name === op || name.startsWith(`${op}_`) || OPS[name] === op);
  const audit = ["engine/audit/audit_test.ts"];
  return [
    own.length > 0 ? { files: audit, filter: `/^audit: (${own.join("|")})$/` } : { files: audit },
    { files: ["engine/audit/order_test.ts", "engine/ops/"] },
  ];
}

/**
 * All mutants of a shader's source.
 *
 * @param ops the ops that are audited
 */
export function shaderMutants(file: string, source: string, ops: readonly string[]): Mutant[] {
  const name = file.replace(/^.*\/(.*)\.wgsl$/, "$1");
  const tests = shaderTests(name, ops);
  const body = source.search(/^(?!\/\/|$)/m);
  const mutants = OPERATORS.flatMap((operator) => {
    const matches = [...source.matchAll(operator.pattern)]
      .filter(({ index }) => index >= body && !inComment(source, index));
    // From all over the file, not only its beginning.
    const step = Math.max(1, Math.floor(matches.length / PER_FILE));
    return matches.filter((_, i) => i % step === 0).slice(0, PER_FILE).map((match) => ({
      what: `${operator.name}: ${match[0].trim()}`,
      file,
      ...lineChange(
        source,
        match.index,
        match[0].length,
        operator.replace(match as RegExpExecArray),
      ),
      tests,
      generated: true,
    }));
  });
  // Named by what stands there, not by lines, which move.
  const count = (what: string, end: number) =>
    mutants.slice(0, end).filter((mutant) => mutant.what === what).length;
  return mutants.map((mutant, i) => {
    const before = count(mutant.what, i);
    return before === 0 ? mutant : { ...mutant, what: `${mutant.what}, ${before + 1}` };
  });
}

function inComment(source: string, at: number): boolean {
  return source.slice(source.lastIndexOf("\n", at) + 1, at).includes("//");
}

/** The change as a text that stands once: the match with as many lines around it as that takes. */
function lineChange(source: string, at: number, length: number, changed: string) {
  const lineStart = (from: number) => source.lastIndexOf("\n", from - 1) + 1;
  let start = lineStart(at);
  let end = source.indexOf("\n", at + length);
  while (source.split(source.slice(start, end)).length !== 2 && start > 0) {
    start = lineStart(start - 1);
    const next = source.indexOf("\n", end + 1);
    end = next < 0 ? source.length : next;
  }
  const find = source.slice(start, end);
  return { find, replace: source.slice(start, at) + changed + source.slice(at + length, end) };
}
