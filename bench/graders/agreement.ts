/**
 * How far does the offline grader agree with obvious cases? `deno run -A cli/driver/launch.ts run -A
 * bench/graders/agreement.ts [--each N] [--tokens N] [--temperature T] [--samples N] [--seed N] [--organisms]`
 *
 * Prints, for the embedded base, the limits that calibration found, the agreement on the labelled texts, tokens and lists by
 * kind, and with `--organisms` the share of each organism's own unsteered texts that is accepted, and by whose measure.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Gpu } from "../../engine/gpu/gpu.ts";
import {
  type Agreement,
  agreementByKind,
  agreementOf,
} from "../../lens/graders/labelled/agreement.ts";
import { chooseYardstick } from "../../lens/graders/yardstick.ts";
import { loadFinetuned } from "../../models/load_model.ts";
import { embeddedOrganisms } from "../../models/embedded.ts";
import { loadedPair } from "../../models/model_shelf.ts";
import { resolveSource } from "../../models/source.ts";
import { formatTable } from "../../cli/table.ts";
import {
  baseGrader,
  type Bench,
  judgeScales,
  judgeTexts,
  judgeTokens,
  openBench,
} from "./measure.ts";

const flags = parseArgs(Deno.args, {
  string: ["each", "tokens", "temperature", "samples", "seed"],
  boolean: ["organisms"],
  default: { each: "40", tokens: "64", temperature: "1.2", samples: "32", seed: "0" },
});
const [each, tokens, temperature, samples, seed] = [
  flags.each,
  flags.tokens,
  flags.temperature,
  flags.samples,
  flags.seed,
].map(Number);

/** Prints agreement by kind, and of all. */
function print(
  title: string,
  byKind: Map<string, Agreement>,
  all: Agreement,
  notes = new Map<string, string>(),
) {
  const columns = [
    { title },
    { title: "label" },
    { title: "right", align: "right" },
    { title: "rejected for" },
  ] as const;
  const rows = [...byKind].map(([kind, { right, cases, positives }]) => [
    kind,
    positives > 0 ? "yes" : "no",
    `${right}/${cases}`,
    notes.get(kind) ?? "",
  ]);
  console.log(formatTable(columns, rows));
  const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(1)} %`;
  console.log(
    `accuracy ${percent(all.right, all.cases)}; false accepts ${
      percent(all.falseAccepts, all.negatives)
    }; ` +
      `false rejects ${percent(all.falseRejects, all.positives)}\n`,
  );
}

async function printTexts(bench: Bench) {
  const grader = baseGrader(bench, { temperature, samples, seed });
  const { range } = await grader.yardstick();
  const limits = [5, 10, 20, 64, 128].map((n) => `${n}: ${range.highestLoss(n).toFixed(2)}`);
  console.log(`Highest loss in nats, by tokens: ${limits.join(", ")}`);
  const { distinct, longestLoop } = range.repetition;
  const shares = distinct.map((share) => share.toFixed(2)).join(", ");
  console.log(
    `Least distinct n-grams: ${shares}; longest loop: ${longestLoop.toFixed(0)} tokens\n`,
  );
  const judged = await judgeTexts(grader, bench.sources, { each, tokens, seed });
  const notes = new Map<string, string>();
  for (const [kind, own] of Map.groupBy(judged, ({ kind }) => kind)) {
    const faults = Map.groupBy(own.flatMap(({ faults }) => faults), (fault) => fault);
    notes.set(kind, [...faults].map(([fault, all]) => `${fault} ${all.length}`).join(", "));
  }
  print("texts", agreementByKind(judged), agreementOf(judged), notes);
}

async function printLists(bench: Bench) {
  const grader = baseGrader(bench, { temperature, seed });
  const judged = await judgeTokens(grader, bench.tokenizer, seed);
  print("tokens", agreementByKind(judged), agreementOf(judged));
  for (const share of [10, 6, 4, 3]) {
    const found = await judgeScales(grader, bench.tokenizer, { share, draws: 5, seed });
    console.log(
      `scales: ${share} of 20 tokens of one topic: ${found.right}/${found.cases} right; of the topic's tokens ` +
        `${found.recall.toFixed(2)} called coherent, of those called so ${
          found.precision.toFixed(2)
        } are the topic's`,
    );
  }
}

async function printOrganisms(gpu: Gpu, { base, chat, stopIds }: Bench) {
  const source = await resolveSource("embedded:base");
  const file = new URL("../../lens/steering/prompts/generation.txt", import.meta.url);
  const prompts = (await Deno.readTextFile(file)).trim().split("\n").map((content) =>
    chat.render([{ role: "user", content }], { addGenerationPrompt: true })
  );
  for (const { name } of await embeddedOrganisms()) {
    const tuned = await loadFinetuned(
      gpu,
      { source, transformer: base },
      await resolveSource(`embedded:${name}`),
    );
    const { model, accepted } = await chooseYardstick(loadedPair(base, tuned.transformer), {
      prompts,
      temperature,
      samples,
      stopIds,
      seed,
    });
    console.log(
      `${name}: the base accepts ${
        (100 * accepted).toFixed(0)
      } % of its unsteered texts; judged by the ${model} model`,
    );
    tuned.transformer.destroy();
  }
}

using gpu = await Gpu.open();
const bench = await openBench(gpu);
await printTexts(bench);
await printLists(bench);
if (flags.organisms) await printOrganisms(gpu, bench);
