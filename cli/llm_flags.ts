/** Flags that say which LLM investigates and which grades what it finds. */

import { UsageError } from "../engine/errors.ts";
import { ChatClient } from "../lens/graders/llm/client.ts";
import { AGENT, GRADER } from "../lens/graders/llm/failures.ts";
import type { Prices } from "../lens/graders/llm/tally.ts";
import { flagName, type Flags, type Values } from "./args_types.ts";
import { DEFAULT_URL, type Environment, keyFor } from "./grader_flags.ts";

const price = (of: string) =>
  ({ kind: "float", min: 0, placeholder: "PRICE", help: `of a million tokens of ${of}` }) as const;

/** The LLM that the agents are. */
export const LLM_FLAGS = {
  llmModel: {
    kind: "string",
    placeholder: "NAME",
    help: "the LLM that investigates, as its server calls it (default: none, see above)",
  },
  llmUrl: {
    kind: "string",
    placeholder: "URL",
    help:
      "any server with OpenAI's API, such as deno task serve; the key is PALIMPSEST_LLM_KEY, else " +
      "OPENAI_API_KEY, of the environment (default: https://api.openai.com/v1)",
  },
  protocol: {
    kind: "string",
    choices: ["tools", "text"],
    help: "how it calls tools: natively, or in text for LLMs that cannot (default: tools)",
  },
  llmTemperature: { kind: "float", min: 0, max: 2, help: "of its answers (default: 1)" },
  llmCalls: { kind: "int", min: 1, max: 100, help: "its answers in a run, at most (default: 100)" },
  llmTokens: {
    kind: "int",
    min: 1000,
    help: "the tokens of a run, prompts and answers, at most (default: 1000000)",
  },
  llmConcurrency: { kind: "int", min: 1, max: 256, help: "runs under way at a time (default: 4)" },
  llmInputPrice: price("its prompts, to have the cost counted"),
  llmOutputPrice: price("its answers"),
} as const satisfies Flags;

/** Who grades the hypotheses. */
export const HYPOTHESIS_GRADER_FLAGS = {
  graderModel: {
    kind: "string",
    placeholder: "NAME",
    help: "the LLM that grades the hypotheses (default: the one that investigates)",
  },
  graderUrl: {
    kind: "string",
    placeholder: "URL",
    help: "its server; the key is PALIMPSEST_GRADER_KEY, else as that of --llm-url",
  },
  graderConcurrency: { kind: "int", min: 1, max: 256, help: "its requests at a time (default: 4)" },
  graderInputPrice: price("its prompts, to have the cost counted"),
  graderOutputPrice: price("its answers"),
} as const satisfies Flags;

/** Values of both tables. */
export type LlmFlags = Values<typeof LLM_FLAGS & typeof HYPOTHESIS_GRADER_FLAGS>;

/** Whom to ask. */
export interface ChosenLlms {
  llm: { chat: ChatClient; prices?: Prices };
  grader: { chat: ChatClient; concurrency?: number; prices?: Prices };
}

/**
 * The LLMs that the flags ask for, or undefined where no LLM investigates.
 *
 * @param env reads an environment variable
 * @throws {UsageError} for flags that do not go together, and an address or a key that cannot be used
 */
export function chosenLlms(
  flags: LlmFlags,
  env: Environment = (name) => Deno.env.get(name),
): ChosenLlms | undefined {
  const { llmModel, llmUrl = DEFAULT_URL, graderModel, graderUrl } = flags;
  if (llmModel === undefined) return refuseOthers(flags);
  const key = keyFor(llmUrl, env, AGENT.key);
  const llm = {
    chat: new ChatClient({ url: llmUrl, model: llmModel, key, asked: AGENT }),
    prices: prices("llm", flags.llmInputPrice, flags.llmOutputPrice),
  };
  if (graderUrl !== undefined && graderModel === undefined) {
    throw new UsageError("Missing --grader-model: --grader-url needs the name of a model");
  }
  // Another model is on the same server, unless it is said where.
  const url = graderUrl ?? llmUrl;
  const own = env(GRADER.key);
  const gradersKey = graderUrl === undefined ? own ?? key : keyFor(url, env, GRADER.key);
  return {
    llm,
    grader: {
      chat: new ChatClient({ url, model: graderModel ?? llmModel, key: gradersKey }),
      concurrency: flags.graderConcurrency,
      prices: prices("grader", flags.graderInputPrice, flags.graderOutputPrice),
    },
  };
}

function refuseOthers(flags: LlmFlags): undefined {
  const keys = Object.keys({ ...LLM_FLAGS, ...HYPOTHESIS_GRADER_FLAGS }) as (keyof LlmFlags)[];
  const given = keys.find((key) => flags[key] !== undefined);
  if (given === undefined) return;
  throw new UsageError(`Cannot use --${flagName(given)} without an LLM: add --llm-model`);
}

function prices(who: string, input?: number, output?: number): Prices | undefined {
  if (input === undefined && output === undefined) return undefined;
  if (input !== undefined && output !== undefined) return { input, output };
  throw new UsageError(
    `Cannot count the cost: give both --${who}-input-price and --${who}-output-price`,
  );
}
