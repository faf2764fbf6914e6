/**
 * One investigation: an LLM with tools, asked again and again until it submits an answer or its budget is used up.
 *
 * The transcript is the run's only state. It is kept after every answer and every tool result, and a kept one is gone on with
 * from where it ends: an answer that was paid for is not asked for again, a call that was made is not made again.
 */

import { UsageError } from "../../engine/errors.ts";
import type { ToolCompletion, ToolModel } from "../graders/llm/client.ts";
import { ContextFailure } from "../graders/llm/failures.ts";
import { type Clock, patiently } from "../graders/llm/patience.ts";
import type { JsonValue } from "../results/stable_json.ts";
import type { Blinding } from "./blinding.ts";
import { Budget } from "./budget.ts";
import { PROTOCOLS } from "./protocols.ts";
import type { AgentRun, BudgetLimits, ToolCall, Turn } from "./results.ts";
import { shownJson } from "./shown.ts";
import { type AgentTool, ANSWER_TOOL, submittedAnswer, ToolProblem } from "./tools.ts";

/** Calls of one answer; the rest are refused. */
const MAX_CALLS = 32;

/** Characters of a call's arguments. */
const MAX_ARGUMENTS = 65_536;

/** What an investigation needs. */
export interface InvestigateOptions {
  llm: ToolModel;
  tools: readonly AgentTool[];
  /** The first message. */
  opening: string;
  blinding: Blinding;
  temperature?: number;
  clock: Clock;
  /** Keeps the run as it is; called whenever it has changed. */
  keep(run: AgentRun): Promise<void>;
  /** Ends the run before its next message. */
  stop?: AbortSignal;
  /** Ends it at once. */
  signal?: AbortSignal;
}

/**
 * Goes on with a run, a new one or a kept one, to its end.
 *
 * @returns the same run
 * @throws {ChatFailure} if the LLM does not answer; what there is is kept
 */
export async function investigate(run: AgentRun, options: InvestigateOptions): Promise<AgentRun> {
  return await new Investigation(run, options).finish();
}

class Investigation {
  readonly #budget: Budget;
  readonly #protocol;

  constructor(private readonly run: AgentRun, private readonly options: InvestigateOptions) {
    const { interactions, llm_calls, tokens } = run.spent;
    this.#budget = new Budget(run.budget, { interactions, llm_calls, tokens });
    this.#protocol = PROTOCOLS[run.protocol];
  }

  async finish(): Promise<AgentRun> {
    const { run, options } = this;
    if (run.transcript.length === 0) await this.#say(options.opening);
    while (run.end === null) {
      options.signal?.throwIfAborted();
      await this.#answerCalls();
      options.stop?.throwIfAborted();
      if (run.end === null) await this.#ask();
    }
    return run;
  }

