/** What the log says of a request: one line, and its contents only where they are asked for. */

import { visible } from "../visible.ts";
import { ApiError } from "./api_error.ts";
import type { Exchange } from "./exchange.ts";

/** A request that is under way. */
export interface Logged {
  method: string;
  path: string;
  /** When it came, in milliseconds. */
  began: number;
  note: Exchange["note"];
  body?: unknown;
}

/** How it ended. */
export interface Ending {
  status: number;
  error?: unknown;
  contents: boolean;
}

/** Characters of contents that are shown. */
const MOST_CONTENTS = 2000;

/** `POST /v1/chat/completions 200 cake_bake 12+34 tokens 523 ms`. Headers, and so keys, are never part of it. */
export function logLine(logged: Logged, { status, error, contents }: Ending): string[] {
  const { method, path, began, note: { model, prompt, completion, answer }, body } = logged;
  const parts = [visible(method.slice(0, 10)), visible(path.slice(0, 80)), String(status)];
  if (model !== undefined) parts.push(visible(model), `${prompt}+${completion} tokens`);
  parts.push(`${Date.now() - began} ms`);
  const lines = [parts.join(" ")];
  // What a client did wrong it is told itself, perhaps with contents; what went wrong here is for the log.
  if (error !== undefined && status >= 500) lines.push(`  ${describe(error)}`);
  if (contents && body !== undefined) {
    const show = (value: unknown) => visible(JSON.stringify(value).slice(0, MOST_CONTENTS));
    lines.push(`  asked: ${show(body)}`);
    for (const text of answer) lines.push(`  answered: ${show(text)}`);
  }
  return lines;
}

function describe(error: unknown): string {
  const cause = error instanceof ApiError ? error.cause ?? error : error;
  return visible(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause));
}
