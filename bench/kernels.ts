/** How fast are the kernels, beside what this adapter can do at most? */

import { ATTENTION_CASES } from "./kernels/attention.ts";
import { ATTENTION_DECODE_CASES } from "./kernels/attention_decode.ts";
import type { KernelCase, PreparedCase } from "./kernels/case.ts";
import { copyCase, fmaCase } from "./kernels/ceilings.ts";
import {
  FEW_ROW_SHAPES,
  firstMatmulCase,
  LARGE_MATMUL_SHAPE,
  MATMUL_SHAPES,
  matmulCase,
  MATVEC_SHAPES,
} from "./kernels/matmul.ts";
import { RMSNORM_CASES } from "./kernels/rmsnorm.ts";
import type { BenchContext } from "./context.ts";
import { medians } from "../engine/gpu/measure.ts";
import { row } from "./row.ts";

/** The shape at which the first version's kernel is held against the newest. */
const YARDSTICKS = [[640, 768, 768], [640, 2048, 2048], [512, 512, 512]] as const;

/** The ceilings, by the kinds of adapter: what fills a GPU for milliseconds is seconds for a CPU. */
function ceilingCases({ gpu, options: { quick } }: BenchContext): KernelCase[] {
  const software = gpu.profile === "software";
  const copied = quick || software ? 32 : 127;
  return [
    copyCase(copied, "kernel"),
    copyCase(copied, "backend"),
    software ? fmaCase(1 << 13, quick ? 64 : 512) : fmaCase(1 << 20, 1024),
  ];
}

/** The kernels' cases, in groups that are measured one after the other. */
async function groups(context: BenchContext): Promise<KernelCase[][]> {
  const firsts = await Promise.all(YARDSTICKS.map(firstMatmulCase));
  const large = context.gpu.profile === "software" ? [] : [LARGE_MATMUL_SHAPE];
  const all = [
    [...firsts, ...[...MATMUL_SHAPES, ...large].map(matmulCase)],
    FEW_ROW_SHAPES.map(matmulCase),
    MATVEC_SHAPES.map(matmulCase),
    [...ATTENTION_CASES, ...ATTENTION_DECODE_CASES, ...RMSNORM_CASES],
  ];
  const wanted = all.map((cases) =>
    cases.filter(({ name }) => context.wants(name) || context.wants(ratioName(name)))
  ).filter((cases) => cases.length > 0);
  // The ceilings are wanted by all that follows.
  return wanted.length > 0 ? wanted : [[]];
}

/** Measures the kernels that were asked for, each group in the same turns as the ceilings, and what follows from them. */
export async function benchKernels(context: BenchContext): Promise<void> {
  const speeds = new Map<string, number>();
  for (const [i, group] of (await groups(context)).entries()) {
    const found = await measureGroup(context, group, i === 0);
    for (const [name, speed] of found) speeds.set(name, speed);
    if (i === 0) addRatios(context, speeds);
    const best = group.filter(({ name }) => name.startsWith("matmul/"))
      .toSorted((a, b) => speeds.get(b.name)! - speeds.get(a.name)!)[0];
    const before = context.bestMatmul;
    if (best && !(before && speeds.get(before.name)! >= speeds.get(best.name)!)) {
      context.bestMatmul = best;
    }
  }
}

/** Rows of a group, and with the first one those of the ceilings; the speeds by name, in GB/s or GFLOP/s. */
async function measureGroup(
  context: BenchContext,
  group: readonly KernelCase[],
  first: boolean,
): Promise<Map<string, number>> {
  const cases = [...ceilingCases(context), ...group];
  const prepared: PreparedCase[] = [];
  try {
    for (const one of cases) prepared.push(await one.prepare(context.gpu));
    const clocks = prepared.map(({ wall }) => wall ? context.clock.wall : context.clock);
    const subjects = prepared.map(({ record }, i) => clocks[i].subject(record));
    const times = await medians(subjects, context.effort);
    const speeds = new Map(cases.map(({ name, amount }, i) => [name, amount / times[i] / 1e6]));
    const ways = ["kernel", "backend"].map((by) => speeds.get(`ceiling/copy-${by}`)!);
    const ceilings = { copy: Math.max(...ways), fma: speeds.get("ceiling/fma") };
    if (first) Object.assign(context.ceilings, ceilings);
    cases.forEach(({ name, bound }, i) => {
      const isCeiling = name.startsWith("ceiling/");
      if (isCeiling && !first) return;
      const unit = bound === "fma" ? "GFLOP/s" : "GB/s";
      const ceiling = isCeiling ? null : ceilings[bound];
      const { checked } = prepared[i];
      const { timed } = clocks[i];
      context.add(row(name, speeds.get(name)!, unit, { ceiling, timed, note: checked }));
    });
    return speeds;
  } finally {
    for (const one of prepared) one.release();
  }
}

/** `matmul-first/640x768x768` → `matmul:first/640x768x768`. */
const ratioName = (name: string) => name.replace(/^matmul(-first)?\//, "matmul:first/");

function addRatios(context: BenchContext, speeds: ReadonlyMap<string, number>): void {
  for (const shape of YARDSTICKS) {
    const [newest, first] = ["matmul", "matmul-first"].map((kind) =>
      speeds.get(`${kind}/${shape.join("x")}`)
    );
    if (newest === undefined || first === undefined) continue;
    const name = `matmul:first/${shape.join("x")}`;
    const note = "the newest kernel to the first version's";
    context.add(row(name, newest / first, "×", { aim: "≥ 1.5", note }));
  }
}