  /** Asks the LLM once, or ends the run where it may not be asked. */
  async #ask(): Promise<void> {
    const { run, options: { llm, tools, clock, temperature, signal } } = this;
    const messages = this.#protocol.messages(run.transcript);
    const requestTools = this.#protocol.requestTools(tools);
    const most = promptBound(run.transcript, requestTools ?? []);
    const maxTokens = this.#budget.nextReply(most);
    if (typeof maxTokens === "string") return await this.#end(maxTokens);
    const seed = run.seed;
    const answer = await patiently(
      () => llm.converse(messages, { tools: requestTools, temperature, seed, maxTokens, signal }),
      clock,
      () => run.spent.failed_requests++,
      signal,
    ).catch(async (error) => {
      // Its context is full. One that cannot read even the overview is the wrong LLM: that is no investigation.
      if (error instanceof ContextFailure && run.spent.llm_calls > 0) return null;
      await this.#keep();
      throw error;
    });
    if (answer === null) return await this.#end("context");
    this.#count(answer, most);
    const calls = this.#protocol.calls(answer, run.spent.llm_calls);
    run.transcript.push({
      role: "assistant",
      content: answer.text,
      tool_calls: typeof calls === "string" ? [] : calls,
      refused: answer.refused,
      usage: answer.usage,
      tokens: this.#tokensOf(answer, most),
      temperature: answer.temperature,
    });
    await this.#keep();
  }

  /** Makes the calls of the last answer that were not made yet, in their order; says what is wrong where there are none. */
  async #answerCalls(): Promise<void> {
    const { run, options } = this;
    const place = run.transcript.findLastIndex(({ role }) => role === "assistant");
    const last = run.transcript[place];
    if (last?.role !== "assistant") return;
    const made = run.transcript.length - 1 - place;
    if (last.tool_calls.length === 0 && made === 0) {
      const { text, calls } = { text: last.content, calls: [] };
      const problem = this.#protocol.calls({ text, calls }, 0);
      const { interactions, messages } = this.#left();
      return await this.#say(
        `${problem} Left: ${interactions} interactions, ${messages} messages.`,
      );
    }
    for (let i = made; i < last.tool_calls.length && run.end === null; i++) {
      options.signal?.throwIfAborted();
      await this.#call(last.tool_calls[i], i);
      // What is refused by its number alone may be a great many: all of it is kept at once.
      if (i < MAX_CALLS || i === last.tool_calls.length - 1) await this.#keep();
    }
  }

  async #call(call: ToolCall, place: number): Promise<void> {
    const { run } = this;
    let interactions = 0;
    let said: { result: JsonValue } | { error: string };
    try {
      const { tool, args } = this.#read(call, place);
      const planned = tool.plan(args);
      const stream = run.spent.interactions;
      if (!this.#budget.spendInteractions(planned.cost)) {
        const { interactions: left } = this.#budget.left;
        throw new ToolProblem(`it would cost ${planned.cost} interactions, and ${left} are left`);
      }
      interactions = planned.cost;
      run.spent.interactions += interactions;
      if (tool.name === ANSWER_TOOL) run.hypothesis = submittedAnswer(args);
      said = { result: await planned.run({ seed: run.seed, stream }) };
    } catch (error) {
      const wrong = error instanceof ToolProblem || error instanceof UsageError;
      if (!wrong) {
        // Nothing came of it: when the run goes on the call is made again, at the same cost.
        run.spent.interactions -= interactions;
        throw error;
      }
      said = { error: `This call was not answered: ${error.message}` };
    }
    if (run.hypothesis !== null) run.end = "answered";
    run.transcript.push({
      role: "tool",
      tool_call_id: call.id,
      name: call.name,
      ok: "result" in said,
      interactions,
      content: this.options.blinding.hide(shownJson({ ...said, left: this.#left() })),
    });
  }

  /** The tool of a call, and its arguments. */
  #read({ name, arguments: text }: ToolCall, place: number): { tool: AgentTool; args: unknown } {
    const { tools } = this.options;
    if (place >= MAX_CALLS) {
      throw new ToolProblem(`one message may have ${MAX_CALLS} calls at most`);
    }
    const tool = tools.find((one) => one.name === name);
    if (!tool) {
      const known = tools.map((one) => one.name).join(", ");
      throw new ToolProblem(`there is no tool of that name; there are ${known}`);
    }
    if (text.length > MAX_ARGUMENTS) throw new ToolProblem("the arguments are too long");
    try {
      return { tool, args: text.trim() === "" ? {} : JSON.parse(text) };
    } catch {
      throw new ToolProblem("the arguments are not valid JSON");
    }
  }

  #tokensOf({ usage, text, calls }: ToolCompletion, prompt: number): number {
    return usage ? usage.input + usage.output : prompt + bytesOf(text + JSON.stringify(calls));
  }

  #count(answer: ToolCompletion, prompt: number): void {
    const { spent } = this.run;
    const tokens = this.#tokensOf(answer, prompt);
    this.#budget.countReply(tokens);
    spent.llm_calls++;
    spent.tokens += tokens;
    spent.input_tokens += answer.usage?.input ?? 0;
    spent.output_tokens += answer.usage?.output ?? 0;
    if (!answer.usage) spent.uncounted++;
  }

  #left(): { interactions: number; messages: number } {
    const { interactions, llm_calls }: BudgetLimits = this.#budget.left;
    return { interactions, messages: llm_calls };
  }

  async #say(content: string): Promise<void> {
    this.run.transcript.push({ role: "user", content: this.options.blinding.hide(content) });
    await this.#keep();
  }

  async #end(end: "llm_calls" | "tokens" | "context"): Promise<void> {
    this.run.end = end;
    await this.#keep();
  }

  async #keep(): Promise<void> {
    await this.options.keep(this.run);
  }
}

/** What a message takes beside its text, in tokens, at most: its role and its markers. */
const AROUND_MESSAGE = 16;

/**
 * The most tokens that a transcript can take as a prompt. What the server counted last is known; the rest is taken by its
 * bytes, of which a token has one at the least.
 */
function promptBound(transcript: readonly Turn[], tools: readonly JsonTool[]): number {
  const place = transcript.findLastIndex((turn) =>
    turn.role === "assistant" && turn.usage !== null
  );
  const counted = transcript[place];
  const known = counted?.role === "assistant" ? counted.usage : null;
  const start = known ? known.input + known.output : bytesOf(JSON.stringify(tools));
  return transcript.slice(place + 1).reduce((sum, turn) => {
    const calls = turn.role === "assistant" ? JSON.stringify(turn.tool_calls) : "";
    return sum + bytesOf(turn.content + calls) + AROUND_MESSAGE;
  }, start);
}

type JsonTool = Pick<AgentTool, "name" | "description" | "parameters">;

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
