/** Server-sent events, as OpenAI's API streams them. */

import { toApiError } from "./api_error.ts";

/** What makes events. */
export interface EventSource {
  /** Sends what there is, until it is over; `signal` aborts when the client has gone. */
  run(send: (event: unknown) => void, signal: AbortSignal): Promise<void>;
  /** Is told at the very end, with what went wrong if anything did. */
  ended(error?: unknown): void;
}

/** A response whose events end with `[DONE]`, or with an error where the source fails. */
export function eventStream({ run, ended }: EventSource, signal: AbortSignal): Response {
  const gone = new AbortController();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      const write = (data: string) => {
        if (!gone.signal.aborted) controller.enqueue(encoder.encode(`data: ${data}\n\n`));
      };
      let failure: unknown;
      try {
        await run((event) => write(JSON.stringify(event)), AbortSignal.any([signal, gone.signal]));
        write("[DONE]");
      } catch (error) {
        failure = error;
        write(JSON.stringify(toApiError(error).body()));
      }
      if (!gone.signal.aborted) controller.close();
      ended(failure);
    },
    cancel() {
      gone.abort(new DOMException("The client has gone", "AbortError"));
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // Proxies would hold events back.
      "x-accel-buffering": "no",
    },
  });
}
