/** Flags that say who grades, for every command that has something graded. */

import { UsageError } from "../engine/errors.ts";
import { ChatClient } from "../lens/graders/llm/client.ts";
import { GRADER } from "../lens/graders/llm/failures.ts";
import { LlmGrader, type LlmGraderOptions } from "../lens/graders/llm/llm_grader.ts";
import type { Prices } from "../lens/graders/llm/tally.ts";
import { flagName, type Flags, type Values } from "./args_types.ts";

/** Who grades. */
export const GRADER_FLAGS = {
  grader: {
    kind: "string",
    choices: ["offline", "llm"],
    default: "offline",
    help: "who judges scales, tokens and texts: offline rules, or an LLM",
  },
  graderUrl: {
    kind: "string",
    placeholder: "URL",
    help:
      "with --grader llm, any server with OpenAI's API; the key is PALIMPSEST_GRADER_KEY, else " +
      "OPENAI_API_KEY, of the environment (default: https://api.openai.com/v1)",
  },
  graderModel: {
    kind: "string",
    placeholder: "NAME",
    help: "with --grader llm, the model, as the server calls it",
  },
  graderConcurrency: {
    kind: "int",
    min: 1,
    max: 256,
    help: "with --grader llm, requests under way at a time (default: 4)",
  },
  graderInputPrice: {
    kind: "float",
    min: 0,
    placeholder: "PRICE",
    help: "with --grader llm, of a million tokens of prompts, to have the cost counted",
  },
  graderOutputPrice: {
    kind: "float",
    min: 0,
    placeholder: "PRICE",
    help: "with --grader llm, of a million tokens of answers",
  },
} as const satisfies Flags;

/** The values of {@link GRADER_FLAGS}. */
export type GraderFlags = Values<typeof GRADER_FLAGS>;

/** Where LLMs are asked, unless it is said otherwise. */
export const DEFAULT_URL = "https://api.openai.com/v1";

/**
 * The LLM that the flags ask for, or undefined for the offline grader.
 *
 * @param options where its answers are recorded, those that are known, and what stops it
 * @param env reads an environment variable
 * @throws {UsageError} for flags that do not go together, and an address or a key that cannot be used
 */
export function llmGrader(
  flags: GraderFlags,
  options: Pick<LlmGraderOptions, "log" | "answers" | "signal"> = {},
  env: Environment = (name) => Deno.env.get(name),
): LlmGrader | undefined {
  const { grader, graderUrl: url = DEFAULT_URL, graderModel: model } = flags;
  if (grader === "offline") return refuseLlmFlags(flags);
  if (model === undefined) {
    throw new UsageError("Missing --grader-model: --grader llm needs the name of a model");
  }
  const prices = pricesOf(flags);
  const chat = new ChatClient({ url, model, key: keyFor(url, env) });
  return new LlmGrader({ ...options, chat, prices, concurrency: flags.graderConcurrency });
}

function refuseLlmFlags(flags: GraderFlags): undefined {
  const given = (Object.keys(GRADER_FLAGS) as (keyof GraderFlags)[])
    .find((key) => key !== "grader" && flags[key] !== undefined);
  if (given === undefined) return;
  throw new UsageError(`Cannot use --${flagName(given)} with the offline grader: add --grader llm`);
}

/** The prices of an LLM's tokens, where they are given. */
export function pricesOf({ graderInputPrice, graderOutputPrice }: GraderFlags): Prices | undefined {
  if (graderInputPrice === undefined && graderOutputPrice === undefined) return undefined;
  if (graderInputPrice === undefined || graderOutputPrice === undefined) {
    throw new UsageError(
      "Cannot count the cost: give both --grader-input-price and --grader-output-price",
    );
  }
  return { input: graderInputPrice, output: graderOutputPrice };
}

/** Reads an environment variable. */
export type Environment = (name: string) => string | undefined;

/**
 * The key for a server: of the variable `own`, which may be empty for no key, else OPENAI_API_KEY. That one was meant for others: it
 * goes over the network encrypted only.
 */
export function keyFor(url: string, env: Environment, own = GRADER.key): string | undefined {
  const key = env(own);
  if (key !== undefined) return key;
  const { protocol, hostname } = URL.parse(url) ?? {};
  const local = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname ?? "");
  return protocol === "https:" || local ? env("OPENAI_API_KEY") : undefined;
}

/** Refuses flags that {@link llmGrader} would, before anything is loaded. */
export function checkGrader(flags: GraderFlags): void {
  llmGrader(flags);
}
