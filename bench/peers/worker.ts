/**
 * What a peer's process does: it takes one job a line on standard input and answers each with a line on standard output.
 * So a peer that crashes, or prints, harms nobody.
 */

/** What is asked of a peer. */
export type Job =
  /** Logits after the last of these tokens: their largest, and those of the listed ids. */
  | { kind: "check"; tokens: number[]; ids: number[] }
  /** One pass over sequences of equal length; the likeliest next token of each. */
  | { kind: "pass"; sequences: number[][] }
  /** Greedy tokens after a prompt; only the steps after the first token are timed. */
  | { kind: "decode"; prompt: number[]; newTokens: number };

/** What comes back: milliseconds and tokens, or logits, or why there is nothing. */
export interface Answer {
  milliseconds?: number;
  tokens?: number[];
  logits?: number[];
  error?: string;
}

/** What a peer can do. */
export interface Peer {
  check(tokens: number[], ids: number[]): Promise<{ tokens: number[]; logits: number[] }>;
  pass(sequences: number[][]): Promise<number[]>;
  /** Runs the prompt, then calls `begin`, then goes on. */
  decode(prompt: number[], newTokens: number, begin: () => void): Promise<number[]>;
}

/** Marks the lines that are answers; whatever else a peer's library prints is left alone. */
export const MARK = "\u0001peer ";

/** Answers jobs until standard input ends. */
export async function servePeer(open: () => Promise<Peer>): Promise<void> {
  const answer = (value: Answer) => console.log(MARK + JSON.stringify(value));
  let peer: Peer;
  try {
    peer = await open();
  } catch (error) {
    return answer({ error: String(error) });
  }
  answer({});
  for await (const line of lines(Deno.stdin.readable)) {
    try {
      answer(await work(peer, JSON.parse(line) as Job));
    } catch (error) {
      answer({ error: String(error) });
    }
  }
}

/** Does one job. */
export async function work(peer: Peer, job: Job): Promise<Answer> {
  if (job.kind === "check") return await peer.check(job.tokens, job.ids);
  let start = performance.now();
  const begin = () => start = performance.now();
  const tokens = job.kind === "pass"
    ? await peer.pass(job.sequences)
    : await peer.decode(job.prompt, job.newTokens, begin);
  return { milliseconds: performance.now() - start, tokens };
}

/** The lines of a stream, as they come. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as TransformStream)) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

/** The place of the largest. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
