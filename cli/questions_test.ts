import { assertEquals, assertRejects } from "@std/assert";
import { InterruptedError, UsageError } from "../engine/errors.ts";
import { AnswerInterrupts } from "./answer_interrupts.ts";
import { oneQuestion, pipedQuestions, type Questions } from "./questions.ts";

function piped(...chunks: (string | Uint8Array<ArrayBuffer>)[]): Questions {
  const encoder = new TextEncoder();
  const bytes = chunks.map((chunk) => typeof chunk === "string" ? encoder.encode(chunk) : chunk);
  return pipedQuestions(new AbortController().signal, ReadableStream.from(bytes));
}

async function all(questions: Questions): Promise<string[]> {
  const found: string[] = [];
  for (let next = await questions.next(); next !== "end"; next = await questions.next()) {
    found.push(typeof next === "string" ? next : next.question);
  }
  return found;
}

Deno.test("pipedQuestions() asks each line, however it comes, and no blank ones", async () => {
  const umlaut = new TextEncoder().encode("ü");
  const chunks = ["on", "e\n\n  \r\ntwo\r", "\nt", umlaut.slice(0, 1), umlaut.slice(1), " end"];
  assertEquals(await all(piped(...chunks)), ["one", "two", "tü end"]);
  assertEquals(await all(piped("")), []);
});

Deno.test("pipedQuestions() refuses a line without end", async () => {
  const questions = piped(...Array<string>(20).fill("x".repeat(65536)));
  await assertRejects(() => questions.next(), UsageError, "a line has over 1048576 characters");
});

Deno.test("pipedQuestions() stops waiting when the user asks to stop", async () => {
  const stop = new AbortController();
  const questions = pipedQuestions(stop.signal, new ReadableStream());
  const next = questions.next();
  stop.abort(new InterruptedError("Interrupted"));
  await assertRejects(() => next, InterruptedError);
});

Deno.test("oneQuestion() asks once", async () => {
  assertEquals(await all(oneQuestion("Who?")), ["Who?"]);
});

Deno.test("AnswerInterrupts ends one answer at a time, and everything when it is asked twice", () => {
  let press = () => {};
  const calls: string[] = [];
  const questions: Questions = {
    ...oneQuestion(""),
    onInterrupt(run) {
      press = run;
      return { [Symbol.dispose]: () => calls.push("keys given back") };
    },
  };
  using interrupts = new AnswerInterrupts(questions, () => calls.push("quit"));
  const first = interrupts.next();
  press();
  assertEquals([first.aborted, calls], [true, []]);
  const second = interrupts.next();
  assertEquals(second.aborted, false);
  press();
  press();
  assertEquals([second.aborted, calls], [true, ["keys given back", "quit"]]);
});
