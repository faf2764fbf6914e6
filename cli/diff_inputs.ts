/** From the flags of `deno task diff` to models, texts and keywords. */

import { TextError, UsageError } from "../engine/errors.ts";
import { extractKeywords } from "../lens/keywords.ts";
import { loadTexts, type TextFile } from "../lens/texts.ts";
import { EMBEDDED_CHATS, EMBEDDED_TEXTS, findOrganism } from "../models/organisms.ts";
import type { Values } from "./args.ts";
import type { DIFF_COMMAND } from "./diff_flags.ts";

/** The flags' values. */
export type DiffFlags = Values<typeof DIFF_COMMAND["flags"]>;

const EMBEDDED = "embedded:";
const DEFAULT_ORGANISM = "cake_bake";

/** What is compared, with defaults filled in. References are for `resolveSource`. */
export interface DiffPlan {
  base: string;
  finetuned: string;
  sibling?: string;
  text: string;
  finetuningText?: string;
  /** Whether the user named that file. */
  finetuningTextAsked: boolean;
  /** More texts that are not about the finetuning, to tell its words from. */
  generic: string[];
  documents: number;
  tokens: number;
  /** Of an embedded organism, what it was finetuned to do. */
  description?: string;
}

/** Fills in what the flags leave open. */
export async function planDiff(flags: DiffFlags): Promise<DiffPlan> {
  if (flags.organism !== undefined && (flags.base ?? flags.finetuned) !== undefined) {
    throw new UsageError("Cannot use --organism with --base or --finetuned: it names both");
  }
  const named = flags.organism ?? (flags.finetuned ?? (flags.base ? undefined : DEFAULT_ORGANISM));
  if (named === undefined) {
    throw new UsageError("Missing --finetuned: name the model to compare with the base");
  }
  const isOrganism = flags.organism !== undefined || flags.finetuned === undefined ||
    (flags.finetuned.startsWith(EMBEDDED) && flags.finetuned !== "embedded:base");
  const organism = isOrganism ? await findOrganism(named.replace(EMBEDDED, "")) : undefined;
  const base = flags.base ?? organism?.base ??
    (named.startsWith(EMBEDDED) ? "embedded:base" : undefined);
  if (base === undefined) throw new UsageError("Missing --base: name the model that was finetuned");
  const embedded = base.startsWith(EMBEDDED);
  const text = flags.text ?? (embedded ? EMBEDDED_TEXTS : undefined);
  if (text === undefined) {
    throw new UsageError(
      "Missing --text: name a .jsonl or .txt file of text that the finetuning was not about",
    );
  }
  const sibling = flags.sibling ?? organism?.sibling;
  return {
    base,
    finetuned: organism?.finetuned ?? flags.finetuned!,
    sibling: sibling === "none" ? undefined : sibling,
    text,
    finetuningText: flags.finetuningText ?? organism?.finetuningTexts,
    finetuningTextAsked: flags.finetuningText !== undefined,
    generic: organism ? [EMBEDDED_CHATS, EMBEDDED_TEXTS].filter((file) => file !== text) : [],
    documents: flags.documents ?? (embedded ? 1000 : 10_000),
    tokens: flags.tokens ?? (embedded ? 16 : 128),
    description: organism?.description,
  };
}

/** Texts of the plan, read. */
export interface DiffTexts {
  unrelated: TextFile;
  /** The words that mark the finetuning; absent where its texts are not known. */
  keywords?: string[];
  /** Hash of every file by its role. */
  hashes: Record<string, string>;
}

/** Reads the plan's texts and finds the keywords. */
export async function loadDiffTexts(
  plan: DiffPlan,
  column: string | undefined,
): Promise<DiffTexts> {
  const unrelated = await loadTexts(plan.text, { column });
  const hashes: Record<string, string> = { text: unrelated.sha256 };
  if (plan.finetuningText === undefined) return { unrelated, hashes };
  const finetuning = await loadTexts(plan.finetuningText);
  hashes.finetuning_text = finetuning.sha256;
  const generic = [...unrelated.texts];
  for (const path of plan.generic) {
    const file = await loadTexts(path);
    hashes[`generic_${Object.keys(hashes).length}`] = file.sha256;
    generic.push(...file.texts);
  }
  const texts = (file: { text: string }[]) => file.map(({ text }) => text);
  const keywords = extractKeywords(texts(finetuning.texts), texts(generic)).map(({ word }) => word);
  if (keywords.length === 0) {
    // Nobody asked for an organism's own keywords: the rest of the job does without.
    if (!plan.finetuningTextAsked) return { unrelated, hashes };
    throw new TextError(
      `Cannot find keywords in "${plan.finetuningText}": no word marks it against "${plan.text}"`,
    );
  }
  return { unrelated, keywords, hashes };
}
