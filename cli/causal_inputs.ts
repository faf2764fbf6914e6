/** From the flags of `deno task causal` to texts and the difference. */

import { UsageError } from "../engine/errors.ts";
import { CAUSAL_SETS, type CausalSet } from "../lens/causal/causal.ts";
import { passageRule } from "../lens/causal/passages.ts";
import { chooseDocuments } from "../lens/documents.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { TextSet } from "../lens/text_set.ts";
import { findChat } from "../models/chat.ts";
import { EMBEDDED } from "../models/embedded.ts";
import { EMBEDDED_TEXTS, UNRELATED_TEXTS } from "../models/organisms.ts";
import type { SourceOptions } from "../models/source.ts";
import type { Values } from "./args.ts";
import type { CAUSAL_COMMAND } from "./causal_flags.ts";
import { hubOf } from "./common_flags.ts";
import { recordOf } from "./diff_texts.ts";
import type { OpenedPair } from "./open_pair.ts";
import { planPair } from "./pair.ts";
import { startProgress } from "./progress.ts";

/** The flags' values. */
export type CausalFlags = Values<typeof CAUSAL_COMMAND["flags"]>;

/** What is measured, with defaults filled in. References are for `resolveSource` and {@link TextSet}. */
export interface CausalPlan {
  base: string;
  finetuned: string;
  generic: string;
  finetuning: string;
  /** The field of the organism's own file that holds its text, where it is not the usual one. */
  finetuningColumn?: string;
  /** Whether the finetuning's texts are chats. */
  chat: boolean;
  /** Of each set, on which losses are taken. */
  documents: number;
  /** Of each of these documents, at most. */
  tokens: number;
  delta: { documents: number; tokens: number };
  /** Of an organism, what it was finetuned to do. */
  description?: string;
}

/**
 * Fills in what the flags leave open.
 *
 * @throws {UsageError} for flags that contradict each other or leave texts unnamed
 * @throws {ModelError} for an organism that is not known
 */
export async function planCausal(flags: CausalFlags): Promise<CausalPlan> {
  if (flags.from !== undefined && flags.deltaDocuments !== undefined) {
    throw new UsageError("Cannot use --delta-documents with --from: the difference is there");
  }
  const { base, finetuned, organism } = await planPair(flags);
  const embedded = base.startsWith(EMBEDDED);
  const generic = flags.text ?? (embedded ? EMBEDDED_TEXTS : organism && UNRELATED_TEXTS);
  if (generic === undefined) {
    throw new UsageError("Missing --text: name text that the finetuning was not about");
  }
  const finetuning = flags.finetuningText ?? organism?.finetuningTexts;
  if (finetuning === undefined) {
    throw new UsageError(
      organism
        ? `Missing --finetuning-text: the texts of organism ${organism.name} are not public`
        : "Missing --finetuning-text: name the texts that the model was finetuned on",
    );
  }
  return {
    base,
    finetuned,
    generic,
    finetuning,
    finetuningColumn: flags.finetuningText ? undefined : organism?.finetuningColumn,
    chat: flags.finetuningText === undefined && (organism?.chat ?? false),
    documents: flags.documents ?? (embedded ? 32 : 64),
    tokens: flags.tokens ?? (embedded ? 48 : 128),
    delta: {
      documents: flags.deltaDocuments ?? (embedded ? 1000 : 10_000),
      tokens: embedded ? 16 : 128,
    },
    description: organism?.description,
  };
}

/** The documents whose losses are taken, and what was read for them. */
export interface CausalTexts {
  sets: Record<CausalSet, Uint32Array[]>;
  hashes: Record<CausalSet, JsonValue>;
}

/**
 * Chooses the documents of both sets.
 *
 * @throws {TextError} if no text of a set can be used
 */
export async function causalTexts(
  { tokenizer, base, finetuned, spec }: OpenedPair,
  flags: CausalFlags,
  plan: CausalPlan,
  source: SourceOptions,
): Promise<CausalTexts> {
  if (plan.tokens > spec.maxPositions) {
    throw new UsageError(
      `Cannot use --tokens ${plan.tokens}: the model's context is ${spec.maxPositions} tokens`,
    );
  }
  const chats = await findChat([base, finetuned], tokenizer) ?? null;
  const rule = passageRule(tokenizer, chats, plan.tokens);
  const { documents } = plan;
  const { seed } = flags;
  const refs = {
    finetuning: { ref: plan.finetuning, column: plan.finetuningColumn, chat: plan.chat },
    generic: { ref: plan.generic, column: flags.column },
  };
  const texts = { sets: {}, hashes: {} } as CausalTexts;
  for (const set of CAUSAL_SETS) {
    const { ref, ...choice } = refs[set];
    const from = await TextSet.open(ref, choice, hubOf(source));
    const label = `Choosing ${set} documents`;
    const bar = startProgress({ label, total: documents, unit: "documents" });
    const { tokens, missing } = await chooseDocuments(from, rule, {
      documents,
      seed,
      progress: (found) => bar.update(found),
      signal: source.signal,
    }).finally(() => bar.done());
    texts.sets[set] = tokens;
    texts.hashes[set] = recordOf(from.read);
    if (missing > 0) console.error(`Only ${tokens.length} of ${documents} ${set} documents found`);
  }
  return texts;
}
