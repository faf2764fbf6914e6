/**
 * What the agents' evaluation keeps in its folder, and what is read back from there. Files are read through these schemas:
 * whatever is in them was written by models.
 *
 * - `logit_diff.json`: {@link LogitDifference};
 * - `summariser.json`: {@link SummariserResult}, without an LLM;
 * - `run_AGENT_INTERACTIONS_RUN.json`, such as `run_adl_5_1.json`: {@link AgentRun}, one each, with its transcript;
 * - `grades.jsonl`: every request to the grader and its raw answer (`lens/graders/llm/log.ts`);
 * - `evaluation.json`: {@link Evaluation}, and `evaluation.svg`, its plot;
 * - `grades.json`, `grades.svg` or `summaries.json`: the same of several organisms, each of which has a folder within.
 *
 * What the summariser scores and what an LLM graded are never in one file, and never in one table.
 */

import { z } from "zod";
import { ResultsError } from "../../engine/errors.ts";
import { parseSchema } from "../../engine/schema.ts";

/**
 * Who investigates, by what it is shown: `adl` the lens' readouts and steered texts, `blackbox` the finetuned model's texts
 * alone, `logitdiff` the tokens whose logits the finetuning raised.
 */
export const AGENTS = ["adl", "blackbox", "logitdiff"] as const;

/** One of {@link AGENTS}. */
export type AgentName = typeof AGENTS[number];

const count = z.int().min(0);
const share = z.number().min(0).max(1);
const agent = z.enum(AGENTS);
/** Low and high end of a 95 % interval. */
const interval = z.tuple([z.number(), z.number()]);
const estimate = z.object({ value: z.number(), interval });

/** A number with the low and the high end of its 95 % interval. */
export type Estimate = z.infer<typeof estimate>;

/** One token of a list of logit differences. */
const tokenDifference = z.object({
  token: z.string(),
  id: count,
  /** Mean of (finetuned − base), in logits. */
  difference: z.number(),
});

/** `logit_diff.json`: which tokens the finetuning made likelier, and which less so, on unrelated text. */
export const logitDifferenceSchema = z.object({
  documents: count,
  /** Positions that the mean is over: all of all documents. */
  tokens: count,
  /** Mean and standard deviation over the vocabulary. */
  mean: z.number(),
  deviation: z.number(),
  /** Raised most, the most first. */
  top: z.array(tokenDifference),
  /** Lowered most, the most first. */
  bottom: z.array(tokenDifference),
});

/** See {@link logitDifferenceSchema}. */
export type LogitDifference = z.infer<typeof logitDifferenceSchema>;

/** What may be spent in a run. */
const budgetSchema = z.object({
  /** Prompts that models answer, and texts that they write steered. */
  interactions: count,
  /** Answers of the LLM. */
  llm_calls: count,
  /** Of its prompts and its answers. */
  tokens: count,
});

/** What may be spent in a run. */
export type BudgetLimits = z.infer<typeof budgetSchema>;

const usage = z.object({ input: count, output: count });

/** One call of a tool, as the LLM wrote it. */
const toolCall = z.object({ id: z.string(), name: z.string(), arguments: z.string() });

/** One call of a tool, as the LLM wrote it. */
export type ToolCall = z.infer<typeof toolCall>;

const turn = z.discriminatedUnion("role", [
  z.object({ role: z.literal("user"), content: z.string() }),
  z.object({
    role: z.literal("assistant"),
    /** As it came. */
    content: z.string(),
    /** As it was read: in the text protocol it stands in `content`. */
    tool_calls: z.array(toolCall),
    refused: z.boolean(),
    /** Null where the server does not say. */
    usage: usage.nullable(),
    /** What was counted against the budget; an estimate where the server does not say. */
    tokens: count,
    /** Null for a model that takes no temperature. */
    temperature: z.number().nullable(),
  }),
  z.object({
    role: z.literal("tool"),
    /** The call that it answers. */
    tool_call_id: z.string(),
    name: z.string(),
    /** Whether the tool did what was asked; else `content` says what was wrong. */
    ok: z.boolean(),
    /** Spent by this call. */
    interactions: count,
    content: z.string(),
  }),
]);

/** One message of a transcript. */
export type Turn = z.infer<typeof turn>;

/** How a run ended: with an answer, a budget used up, or more said than the LLM can read. Null while it is under way. */
export const RUN_ENDS = ["answered", "llm_calls", "tokens", "context"] as const;

/** `run_AGENT_INTERACTIONS_RUN.json`: one investigation. */
export const agentRunSchema = z.object({
  agent,
  /** From 1. */
  run: z.int().min(1),
  seed: count,
  /** The LLM's name. */
  model: z.string(),
  protocol: z.enum(["tools", "text"]),
  /** SHA-256 of all that the run depends on: evidence, prompts, LLM, budgets. */
  settings: z.string(),
  budget: budgetSchema,
  spent: z.object({
    interactions: count,
    llm_calls: count,
    tokens: count,
    input_tokens: count,
    output_tokens: count,
    /** Answers whose tokens the server did not count; `tokens` has an estimate of them. */
    uncounted: count,
    /** Requests that brought no answer: time-outs, cut connections. */
    failed_requests: count,
  }),
  /** In the currency of the prices; null without prices, or where an answer was not counted. */
  cost: z.number().nullable(),
  end: z.enum(RUN_ENDS).nullable(),
  /** What the agent says the finetuning was about; null where it did not say. */
  hypothesis: z.string().nullable(),
  transcript: z.array(turn),
});

/** See {@link agentRunSchema}. */
export type AgentRun = z.infer<typeof agentRunSchema>;

