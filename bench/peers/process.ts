/** A peer's process, seen from the bench. */

import { type Answer, type Job, lines, MARK } from "./worker.ts";

/** Milliseconds that a job may take: llama.cpp compiles its pipelines in the first ones, for minutes on CPU cores. */
const PATIENCE = 600_000;

/** Ends a process with this one, should it still run then. */
export function endWithUs(child: Deno.ChildProcess): Deno.ChildProcess {
  const kill = () => child.kill("SIGKILL");
  globalThis.addEventListener("unload", kill);
  child.status.finally(() => globalThis.removeEventListener("unload", kill));
  return child;
}

/** Asks a peer, one job at a time. */
export class PeerProcess {
  readonly #answers: AsyncGenerator<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(private readonly child: Deno.ChildProcess) {
    this.#answers = lines(child.stdout);
    this.#input = child.stdin.getWriter();
  }

  /** Starts a worker of this folder and waits until it has its model. */
  static async start(
    worker: string,
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<PeerProcess> {
    const path = new URL(worker, import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", path, ...args],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const peer = new PeerProcess(endWithUs(child));
    try {
      await peer.#answer();
      return peer;
    } catch (error) {
      await peer.stop();
      throw error;
    }
  }

  /** Does one job. */
  async ask(job: Job): Promise<Answer> {
    await this.#input.write(new TextEncoder().encode(JSON.stringify(job) + "\n"));
    return await this.#answer();
  }

  async #answer(): Promise<Answer> {
    const timer = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE);
    try {
      for (;;) {
        const { value, done } = await this.#answers.next();
        if (done) throw new Error("it ended, or took too long");
        if (!value.startsWith(MARK)) continue;
        const answer = JSON.parse(value.slice(MARK.length)) as Answer;
        if (answer.error) throw new Error(answer.error);
        return answer;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    await this.#input.close().catch(() => {});
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 3000);
    await this.child.status;
    clearTimeout(timer);
  }
}
