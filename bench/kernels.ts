/** How fast are the kernels, beside what this adapter can do at most? */

import { ATTENTION_CASES } from "./kernels/attention.ts";
import type { KernelCase, PreparedCase } from "./kernels/case.ts";
import { copyCase, fmaCase } from "./kernels/ceilings.ts";
import {
  FEW_ROW_SHAPES,
  firstMatmulCase,
  MATMUL_SHAPES,
  matmulCase,
  MATVEC_SHAPES,
} from "./kernels/matmul.ts";
import { RMSNORM_CASES } from "./kernels/rmsnorm.ts";
import type { BenchContext } from "./context.ts";
import { medians } from "./measure.ts";
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

/** Every kernel's case. */
async function cases(context: BenchContext): Promise<KernelCase[]> {
  const firsts = await Promise.all(YARDSTICKS.map(firstMatmulCase));
  const products = [...MATMUL_SHAPES, ...FEW_ROW_SHAPES, ...MATVEC_SHAPES].map(matmulCase);
  const all = [...firsts, ...products, ...ATTENTION_CASES, ...RMSNORM_CASES];
  return all.filter(({ name }) => context.wants(name) || context.wants(ratioName(name)));
}

/** Measures the kernels that were asked for, all in the same turns, and then what follows from them. */
export async function benchKernels(context: BenchContext): Promise<void> {
  const wanted = [...ceilingCases(context), ...await cases(context)];
  const speeds = new Map<string, number>();
  const prepared: PreparedCase[] = [];
  try {
    for (const one of wanted) prepared.push(await one.prepare(context.gpu));
    const clocks = prepared.map(({ wall }) => wall ? context.clock.wall : context.clock);
    const subjects = prepared.map(({ record }, i) => clocks[i].subject(record));
    const times = await medians(subjects, context.effort);
    wanted.forEach(({ name, amount }, i) => speeds.set(name, amount / times[i] / 1e6));
    const ways = ["kernel", "backend"].map((by) => speeds.get(`ceiling/copy-${by}`)!);
    context.ceilings.copy = Math.max(...ways);
    context.ceilings.fma = speeds.get("ceiling/fma");
    wanted.forEach(({ name, bound }, i) => {
      const unit = bound === "fma" ? "GFLOP/s" : "GB/s";
      const ceiling = name.startsWith("ceiling/") ? null : context.ceilings[bound];
      const { checked } = prepared[i];
      const { timed } = clocks[i];
      context.add(row(name, speeds.get(name)!, unit, { ceiling, timed, note: checked }));
    });
  } finally {
    for (const one of prepared) one.release();
  }
  const best = wanted.filter(({ name }) => name.startsWith("matmul/"))
    .toSorted((a, b) => speeds.get(b.name)! - speeds.get(a.name)!)[0];
  context.bestMatmul = best;
  addRatios(context, speeds);
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
