/** The documents of `deno task diff`, and the words that mark the finetuning. */

import { InterruptedError, PalimpsestError, TextError } from "../engine/errors.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { type ChatRenderer, chatRule } from "../lens/chats.ts";
import {
  chooseDocuments,
  type DocumentRule,
  plainRule,
  type Selection,
} from "../lens/documents.ts";
import { extractKeywords } from "../lens/keywords.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import type { Text } from "../lens/text_record.ts";
import { TextSet, type TextsRead } from "../lens/text_set.ts";
import type { Hub } from "../models/hub/hub.ts";
import type { DiffPlan } from "./diff_inputs.ts";

/** Texts of the plan, read. */
export interface DiffTexts {
  /** What is compared. */
  selection: Selection;
  /** The words that mark the finetuning; absent where its texts are not known. */
  keywords?: string[];
  /** What was read, by its role: the hash of a file that was read whole, or what of a dataset was read. */
  hashes: Record<string, JsonValue>;
}

/** What {@link loadDiffTexts} needs besides the plan. */
export interface DiffTextOptions {
  rule: DocumentRule;
  /** Whether the documents are chats. */
  chat: boolean;
  column?: string;
  /** Of the shuffle, or null for the texts' own order. */
  seed: number | null;
  /** Opens the Hub. */
  hub: () => Promise<Hub>;
  /** Takes the number of documents found so far. */
  progress?: (found: number) => void;
  /** Takes what the user should know and the work can do without. */
  warn?: (line: string) => void;
  signal?: AbortSignal;
}

/** Of a dataset that is read in parts, about so many texts are enough to know its words by. */
const KEYWORD_TEXTS = 10_000;

/**
 * Chooses the documents and finds the keywords.
 *
 * @throws {TextError} if no text can be used, or the user's finetuning texts have no words of their own
 */
export async function loadDiffTexts(plan: DiffPlan, options: DiffTextOptions): Promise<DiffTexts> {
  const { column, chat, hub, seed } = options;
  if (plan.text === undefined) return { selection: await withoutText(options.rule), hashes: {} };
  const unrelated = await TextSet.open(plan.text, { column, chat }, hub);
  const selection = await chooseDocuments(unrelated, options.rule, {
    ...options,
    documents: plan.documents,
  });
  const hashes: Record<string, JsonValue> = { text: recordOf(unrelated.read) };
  if (plan.finetuningText === undefined) return { selection, hashes };
  const read = async (role: string, ref: string, own?: string) => {
    const set = await TextSet.open(ref, { column: own }, hub);
    // One pool is read, and kept by the set.
    for await (const _ of set.pools({ documents: KEYWORD_TEXTS, seed })) break;
    hashes[role] = recordOf(set.read);
    return set.sample;
  };
  let finetuning: readonly Text[];
  try {
    finetuning = await read("finetuning_text", plan.finetuningText, plan.finetuningColumn);
  } catch (error) {
    // An organism's own texts may be gone, or in a form that is not read; the rest of the job does without.
    const ours = error instanceof PalimpsestError && !(error instanceof InterruptedError);
    if (plan.finetuningTextAsked || !ours) throw error;
    options.warn?.(`There is no relevance, as its words are not known: ${error.message}`);
    return { selection, hashes };
  }
  const generic = [...unrelated.sample];
  for (const path of plan.generic) {
    const more = await read(`generic_${Object.keys(hashes).length}`, path);
    for (const text of more) generic.push(text);
  }
  const words = (texts: readonly Text[]) => texts.map(({ text }) => text);
  const keywords = extractKeywords(words(finetuning), words(generic)).map(({ word }) => word);
  if (keywords.length > 0) return { selection, keywords, hashes };
  // Nobody asked for an organism's own keywords: the rest of the job does without.
  if (!plan.finetuningTextAsked) return { selection, hashes };
  throw new TextError(
    `Cannot find keywords in "${plan.finetuningText}": no word marks it against "${plan.text}"`,
  );
}

/** The document of a rule to which all texts are the same. */
async function withoutText(rule: DocumentRule): Promise<Selection> {
  const texts = {
    async *pools() {
      yield await Promise.resolve([{ text: "" }]);
    },
  };
  return await chooseDocuments(texts, rule, { documents: 1, seed: null });
}

/** A single file that was read whole is known by its hash alone, wherever it lies. */
export function recordOf({ dataset, commit, files }: TextsRead): JsonValue {
  const [{ sha256, row_groups }] = files;
  if (dataset === undefined && row_groups === undefined) return sha256;
  const read = files.map((file) => ({ ...file }));
  return { ...(dataset !== undefined && { dataset, commit: commit! }), files: read };
}

/** How texts become documents of a model; `chats` writes them, where they are chats. */
export function documentRule(
  tokenizer: Tokenizer,
  { tokens, maxPositions, chats }: {
    tokens: number;
    maxPositions: number;
    chats: ChatRenderer | null;
  },
): DocumentRule {
  return chats ? chatRule(chats, { tokens, maxPositions }) : plainRule(tokenizer, tokens);
}
