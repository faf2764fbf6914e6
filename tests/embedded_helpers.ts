/** The embedded models and the texts that their references were made on. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { selectDocuments } from "../lens/documents.ts";
import { loadTexts } from "../lens/texts.ts";
import { type LoadedModel, loadFinetuned, loadModel, loadTokenizer } from "../models/load_model.ts";
import { resolveSource } from "../models/source.ts";

/** The folder of the embedded models. */
export const EMBEDDED = `${import.meta.dirname}/../models/embedded`;

/** The layer after which the references were taken. */
export const LAYER = 2;

/** The embedded base with its tokenizer. */
export async function embeddedBase(
  gpu: Gpu,
): Promise<{ base: LoadedModel; tokenizer: Tokenizer }> {
  const base = await loadModel(gpu, await resolveSource("embedded:base"));
  return { base, tokenizer: await loadTokenizer(base.source, base.transformer.spec) };
}

/** An organism on the embedded base. */
export async function organism(gpu: Gpu, base: LoadedModel, name: string): Promise<LoadedModel> {
  return await loadFinetuned(gpu, base, await resolveSource(`embedded:${name}`));
}

/** The first documents of the held-out texts with at least 16 tokens, in file order: their first 16 tokens. */
export async function heldOut(tokenizer: Tokenizer, documents: number): Promise<Uint32Array[]> {
  const { texts } = await loadTexts(`${EMBEDDED}/text/generic_heldout.jsonl`);
  const options = { documents, tokens: 16, seed: null };
  return selectDocuments(texts.map(({ text }) => text), tokenizer, options).tokens;
}
