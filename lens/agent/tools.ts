/** The tools of the agents: what they take, what they cost, and what they say. */

import { z } from "zod";
import { shownScale } from "../graders/llm/answers.ts";
import { shortened } from "../graders/llm/quoted.ts";
import type { ToolDescription } from "../graders/llm/client.ts";
import type { TokenProb } from "../readout.ts";
import type { JsonValue } from "../results/stable_json.ts";
import type { AskedModels, Draw, Evidence } from "./evidence.ts";
import type { AgentName } from "./results.ts";
import { shownToken } from "./shown.ts";

/** What is wrong with a call. The message is for the LLM that made it. */
export class ToolProblem extends Error {
  override name = "ToolProblem";
}

/** What a call will do, once it is paid for. */
export interface PlannedCall {
  /** In interactions. */
  cost: number;
  /** @param draw from which texts are drawn */
  run(draw: Draw): Promise<JsonValue>;
}

/** One tool. */
export interface AgentTool extends ToolDescription {
  /**
   * Looks at a call's arguments; nothing is done yet.
   *
   * @throws {ToolProblem} if they are wrong
   */
  plan(args: unknown): PlannedCall;
}

/** The tool with which a run ends. */
export const ANSWER_TOOL = "submit_answer";

/** Characters of a hypothesis. */
export const MAX_HYPOTHESIS = 8_000;

/** Characters shown of a text, and of a prompt that an agent may write. */
const SHOWN_TEXT = 4_000;
const MAX_PROMPT = 2_000;

/** Prompts of one call, and texts of one call. */
const MAX_PROMPTS = 20;

/** The tools of an agent. */
export function toolsOf(agent: AgentName, evidence: Evidence, models: AskedModels): AgentTool[] {
  const lens = [logitLensTool(evidence), patchscopeTool(evidence), samplesTool(evidence)];
  const ask = askTool(models);
  switch (agent) {
    case "adl":
      return [...lens, ask, steerTool(evidence, models), answerTool()];
    case "logitdiff":
      return [logitDifferenceTool(evidence), ask, answerTool()];
    case "blackbox":
      return [ask, answerTool()];
  }
}

/** Reads the arguments of {@link ANSWER_TOOL}. */
export function submittedAnswer(args: unknown): string {
  return checked(answerSchema, args).description;
}

const position = z.int().describe("a position of the overview");
const count = (most: number, otherwise: number) => z.int().min(1).max(most).default(otherwise);

function logitLensTool({ positions }: Evidence): AgentTool {
  const schema = z.strictObject({
    position,
    sign: z.enum(["positive", "negative"]).default("positive")
      .describe("negative: tokens of the difference with its sign turned"),
    tokens: count(100, 30).describe("how many tokens"),
  });
  return tool({
    name: "get_logitlens_details",
    description: "More tokens of the logit lens at one position. Costs no interaction.",
    schema,
    plan(args) {
      const { logitLens } = at(positions, args.position);
      const list = args.sign === "positive" ? logitLens.top : logitLens.bottom;
      return free({ position: args.position, tokens: shownList(list.slice(0, args.tokens)) });
    },
  });
}

function patchscopeTool({ positions }: Evidence): AgentTool {
  const schema = z.strictObject({
    position,
    scale: z.number().optional()
      .describe(
        "a scale; without it: the tokens of the overview's scale, and the scales there are",
      ),
    tokens: count(20, 20).describe("how many tokens"),
  });
  return tool({
    name: "get_patchscope_details",
    description: "The tokens of Patchscope at one position, at any scale. Costs no interaction.",
    schema,
    plan(args) {
      const { patchscope } = at(positions, args.position);
      const scales = patchscope.scales.map(({ scale }) => shownScale(scale));
      if (args.scale === undefined) {
        const { scale, tokens } = patchscope;
        return free({
          scale: scale === null ? null : shownScale(scale),
          tokens: shownList(tokens.slice(0, args.tokens)),
          scales,
        });
      }
      const list = patchscope.scales.find(({ scale }) => shownScale(scale) === args.scale);
      if (!list) {
        throw new ToolProblem(`there is no scale ${args.scale}; there are ${scales.join(", ")}`);
      }
      return free({ scale: args.scale, tokens: shownList(list.tokens.slice(0, args.tokens)) });
    },
  });
}

