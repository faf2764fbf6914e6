/** The record of what an LLM was asked and what it answered, from which every grade can be derived again. */

import { z } from "zod";
import { ResultsError } from "../../../engine/errors.ts";
import { parseSchema } from "../../../engine/schema.ts";
import { sha256Of } from "../../provenance.ts";
import type { JsonValue } from "../../results/stable_json.ts";

const message = z.object({ role: z.enum(["user", "assistant"]), content: z.string() });
const count = z.int().min(0);

const entrySchema = z.object({
  /** What was judged: `scale`, `relevance`, `coherence`. */
  kind: z.string(),
  model: z.string(),
  /** See {@link requestKey}. */
  key: z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hex"),
  request: z.array(message),
  /** Which request of this question it was, from 1. */
  attempt: z.int().min(1),
  /** As it came; null where none did. */
  answer: z.string().nullable(),
  /** The LLM would not answer; `answer` is what it said instead. */
  refused: z.boolean(),
  /** Null where the server does not say. */
  usage: z.object({ input: count, output: count }).nullable(),
  /** 0; null for a model that takes no temperature. */
  temperature: z.number().nullable(),
  /** What the answer was read as; null where it could not be. */
  verdict: z.json(),
  /** Why there is no verdict. */
  problem: z.string().nullable(),
  /** The answer is one of an earlier record and was not asked for again. */
  replayed: z.boolean(),
});

/** One message of a conversation with an LLM. */
export type Message = Readonly<z.infer<typeof message>>;

/** One request and what came of it. */
export type GradeEntry = Omit<z.infer<typeof entrySchema>, "verdict" | "request"> & {
  request: readonly Message[];
  verdict: JsonValue;
};

/** Takes every request as it is done. */
export interface GradeLog {
  record(entry: GradeEntry): void;
}

/** An answer as it was recorded. */
export interface RecordedAnswer {
  text: string;
  refused: boolean;
  temperature: number | null;
}

/** What tells requests apart: SHA-256 in hex of the model and the messages. */
export async function requestKey(model: string, request: readonly Message[]): Promise<string> {
  const messages = request.map(({ role, content }) => ({ role, content }));
  return await sha256Of(JSON.stringify({ model, messages }));
}

/** An entry as one line of a `.jsonl` file, with its line break. */
export function gradeLine(entry: GradeEntry): string {
  return JSON.stringify(entry) + "\n";
}

/**
 * The entries of a `.jsonl` file.
 *
 * @param name the file's, for messages
 * @throws {ResultsError} if a line is no entry. A last line without its line break was cut off by an interruption: it is left out
 */
export function parseGrades(text: string, name: string): GradeEntry[] {
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line, i) => {
    const fail = (problem: string) =>
      new ResultsError(`Cannot read line ${i + 1} of "${name}": it ${problem}`);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw fail("is not JSON");
    }
    return parseSchema(entrySchema, value, fail) as GradeEntry;
  });
}

/** The answers of a record by the keys of their requests; of several answers to one request, the first. */
export function answersOf(entries: Iterable<GradeEntry>): Map<string, RecordedAnswer> {
  const answers = new Map<string, RecordedAnswer>();
  for (const { key, answer, refused, temperature } of entries) {
    if (answer !== null && !answers.has(key)) {
      answers.set(key, { text: answer, refused, temperature });
    }
  }
  return answers;
}
