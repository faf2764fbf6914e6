/** From the flags of `deno task diff` to models and texts. */

import { UsageError } from "../engine/errors.ts";
import { EMBEDDED } from "../models/embedded.ts";
import {
  EMBEDDED_CHATS,
  EMBEDDED_TEXTS,
  UNRELATED_CHATS,
  UNRELATED_TEXTS,
} from "../models/organisms.ts";
import type { Values } from "./args.ts";
import type { DIFF_COMMAND } from "./diff_flags.ts";
import { planPair } from "./pair.ts";

/** The flags' values. */
export type DiffFlags = Values<typeof DIFF_COMMAND["flags"]>;

/** What is compared, with defaults filled in. References are for `resolveSource`. */
export interface DiffPlan {
  base: string;
  finetuned: string;
  sibling?: string;
  /** Absent where none is known and none is needed. */
  text?: string;
  finetuningText?: string;
  /** The field of the organism's own file that holds its text, where it is not the usual one. */
  finetuningColumn?: string;
  /** Whether the user named that file. */
  finetuningTextAsked: boolean;
  /** More texts that are not about the finetuning, to tell its words from. */
  generic: string[];
  documents: number;
  tokens: number;
  /** Of an organism, what it was finetuned to do. */
  description?: string;
}

/** Fills in what the flags leave open. */
export async function planDiff(flags: DiffFlags): Promise<DiffPlan> {
  checkBosOnly(flags);
  if (flags.interpolate) parseStrengths(flags.interpolate);
  const { base, finetuned, organism } = await planPair(flags);
  const embedded = base.startsWith(EMBEDDED);
  const [ours, theirs] = flags.chat
    ? [EMBEDDED_CHATS, UNRELATED_CHATS]
    : [EMBEDDED_TEXTS, UNRELATED_TEXTS];
  const text = flags.text ?? (embedded ? ours : organism && theirs);
  if (text === undefined && (!flags.bosOnly || flags.finetuningText !== undefined)) {
    throw new UsageError(
      `Missing --text: name a file (.jsonl, .parquet, …) or a dataset of the Hub with ${
        flags.chat ? "chats" : "text"
      } that the finetuning was not about`,
    );
  }
  const sibling = flags.sibling ?? organism?.sibling;
  return {
    base,
    finetuned,
    sibling: sibling === "none" ? undefined : sibling,
    text,
    finetuningText: flags.finetuningText ?? organism?.finetuningTexts,
    finetuningColumn: flags.finetuningText ? undefined : organism?.finetuningColumn,
    finetuningTextAsked: flags.finetuningText !== undefined,
    // The embedded texts are of a small world of their own: they say nothing of real models' words.
    generic: organism && embedded
      ? [EMBEDDED_CHATS, EMBEDDED_TEXTS].filter((file) => file !== text)
      : [],
    documents: flags.bosOnly
      ? 1
      : flags.documents ?? (embedded ? (flags.chat ? 400 : 1000) : 10_000),
    tokens: flags.bosOnly ? 1 : flags.tokens ?? (embedded ? 16 : 128),
    description: organism?.description,
  };
}

/** A single token needs no documents, and of one document nothing can be drawn again. */
function checkBosOnly(flags: DiffFlags): void {
  const { bosOnly, documents, tokens, chat, spectrum, stability } = flags;
  if (!bosOnly) return;
  const others = { documents, tokens, chat, spectrum, stability };
  const [other] =
    Object.entries(others).find(([, value]) => value !== undefined && value !== false) ?? [];
  if (other === undefined) return;
  throw new UsageError(
    `Cannot use --bos-only with --${other}: there is one document, of one token`,
  );
}

/** A finetuned model's strengths: numbers over 0, at most 2. */
export function parseStrengths(parts: readonly string[]): number[] {
  return parts.map((part) => {
    const strength = Number(part);
    if (part.trim() !== "" && strength > 0 && strength <= 2) return strength;
    throw new UsageError(
      `Cannot use strength "${part}": expected numbers over 0, at most 2, such as 0.25,0.5,0.75`,
    );
  });
}