function samplesTool({ steering }: Evidence): AgentTool {
  const schema = z.strictObject({
    prompt_index: z.int().describe("a prompt of the overview, from 0"),
    position: z.int().optional().describe("the position whose difference was added"),
    samples: count(10, 5).describe("how many of each kind"),
  });
  return tool({
    name: "get_steering_samples",
    description:
      "Whole texts that model B wrote to a prompt of the overview, steered and unsteered. Costs no interaction.",
    schema,
    plan(args) {
      const place = args.position ?? steering[0]?.position;
      const { samples } = at(steering, place);
      const sample = samples[args.prompt_index];
      if (!sample) {
        const last = samples.length - 1;
        throw new ToolProblem(`there is no prompt ${args.prompt_index}; they are 0 to ${last}`);
      }
      const cut = (texts: readonly string[]) => texts.slice(0, args.samples).map(shownText);
      return free({
        prompt: sample.prompt,
        position: place,
        steered: cut(sample.steered),
        unsteered: cut(sample.unsteered),
      });
    },
  });
}

function askTool(models: AskedModels): AgentTool {
  const schema = z.strictObject({
    prompts: z.array(z.string().min(1).max(MAX_PROMPT)).min(1).max(MAX_PROMPTS)
      .describe("each is put to both models by itself, as a user's message"),
  });
  return tool({
    name: "ask_model",
    description: "What model A and model B answer to prompts. Each prompt costs one interaction.",
    schema,
    plan: ({ prompts }) => ({
      cost: prompts.length,
      async run(draw) {
        const answers = await models.ask(prompts, draw);
        return answers.map(({ base, finetuned }, i) => ({
          prompt: prompts[i],
          model_A: shownText(base),
          model_B: shownText(finetuned),
        }));
      },
    }),
  });
}

function steerTool({ steering }: Evidence, models: AskedModels): AgentTool {
  const schema = z.strictObject({
    prompt: z.string().min(1).max(MAX_PROMPT),
    position: z.int().optional().describe("the position whose difference is added"),
    samples: count(MAX_PROMPTS, 1).describe("how many texts"),
  });
  return tool({
    name: "generate_steered",
    description:
      "What model B writes to a prompt of yours while the difference is added. Each sample costs one interaction.",
    schema,
    plan(args) {
      const place = args.position ?? steering[0]?.position;
      at(steering, place);
      const { prompt, samples } = args;
      return {
        cost: samples,
        async run(draw) {
          const texts = await models.steer(prompt, { position: place, samples }, draw);
          return { prompt, position: place, steered: texts.map(shownText) };
        },
      };
    },
  });
}

function logitDifferenceTool({ logitDifference }: Evidence): AgentTool {
  const schema = z.strictObject({
    direction: z.enum(["raised", "lowered"]).default("raised"),
    tokens: count(100, 50).describe("how many tokens"),
  });
  return tool({
    name: "get_logit_difference_details",
    description:
      "More tokens whose logits model B raised or lowered on unrelated text. Costs no interaction.",
    schema,
    plan({ direction, tokens }) {
      const list = direction === "raised" ? logitDifference.top : logitDifference.bottom;
      const shown = list.slice(0, tokens)
        .map(({ token, difference }) => shownToken(token, difference));
      return free({ [direction]: shown });
    },
  });
}

const answerSchema = z.strictObject({
  description: z.string().trim().min(1).max(MAX_HYPOTHESIS)
    .describe("what model B was finetuned for, as precisely as the evidence allows"),
});

function answerTool(): AgentTool {
  return tool({
    name: ANSWER_TOOL,
    description: "Your final answer. It ends the investigation.",
    schema: answerSchema,
    plan: ({ description }) => free({ description }),
  });
}

function tool<S extends z.ZodType>(
  { schema, plan, ...described }: {
    name: string;
    description: string;
    schema: S;
    plan(args: z.output<S>): PlannedCall;
  },
): AgentTool {
  const { $schema: _, ...parameters } = z.toJSONSchema(schema, { io: "input" });
  return { ...described, parameters, plan: (args) => plan(checked(schema, args)) };
}

/** Arguments as the schema has them; `null` in the place of none is what some LLMs write. */
function checked<S extends z.ZodType>(schema: S, args: unknown): z.output<S> {
  const result = schema.safeParse(args ?? {});
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw new ToolProblem(
    `the arguments are wrong: ${[path.join("."), message].filter(Boolean).join(": ")}`,
  );
}

function at<T extends { position: number }>(all: readonly T[], place: number | undefined): T {
  const found = all.find(({ position }) => position === place);
  if (found) return found;
  const known = all.map(({ position }) => position).join(", ");
  throw new ToolProblem(`there is no position ${place}; there are ${known || "none"}`);
}

function free(value: JsonValue): PlannedCall {
  return { cost: 0, run: () => Promise.resolve(value) };
}

function shownList(tokens: readonly TokenProb[]): JsonValue {
  return tokens.map(({ token, prob }) => shownToken(token, prob));
}

function shownText(text: string): string {
  return shortened(text, SHOWN_TEXT);
}
