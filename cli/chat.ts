/** `deno task chat`: a base and a finetuned model answer the same questions. */

import { PalimpsestError, UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import type { Transformer } from "../engine/transformer.ts";
import { warmUpGeneration } from "../engine/warm_up.ts";
import type { LoadWatch, ModelPair } from "../models/model_shelf.ts";
import { AnswerInterrupts } from "./answer_interrupts.ts";
import { answer, type AnswerOptions } from "./answering.ts";
import type { Names, Side } from "./answer_view.ts";
import { parseCommand, type Values } from "./args.ts";
import { CHAT_COMMAND } from "./chat_flags.ts";
import { findChatFormat } from "./chat_format.ts";
import { type Answer, type ChatView, chatView } from "./chat_view.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { type Asked, Conversation } from "./conversation.ts";
import { likelyTokens, samplingOf } from "./generate_flags.ts";
import { type OpenedPair, openPair, showLoading } from "./open_pair.ts";
import { planPair } from "./pair.ts";
import { bothOf, measurePrecision, precisionJson } from "./precision.ts";
import { oneQuestion, pipedQuestions, type Questions, typedQuestions } from "./questions.ts";
import type { CommandContext } from "./run_command.ts";
import { Timing } from "./timing.ts";
import { visible } from "./visible.ts";

type ChatFlags = Values<typeof CHAT_COMMAND["flags"]>;

const SIDES = ["base", "finetuned"] as const satisfies Side[];

/** As of a process that SIGINT ended. */
const INTERRUPTED = 130;

const HELP = `/reset  forget what was said
/exit   end, as Ctrl-D
Ctrl-C  end the answer that is being written; twice, end the chat`;

/** What a chat is made of. */
interface Chat {
  names: Names;
  pair: ModelPair;
  timing: Timing;
  gpu: Gpu;
  options: AnswerOptions;
  conversations: Record<Side, Conversation>;
  questions: Questions;
  view: ChatView;
  signal: AbortSignal;
}

/** Runs the command. */
export async function chat(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(CHAT_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const plan = await planPair(parsed.flags);
  using gpu = await openGpu(parsed.flags);
  let loadingShown = true;
  const watch: LoadWatch = (name) => showLoading(name, !loadingShown);
  const options = sourceOptions(parsed.flags, signal);
  const coming = {
    promptTokens: likelyTokens(`${parsed.flags.system ?? ""}${parsed.flags.prompt ?? ""}`),
    sampling: samplingOf(parsed.flags),
  };
  const planned = (model: Transformer) => warmUpGeneration(model, coming);
  const pair = await openPair(gpu, plan, { ...options, planned }, watch);
  using _shelf = pair.shelf;
  const timing = new Timing(gpu, "first token", parsed.flags.timing);
  const open = { ...await openChat(pair, parsed.flags, signal), gpu, timing };
  // Models that do not fit together are swapped amid the answers.
  loadingShown = false;
  const code = await converse(open);
  if (!parsed.flags.json) timing.print();
  return code;
}

/** Loads the models and begins. */
async function openChat(
  { models: pair, base, finetuned, tokenizer }: OpenedPair,
  flags: ChatFlags,
  signal: AbortSignal,
): Promise<Omit<Chat, "gpu" | "timing">> {
  const { maxPositions } = pair.spec;
  const format = await findChatFormat([base, finetuned], tokenizer, flags.thinking);
  if (!format.hasTemplate && flags.thinking) {
    throw new UsageError(
      `Cannot use --thinking: neither "${base.ref}" nor "${finetuned.ref}" has a chat template`,
    );
  }
  if (!format.hasTemplate) {
    console.error(
      'The models have no chat template: they continue plain text ("User: …", "Assistant: …")',
    );
  }
  const { system, maxNewTokens, json, prompt } = flags;
  const conversation = () =>
    new Conversation({
      write: format.write,
      context: maxPositions,
      // A long answer may be cut at the context's end sooner than that all before it is forgotten.
      room: Math.min(maxNewTokens, Math.floor(maxPositions / 4)),
      system,
    });
  await pair.base();
  if (pair.together) await pair.finetuned();
  const questions = prompt === undefined ? readQuestions(signal, json) : oneQuestion(prompt);
  const names = base.name === finetuned.name
    ? { base: base.ref, finetuned: finetuned.ref }
    : { base: base.name, finetuned: finetuned.name };
  return {
    names,
    pair,
    options: { tokenizer, format, maxNewTokens, sampling: samplingOf(flags) },
    conversations: { base: conversation(), finetuned: conversation() },
    questions,
    view: chatView({ names, json, questionsSeen: questions.seen }),
    signal,
  };
}

function readQuestions(signal: AbortSignal, json: boolean): Questions {
  const talks = Deno.stdin.isTerminal() && (Deno.stdout.isTerminal() || Deno.stderr.isTerminal());
  if (!talks) return pipedQuestions(signal);
  console.error("Ask something; /help lists what else can be done");
  return typedQuestions(signal, json);
}

/** Answers until there are no more questions. Returns the exit code. */
async function converse(chat: Chat): Promise<number> {
  for (let turn = 0;; turn++) {
    const next = await chat.questions.next();
    chat.signal.throwIfAborted();
    if (next === "interrupt") return INTERRUPTED;
    if (next === "end") return 0;
    const question = next.question.trim();
    const [, command] = /^\/([a-z]+)$/.exec(question) ?? [];
    if (command === "exit" || command === "quit") return 0;
    if (command !== undefined) obey(command, chat);
    else if (question !== "") await takeTurn(chat, question, turn);
  }
}

function obey(command: string, { conversations }: Chat): void {
  if (command === "reset") {
    for (const side of SIDES) conversations[side].reset();
    console.error("Both have forgotten what was said");
  } else if (command === "help") console.error(HELP);
  else console.error(`There is no /${command}\n${HELP}`);
}

/** One question and both answers. */
async function takeTurn(chat: Chat, question: string, turn: number): Promise<void> {
  const { conversations, questions, view, signal, pair, options } = chat;
  let asked: Record<Side, Asked>;
  try {
    asked = {
      base: conversations.base.ask(question),
      finetuned: conversations.finetuned.ask(question),
    };
  } catch (error) {
    // Who types can ask something else.
    if (!questions.onInterrupt || !(error instanceof PalimpsestError)) throw error;
    return console.error(`error: ${visible(error.message)}`);
  }
  for (const side of SIDES) tellDropped(chat, side, asked[side]);
  const at = { hook: "logits", positions: [-1] };
  await measurePrecision(chat.gpu, bothOf(pair), [asked.base.ids], at);
  const answers = new Map<Side, Answer>();
  using interrupts = new AnswerInterrupts(questions, () => {
    view.end();
    Deno.exit(INTERRUPTED);
  });
  view.ask(question);
  try {
    for (const side of SIDES) {
      view.begin(side);
      const given = await answer(await pair[side](), options, {
        ids: asked[side].ids,
        // The same for both sides; over 32 bits nobody will ask.
        stream: turn,
        show: (text) => {
          chat.timing.result();
          view.push(text);
        },
        interrupt: interrupts.next(),
        signal,
      });
      conversations[side].answered(asked[side], given.text);
      answers.set(side, given);
    }
  } finally {
    const [base, finetuned] = SIDES.map((side) => answers.get(side));
    view.end(
      base && finetuned &&
        { prompt: question, base, finetuned, ...chat.timing.json(), ...precisionJson(chat.gpu) },
    );
  }
}

function tellDropped({ names, pair }: Chat, side: Side, { dropped }: Asked): void {
  if (dropped === 0) return;
  const turns = dropped === 1 ? "oldest turn" : `${dropped} oldest turns`;
  const { maxPositions } = pair.spec;
  console.error(
    `${visible(names[side])} forgets the ${turns}: its context is ${maxPositions} tokens`,
  );
}
