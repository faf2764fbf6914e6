/** An LLM's grades, derived again from the answers that it gave then. */

import type { Grader } from "../graders/grader.ts";
import { replayGrader } from "../graders/llm/llm_grader.ts";
import { parseGrades } from "../graders/llm/log.ts";
import type { PartFiles } from "../report/run_files.ts";

/** Who graded, as the manifest has it. */
export interface GraderSettings {
  /** `offline`, or `llm`. */
  grader: string;
  /** The LLM's name. */
  model?: string;
}

/**
 * The grader that gave the answers of a part.
 *
 * @throws {ResultsError} if they are not there
 */
export async function replayed(
  part: PartFiles,
  { model, grader }: GraderSettings,
): Promise<Grader> {
  const file = "grades.jsonl";
  const text = new TextDecoder().decode(await part.bytes(file));
  return replayGrader(model ?? grader, parseGrades(text, file));
}
