/** From the flags of `deno task steer` to prompts and the difference. */

import { UsageError } from "../engine/errors.ts";
import type { Drawing, SteeringPrompt } from "../lens/steering/steer.ts";
import { findChat, stopIds } from "../models/chat.ts";
import { EMBEDDED } from "../models/embedded.ts";
import { EMBEDDED_TEXTS, UNRELATED_TEXTS } from "../models/organisms.ts";
import type { Values } from "./args.ts";
import type { OpenedPair } from "./open_pair.ts";
import { planPair } from "./pair.ts";
import type { STEER_COMMAND } from "./steer_flags.ts";

/** The flags' values. */
export type SteerFlags = Values<typeof STEER_COMMAND["flags"]>;

const PROMPTS = new URL("../lens/steering/prompts/", import.meta.url);

/** What is steered, with defaults filled in. References are for `resolveSource` and `TextSet`. */
export interface SteerPlan {
  base: string;
  finetuned: string;
  /** Unrelated text; absent where δ is taken from results. */
  text?: string;
  delta: { documents: number; tokens: number };
  search: Drawing;
  drawing: Drawing;
  /** Of an organism, what it was finetuned to do. */
  description?: string;
}

/**
 * Fills in what the flags leave open.
 *
 * @throws {UsageError} for flags that contradict each other or leave texts unnamed
 */
export async function planSteer(flags: SteerFlags): Promise<SteerPlan> {
  if (flags.from !== undefined && (flags.deltaDocuments ?? flags.text) !== undefined) {
    throw new UsageError(
      "Cannot use --text or --delta-documents with --from: the difference is there",
    );
  }
  const { base, finetuned, organism } = await planPair(flags);
  const embedded = base.startsWith(EMBEDDED);
  const text = flags.text ?? (embedded ? EMBEDDED_TEXTS : organism && UNRELATED_TEXTS);
  if (text === undefined && flags.from === undefined) {
    throw new UsageError(
      "Missing --text or --from: name text to measure the difference on, or results of deno task diff",
    );
  }
  return {
    base,
    finetuned,
    text,
    delta: {
      documents: flags.deltaDocuments ?? (embedded ? 1000 : 10_000),
      tokens: embedded ? 16 : 128,
    },
    search: {
      temperature: flags.searchTemperature,
      tokens: flags.searchTokens ?? (embedded ? 32 : 128),
      samples: flags.searchSamples,
    },
    drawing: {
      temperature: flags.temperature,
      tokens: flags.newTokens ?? (embedded ? 48 : 512),
      samples: flags.samples,
    },
    description: organism?.description,
  };
}

/** Prompts as the model sees them, and the tokens that end an answer. */
export interface SteerPrompts {
  search: SteeringPrompt[];
  prompts: SteeringPrompt[];
  stopIds: ReadonlySet<number>;
}

/** How prompts are put to a pair of models: in their chat template; as they are, where there is none. */
export async function promptWriter(
  { tokenizer, base, finetuned }: OpenedPair,
): Promise<{ write(text: string): SteeringPrompt; stopIds: ReadonlySet<number> }> {
  const chat = await findChat([finetuned, base], tokenizer);
  if (!chat) console.error("There is no chat template: the prompts are continued as they are");
  const write = (text: string): SteeringPrompt => ({
    text,
    ids: chat
      ? chat.render([{ role: "user", content: text }], { addGenerationPrompt: true })
      : tokenizer.encode(text, { special: true, parseSpecial: false }),
  });
  const ends = await stopIds(base, tokenizer, { chat: chat !== undefined });
  if (finetuned.kind === "model") {
    for (const id of await stopIds(finetuned, tokenizer, { chat: chat !== undefined })) {
      ends.add(id);
    }
  }
  return { write, stopIds: ends };
}

/** Reads the prompts and writes them for the models. */
export async function steerPrompts(pair: OpenedPair, flags: SteerFlags): Promise<SteerPrompts> {
  const { write, stopIds } = await promptWriter(pair);
  const read = async (file: string | undefined, ours: string) =>
    (await readPrompts(file ?? new URL(ours, PROMPTS))).map(write);
  return {
    search: await read(flags.searchPrompts, "search.txt"),
    prompts: await read(flags.prompts, "generation.txt"),
    stopIds,
  };
}

async function readPrompts(file: string | URL): Promise<string[]> {
  const text = await Deno.readTextFile(file).catch((cause: Error) => {
    throw new UsageError(`Cannot read the prompts "${file}": ${cause.message}`, { cause });
  });
  const prompts = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
  if (prompts.length > 0) return prompts;
  throw new UsageError(`Cannot use the prompts "${file}": every line is empty`);
}
