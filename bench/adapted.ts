/** How much slower does a model write under a LoRA adapter, whose factors stay beside the weights? */

import type { BenchContext } from "./context.ts";
import { decodeEffort, decodeSpeeds } from "./decode.ts";
import { row } from "./row.ts";
import type { ShapeName } from "./shapes.ts";

/** The adapter's rank, on all linear layers. */
const RANK = 16;

/** Rows `adapted:decode/NAME` and `adapted64:decode64/NAME` of a model: tokens/s under an adapter to those without, in the same turns. */
export async function benchAdapted(context: BenchContext, name: ShapeName): Promise<void> {
  const { options: { quick } } = context;
  const rowName = (sequences: number) => {
    const many = sequences === 1 ? "" : sequences;
    return `adapted${many}:decode${many}/${name}`;
  };
  const asked = [1, 64].filter((sequences) => context.wants(rowName(sequences)));
  if (asked.length === 0) return;
  const adapted = await context.adapted(name, RANK);
  const models = [await context.model(name), adapted];
  for (const sequences of asked) {
    const run = { sequences, promptTokens: quick ? 64 : 512, newTokens: quick ? 17 : 33 };
    const subjects = models.map((model) => ({ model, run }));
    const [plain, under] = await decodeSpeeds(subjects, decodeEffort(context));
    const speeds = [under, plain].map((speed) => speed.toFixed(0));
    const note = `${speeds[0]} tokens/s under an adapter of rank ${RANK}, ${speeds[1]} without`;
    context.add(row(rowName(sequences), under / plain, "×", { timed: "wall", note }));
  }
  adapted.destroy();
}
