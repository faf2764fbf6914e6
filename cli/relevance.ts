/** `deno task relevance`: which tokens of a readout belong to what the model was finetuned on. */

import { UsageError } from "../engine/errors.ts";
import { frequentTokens } from "../lens/frequent_tokens.ts";
import { isGenericToken } from "../lens/generic_tokens.ts";
import { KeptGrades } from "../lens/graders/kept_grades.ts";
import { readJsonFile } from "../lens/results/json_file.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { settledStep } from "../lens/results/settled_step.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { TextSet } from "../lens/text_set.ts";
import { type GradedRelevance, gradeLists, meanRelevance } from "../lens/token_relevance.ts";
import { loadTokenizer, readSpec } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";
import { parseCommand, type Values } from "./args.ts";
import { hubOf, sourceOptions } from "./common_flags.ts";
import { diffResults } from "./diff.ts";
import { type DiffPlan, planDiff } from "./diff_inputs.ts";
import { graderFor, type GradingShown, gradingShown } from "./graders.ts";
import { type Progress, startProgress } from "./progress.ts";
import { RELEVANCE_COMMAND } from "./relevance_flags.ts";
import { printRelevance } from "./relevance_print.ts";
import type { CommandContext } from "./run_command.ts";

/** The flags' values. */
export type RelevanceFlags = Values<typeof RELEVANCE_COMMAND["flags"]>;

/** Texts of a dataset that is read in parts: so many are enough to count its tokens. */
const COUNTED_TEXTS = 10_000;

/** Runs the command. */
export async function relevance(args: string[], context: CommandContext): Promise<number> {
  const parsed = parseCommand(RELEVANCE_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const found = await relevanceResults(parsed.flags, context);
  const { graded: [first], graded, folder, grader, grading } = found;
  if (parsed.flags.json) {
    const layers = graded.length > 1 ? { layers: graded } : {};
    console.log(
      JSON.stringify({ ...first, ...layers, grader, ...(grading && { grading }), results: folder }),
    );
  } else printRelevance(found);
  return 0;
}

/** Graded readouts. */
export interface RelevanceFound {
  graded: GradedRelevance[];
  /** Who graded. */
  grader: string;
  /** What the model was finetuned on, as the grader was told. */
  description: string;
  /** What an LLM's grades took, those of the scales among them. */
  grading?: GradingShown;
  folder: string;
}

/** Makes the readout, where it is not there, and grades it; a finished grading is not done again. */
export async function relevanceResults(
  flags: RelevanceFlags,
  context: CommandContext,
): Promise<RelevanceFound> {
  const plan = await planDiff(flags);
  const { description = plan.description } = flags;
  if (flags.grader === "llm" && description === undefined) {
    throw new UsageError("Missing --description: tell the grader what the model was finetuned on");
  }
  const { shown: { results, folder: path }, timing } = await diffResults(flags, context);
  timing.print();
  const source = await resolveSource(plan.base, sourceOptions(flags, context.signal));
  const tokenizer = await loadTokenizer(source, await readSpec(source));
  const frequent = frequentTokens(await finetuningTexts(flags, plan, context), tokenizer);

  // The folder is the diff's own: what was its fingerprint still is.
  const fingerprint = await readJsonFile(path, "fingerprint.json") as Record<string, JsonValue>;
  using folder = await RunFolder.open(path, { fingerprint, overwrite: false });
  const grades = await KeptGrades.open(folder);
  const grading = graderFor(flags, {
    // Keywords are compared as words: no model is asked.
    pair: { models: { base: noModel, finetuned: noModel }, tokenizer },
    grades,
    seed: flags.seed,
    signal: context.signal,
  });
  const llm = flags.grader === "llm";
  const topicOf = (keywords: readonly string[]) => ({
    description: description ?? "",
    keywords: llm ? frequent : keywords,
  });
  const graded: GradedRelevance[] = [];
  for (const result of results) {
    const topic = topicOf(result.relevance?.keywords ?? frequent);
    const step = `graded_relevance_${result.layer}`;
    // The scales that Patchscope's lists are of were graded alike.
    const settings = { ...grading.settings, ...topic, frequent, seed: flags.seed };
    graded.push(
      await settledStep(folder, { step, settings }, async () => {
        let bar: Progress | undefined;
        const lists = await gradeLists(result, {
          grader: grading.grader,
          topic,
          frequent,
          isGeneric: (token, id) => isGenericToken(token, tokenizer.specialIds.has(id)),
          seed: flags.seed,
          progress: (done, total) => {
            bar ??= startProgress({ label: "Grading", total, unit: "lists", quiet: !llm });
            bar.update(done);
          },
        }).finally(() => bar?.done());
        await grades.file();
        await folder.writeJson(`graded_lists_${result.layer}.json`, lists as unknown as JsonValue);
        return meanRelevance(result, lists, frequent);
      }),
    );
  }
  return {
    graded,
    grader: grading.grader.name,
    grading: gradingShown(flags, grading),
    description: description ?? "",
    folder: path,
  };
}

const noModel = () => Promise.reject(new Error("no model is needed for relevance"));

async function finetuningTexts(
  flags: RelevanceFlags,
  plan: DiffPlan,
  { signal }: CommandContext,
): Promise<string[]> {
  if (plan.finetuningText === undefined) {
    throw new UsageError(
      "Missing --finetuning-text: name the texts that the model was finetuned on",
    );
  }
  const set = await TextSet.open(
    plan.finetuningText,
    { column: plan.finetuningColumn },
    hubOf(sourceOptions(flags, signal)),
  );
  for await (const _ of set.pools({ documents: COUNTED_TEXTS, seed: flags.seed })) break;
  return set.sample.map(({ text }) => text);
}
