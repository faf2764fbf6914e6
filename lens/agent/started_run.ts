/** A run before its first message. */

import type { AgentRun } from "./results.ts";

/** A run that has spent nothing. */
export function startedRun(
  of: Pick<AgentRun, "agent" | "run" | "seed" | "model" | "protocol" | "settings" | "budget">,
): AgentRun {
  return {
    ...of,
    spent: {
      interactions: 0,
      llm_calls: 0,
      tokens: 0,
      input_tokens: 0,
      output_tokens: 0,
      uncounted: 0,
      failed_requests: 0,
    },
    cost: null,
    end: null,
    hypothesis: null,
    transcript: [],
  };
}
