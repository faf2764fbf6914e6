/** How much slower does a model write under a LoRA adapter, whose factors stay beside the weights? */

import { median } from "../engine/gpu/measure.ts";
import type { BenchContext } from "./context.ts";
import { checkGreedy, decodeOnce } from "./decode.ts";
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
  const promptTokens = quick ? 64 : 512;
  for (const sequences of asked) {
    const run = { sequences, promptTokens, newTokens: quick ? 17 : 33 };
    const speeds: number[][] = models.map(() => []);
    for (let turn = 0; turn <= (quick ? 1 : 5); turn++) {
      for (const [i, model] of models.entries()) {
        const { speed, ids } = await decodeOnce(model, run);
        if (turn === 0) await checkGreedy(model, promptTokens, ids); // and the warm-up
        else speeds[i].push(speed);
      }
    }
    const [plain, under] = speeds.map(median);
    const note = `${under.toFixed(0)} tokens/s under an adapter of rank ${RANK}, ${
      plain.toFixed(0)
    } without`;
    context.add(row(rowName(sequences), under / plain, "×", { timed: "wall", note }));
  }
  adapted.destroy();
}
