/** The transcripts of a folder: each is a file from its first message on, so that nothing that was paid for is lost. */

import { ResultsError } from "../../engine/errors.ts";
import { readIfThere } from "../results/files.ts";
import type { RunFolder } from "../results/run_folder.ts";
import { type JsonValue, stableJson } from "../results/stable_json.ts";
import { type AgentRun, agentRunSchema, checkedResult, runFileName } from "./results.ts";

/** Runs in a folder. */
export class KeptRuns {
  // The folder's own records are not made for several writers at once.
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly folder: RunFolder) {}

  /**
   * A kept run, or a new one where there is none.
   *
   * @throws {ResultsError} if the kept one was made with other settings: it was paid for, and is not thrown away
   */
  async take(fresh: AgentRun): Promise<AgentRun> {
    const name = nameOf(fresh);
    const bytes = await readIfThere(`${this.folder.path}/${name}`);
    if (bytes === null) return fresh;
    const kept = checkedResult(agentRunSchema, parsed(bytes), name);
    if (kept.settings === fresh.settings) return kept;
    throw new ResultsError(
      `Cannot continue "${name}" in "${this.folder.path}": it was made with another LLM, other budgets or other prompts; ` +
        "use --overwrite or another --out",
    );
  }

  /** Writes a run as it is now. */
  async keep(run: AgentRun): Promise<void> {
    const text = stableJson(run as unknown as JsonValue, nameOf(run));
    const before = this.#writing;
    const written = (async () => {
      await before.catch(() => {});
      await this.folder.writeBytes(nameOf(run), new TextEncoder().encode(text));
    })();
    this.#writing = written;
    await written;
  }
}

function nameOf({ agent, budget: { interactions }, run }: AgentRun): string {
  return runFileName({ agent, interactions, run });
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
