/** Asks an LLM until there is an answer of the form that was asked for, or no hope of one. */

import { GraderError } from "../../../engine/errors.ts";
import { quote } from "../../../engine/weights/names.ts";
import { sleep } from "../../../models/hub/retry.ts";
import type { JsonValue } from "../../results/stable_json.ts";
import type { Reading } from "./answers.ts";
import type { ChatModel, Completion } from "./client.ts";
import { ChatFailure, SHOWN } from "./failures.ts";
import {
  type GradeEntry,
  type GradeLog,
  type Message,
  type RecordedAnswer,
  requestKey,
} from "./log.ts";
import { type Clock, delayMs, patiently } from "./patience.ts";
import { quoted, sendable, shortened } from "./quoted.ts";
import { Slots } from "./slots.ts";
import { type GraderUsage, type Prices, Tally } from "./tally.ts";

/** Something that an LLM is to judge. */
export interface Question<T extends JsonValue> {
  /** For the record: `coherence`. */
  kind: string;
  /** For messages: `whether a text is coherent`. */
  what: string;
  prompt: string;
  /** The form of the answer, in the words of the prompt; the reminder after a bad answer repeats it. */
  form: string;
  read(answer: string): Reading<T>;
}

/** How an LLM is asked. */
export interface AskOptions extends Partial<Clock> {
  chat: ChatModel;
  /** Requests under way at a time; 4 by default. */
  concurrency?: number;
  log?: GradeLog;
  /** Answers that need not be asked for again, by {@link requestKey}. */
  answers?: ReadonlyMap<string, RecordedAnswer>;
  prices?: Prices;
}

/** Requests under way at a time, unless it is said otherwise. */
const CONCURRENCY = 4;

/** Answers to one question, when they are not of the form. */
const MAX_ANSWERS = 3;

/** Characters of a bad answer that are sent back with the reminder. */
const RECALLED = 1_000;

/** One question under way. */
interface Asking {
  kind: string;
  request: Message[];
  /** Requests so far, and answers from the record. */
  attempt: number;
  signal: AbortSignal | undefined;
}

/** An answer, and whether it came from the record. */
interface Had extends Completion {
  replayed: boolean;
}

/** Asks questions side by side. */
export class Asker {
  /** The model's name. */
  readonly model: string;
  /** Requests under way at a time. */
  readonly concurrency: number;
  readonly #chat: ChatModel;
  readonly #slots: Slots;
  readonly #log: GradeLog | undefined;
  readonly #answers: Map<string, RecordedAnswer>;
  readonly #underWay = new Map<string, Promise<unknown>>();
  readonly #tally: Tally;
  readonly #clock: Clock;

  constructor(options: AskOptions) {
    this.model = options.chat.model;
    this.#chat = options.chat;
    this.concurrency = options.concurrency ?? CONCURRENCY;
    this.#slots = new Slots(this.concurrency);
    this.#log = options.log;
    this.#answers = new Map(options.answers);
    this.#tally = new Tally(options.prices);
    this.#clock = { sleep: options.sleep ?? sleep, random: options.random ?? Math.random };
  }

  /** What the questions so far took. */
  get usage(): GraderUsage {
    return this.#tally.usage;
  }

  /**
   * The answer to a question. After one that is not of the form, the model is reminded of it, twice at most.
   *
   * @throws {GraderError} if there is none in the end
   */
  async ask<T extends JsonValue>(question: Question<T>, signal?: AbortSignal): Promise<T> {
    const { kind, what, prompt, form, read } = question;
    const asking: Asking = {
      kind,
      request: [{ role: "user", content: prompt }],
      attempt: 0,
      signal,
    };
    try {
      for (let bad = 1;; bad++) {
        const { answer, reading } = await this.#answer(asking, read);
        if ("value" in reading) return reading.value;
        if (bad === MAX_ANSWERS) throw wrongForm(reading.problem, answer.text);
        if (!answer.replayed) await this.#clock.sleep(delayMs(bad, this.#clock.random), signal);
        asking.request = [...asking.request, ...reminder(answer.text, form)];
      }
    } catch (error) {
      if (!(error instanceof ChatFailure)) throw error;
      throw new GraderError(`Cannot have ${quote(this.model)} judge ${what}: ${error.message}`);
    }
  }

  /** One answer to a question as it stands, read and recorded. */
  async #answer<T extends JsonValue>(
    asking: Asking,
    read: (answer: string) => Reading<T>,
  ): Promise<{ answer: Had; reading: Reading<T> }> {
    const key = await requestKey(this.model, asking.request);
    const answer = await this.#had(asking, key);
    const reading = answer.refused ? { problem: "is a refusal" } : read(answer.text);
    const { text, refused, usage, temperature, replayed } = answer;
    this.#record(asking, key, {
      ...{ answer: text, refused, usage, temperature, replayed },
      verdict: "value" in reading ? reading.value : null,
      problem: "value" in reading ? null : reading.problem,
    });
    return { answer, reading };
  }

  /** From the record, or from the server, which is not asked the same twice. */
  async #had(asking: Asking, key: string): Promise<Had> {
    for (;;) {
      const recorded = this.#recorded(asking, key);
      if (recorded) return recorded;
      const other = this.#underWay.get(key);
      if (!other) break;
      // If it fails for whoever asked, it is asked again here.
      await other.catch(() => {});
    }
    const own = this.#slots.run(() => this.#request(asking, key));
    this.#underWay.set(key, own);
    try {
      return await own;
    } finally {
      this.#underWay.delete(key);
    }
  }

  #recorded(asking: Asking, key: string): Had | undefined {
    const answer = this.#answers.get(key);
    if (!answer) return undefined;
    asking.attempt++;
    this.#tally.replayed();
    return { ...answer, usage: null, replayed: true };
  }

  async #request(asking: Asking, key: string): Promise<Had> {
    const { request, signal } = asking;
    const nothing = { answer: null, refused: false, usage: null, temperature: null };
    const completion = await patiently(
      async () => {
        asking.attempt++;
        this.#tally.sent();
        return await this.#chat.complete(request, signal);
      },
      this.#clock,
      ({ message }) =>
        this.#record(asking, key, { ...nothing, verdict: null, problem: message, replayed: false }),
      signal,
    );
    this.#tally.answered(completion.usage);
    this.#answers.set(key, completion);
    return { ...completion, replayed: false };
  }

  #record(
    { kind, request, attempt }: Asking,
    key: string,
    outcome: Omit<GradeEntry, "kind" | "model" | "key" | "request" | "attempt">,
  ): void {
    this.#log?.record({ kind, model: this.model, key, request, attempt, ...outcome });
  }
}

function wrongForm(problem: string, answer: string): ChatFailure {
  const times = `${MAX_ANSWERS} answers are not of the form asked for`;
  return new ChatFailure(
    `${times}; the last ${problem}: ${quoted(answer, SHOWN)}; try another --grader-model`,
    false,
  );
}

/** What is said after a bad answer. It is put differently from the question, for at temperature 0 the same brings the same. */
function reminder(answer: string, form: string): Message[] {
  const recalled = sendable(shortened(answer, RECALLED)).trim() || "(no answer)";
  return [
    { role: "assistant", content: recalled },
    {
      role: "user",
      content: `Your answer could not be read: it is not of the form asked for. ${form}`,
    },
  ];
}