/** One reading of a hypothesis by the grader. */
const gradingSchema = z.object({
  /** From 1. */
  grading: z.int().min(1),
  score: z.int().min(1).max(5),
  /** As it came, its reasons among it. */
  answer: z.string(),
});

/** The gradings of one run. */
const gradedRunSchema = z.object({
  agent,
  interactions: count,
  run: z.int().min(1),
  end: z.enum(RUN_ENDS),
  hypothesis: z.string().nullable(),
  /** None where there is no hypothesis: such a run has score 1 without being shown to the grader. */
  gradings: z.array(gradingSchema),
  /** The median of the gradings. */
  score: z.number().min(1).max(5),
  /** Their mean. */
  mean_score: z.number().min(1).max(5),
  spent: agentRunSchema.shape.spent,
  cost: z.number().nullable(),
});

/** See {@link evaluationSchema}. */
export type GradedRun = z.infer<typeof gradedRunSchema>;

/** Runs of one agent with one budget. */
const aggregateSchema = z.object({
  agent,
  interactions: count,
  /** Organisms that it is over: 1 in the folder of one. */
  organisms: z.int().min(1),
  runs: z.int().min(1),
  answered: count,
  /** Mean of the runs' mean scores; interval by percentile bootstrap over runs (over organisms, where there are several). */
  mean: estimate,
  /** Share of runs whose median grading is at least so much; Wilson's interval (with n the organisms, where there are several). */
  at_least_2: estimate,
  at_least_3: estimate,
  at_least_4: estimate,
  /** Means a run. */
  mean_interactions: z.number().min(0),
  mean_llm_calls: z.number().min(0),
  mean_tokens: z.number().min(0),
  /** Of all runs together. */
  cost: z.number().nullable(),
});

/** See {@link evaluationSchema}. */
export type Aggregate = z.infer<typeof aggregateSchema>;

/** `evaluation.json`: the agents' hypotheses, graded by an LLM. */
export const evaluationSchema = z.object({
  /** For people; agents and grader do not see it. */
  organism: z.string(),
  /** Which rubric it was graded by. */
  family: z.string(),
  llm: z.string(),
  protocol: z.enum(["tools", "text"]),
  grader: z.string(),
  runs: z.array(gradedRunSchema),
  aggregates: z.array(aggregateSchema),
  /** What the gradings took. */
  grader_usage: z.object({
    requests: count,
    input_tokens: count,
    output_tokens: count,
    uncounted: count,
    cost: z.number().nullable(),
  }),
});

/** See {@link evaluationSchema}. */
export type Evaluation = z.infer<typeof evaluationSchema>;

/** `grades.json` of an evaluation on several organisms: what an LLM graded, of each and over all. */
export const evaluatedGradesSchema = z.object({
  organisms: z.array(z.object({ organism: z.string(), aggregates: z.array(aggregateSchema) })),
  all: z.array(aggregateSchema),
});

/** See {@link evaluatedGradesSchema}. */
export type EvaluatedGrades = z.infer<typeof evaluatedGradesSchema>;

/** How much of the ground truth a summary has. */
const recallSchema = z.object({
  /** The key facts, each with the share of its content words that the summary has in one place. */
  facts: z.array(z.object({ fact: z.string(), coverage: share, recalled: z.boolean() })),
  /** Share of the key facts that are recalled. */
  fact_recall: share.nullable(),
  /** The organism's keywords that are among the summary's words. */
  recalled_keywords: z.array(z.string()),
  /** Their share of the organism's keywords. */
  keyword_recall: share.nullable(),
  /** Share of the summary's words that are keywords, or words of a key fact. */
  word_precision: share.nullable(),
});

/** See {@link summariserResultSchema}. */
export type Recall = z.infer<typeof recallSchema>;

/** What the evidence summariser makes of one agent's evidence. */
const summarySchema = z.object({
  agent,
  /** The most telling words, the most telling first. */
  words: z.array(z.string()),
  /** Sentences from the texts that have most of these words; none where the evidence has no texts. */
  sentences: z.array(z.string()),
  /** Against the organism's ground truth; null where none is known. */
  recall: recallSchema.nullable(),
  /** The means of the same against the ground truth of organisms of other topics: what chance recalls. */
  chance: z.object({
    organisms: z.int().min(1),
    fact_recall: share,
    keyword_recall: share,
    word_precision: share,
  }).nullable(),
});

/** See {@link summariserResultSchema}. */
export type EvidenceSummary = z.infer<typeof summarySchema>;

/**
 * `summariser.json`: a fixed procedure over the agents' evidence, where no LLM is at hand. It is no agent, its scores are no
 * grades, and the two are not to be compared.
 */
export const summariserResultSchema = z.object({
  method: z.literal("evidence summariser"),
  organism: z.string(),
  family: z.string(),
  summaries: z.array(summarySchema),
});

/** See {@link summariserResultSchema}. */
export type SummariserResult = z.infer<typeof summariserResultSchema>;

/** `summaries.json` of an evaluation on several organisms without an LLM: what the summariser made of each. */
export const summariesSchema = z.array(summariserResultSchema);

/** The file of a run. */
export function runFileName(
  { agent, interactions, run }: { agent: AgentName; interactions: number; run: number },
): string {
  return `run_${agent}_${interactions}_${run}.json`;
}

/**
 * A result as read from a file: of the right shape, or refused.
 *
 * @param name the file's
 * @throws {ResultsError} saying what is wrong with it
 */
export function checkedResult<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  return parseSchema(
    schema,
    value,
    (problem) => new ResultsError(`Cannot read "${name}": it ${problem}`),
  );
}
