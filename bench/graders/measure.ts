/** What the offline grader says of the labelled cases, on the embedded base. */

import type { Gpu } from "../../engine/gpu/gpu.ts";
import type { Chat } from "../../engine/text/chat.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { Transformer } from "../../engine/transformer.ts";
import type { Fault } from "../../lens/graders/coherence.ts";
import type { Judged } from "../../lens/graders/labelled/agreement.ts";
import { relevanceCases, scaleCases } from "../../lens/graders/labelled/lists.ts";
import {
  type LabelledSize,
  type LabelledSources,
  labelledTexts,
  type SourceText,
} from "../../lens/graders/labelled/texts.ts";
import { OfflineGrader } from "../../lens/graders/offline.ts";
import { loadTexts } from "../../lens/texts.ts";
import { loadChat, stopIds } from "../../models/chat.ts";
import { loadModel, loadTokenizer } from "../../models/load_model.ts";
import { loadedPair } from "../../models/model_shelf.ts";
import { EMBEDDED_CHATS, EMBEDDED_TEXTS } from "../../models/organisms.ts";
import { resolveSource } from "../../models/source.ts";

/** The base, its tokenizer and chat, and the held-out texts. */
export interface Bench {
  base: Transformer;
  tokenizer: Tokenizer;
  chat: Chat;
  stopIds: ReadonlySet<number>;
  sources: LabelledSources;
}

/** Loads them. Held-out documents that are lists of words or numbers are neither fluent nor not, and left out. */
export async function openBench(gpu: Gpu): Promise<Bench> {
  const { transformer: base, source } = await loadModel(gpu, await resolveSource("embedded:base"));
  const tokenizer = await loadTokenizer(source, base.spec);
  const chat = await loadChat(source, tokenizer);
  const begin = tokenizer.encode("", { special: true });
  const prose = (await loadTexts(EMBEDDED_TEXTS)).texts.filter(({ text }) => hasSentences(text));
  const chats = (await loadTexts(EMBEDDED_CHATS, { chat: true })).texts;
  return {
    base,
    tokenizer,
    chat,
    stopIds: await stopIds(source, tokenizer, { chat: true }),
    sources: {
      tokenizer,
      prose: prose.map(({ text }) => ({ prompt: "", promptIds: begin, text })),
      answers: chats.flatMap(({ messages }) => answerOf(messages, chat)),
    },
  };
}

function hasSentences(text: string): boolean {
  return (text.match(/[a-z][.!?]["']?(?=\s|$)/g) ?? []).length >= 3;
}

function answerOf(messages: LoadedMessages, chat: Chat): SourceText[] {
  const [user, answer] = messages ?? [];
  if (user?.role !== "user" || answer?.role !== "assistant") return [];
  const promptIds = chat.render([user], { addGenerationPrompt: true });
  return [{ prompt: user.content, promptIds, text: answer.content }];
}

type LoadedMessages = Awaited<ReturnType<typeof loadTexts>>["texts"][number]["messages"];

/** An offline grader whose finetuned model is the base itself. */
export function baseGrader(
  { base, tokenizer, stopIds, sources }: Bench,
  { temperature, samples, tokens, seed }: {
    temperature: number;
    samples?: number;
    tokens?: number;
    seed: number;
  },
): OfflineGrader {
  // As many prompts of either sort as the set has of fluent texts: in turn, and none that the set has too.
  const answers = sources.answers.slice(-100);
  const prompts = answers.flatMap(({ promptIds }) => [promptIds, sources.prose[0].promptIds]);
  const calibration = { prompts, temperature, samples, tokens, stopIds };
  return new OfflineGrader({ models: loadedPair(base, base), tokenizer, calibration, seed });
}

/** Verdicts on the labelled texts. */
export async function judgeTexts(
  grader: OfflineGrader,
  sources: LabelledSources,
  size: LabelledSize,
): Promise<(Judged & { faults: Fault[] })[]> {
  const texts = labelledTexts(sources, size);
  const verdicts = await grader.coherence(texts);
  return texts.map(({ kind, coherent: label }, i) => {
    const { coherent: accepted, faults } = verdicts[i];
    return { kind, label, accepted, faults };
  });
}

/** Verdicts on the labelled tokens. */
export async function judgeTokens(
  grader: OfflineGrader,
  tokenizer: Tokenizer,
  seed: number,
): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const { kind, token, keywords, relevant } of relevanceCases(tokenizer, seed)) {
    const [accepted] = await grader.areRelevant([token], { description: "", keywords });
    judged.push({ kind, label: relevant, accepted });
  }
  return judged;
}

/** How the choices among lists went. */
export interface ScaleAgreement {
  cases: number;
  /** The topic's list was chosen. */
  right: number;
  /** Where it was: the share of the topic's tokens that were called coherent … */
  recall: number;
  /** … and the share of the tokens called coherent that are the topic's. */
  precision: number;
}

/** Choices among lists of which one has `share` tokens of one topic. */
export async function judgeScales(
  grader: OfflineGrader,
  tokenizer: Tokenizer,
  size: { share: number; draws: number; seed: number },
): Promise<ScaleAgreement> {
  const cases = scaleCases(tokenizer, size);
  let [right, topical, called, both] = [0, 0, 0, 0];
  for (const one of cases) {
    const { scale, coherent } = await grader.chooseScale(one.lists);
    if (scale !== one.scale) continue;
    right++;
    topical += one.topical.length;
    called += coherent.length;
    both += coherent.filter((token) => one.topical.includes(token)).length;
  }
  return { cases: cases.length, right, recall: both / topical, precision: both / called };
}
