/** What a handler answers with, once the request has been checked. */

/** One object, or events until it is over. */
export type Reply =
  | { kind: "json"; json(): Promise<unknown> | unknown }
  | { kind: "stream"; run(send: (event: unknown) => void, signal: AbortSignal): Promise<void> };
