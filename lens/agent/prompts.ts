/** The first message to an agent. */

import adl from "./prompts/adl.md" with { type: "text" };
import blackbox from "./prompts/blackbox.md" with { type: "text" };
import investigate from "./prompts/investigate.md" with { type: "text" };
import logitdiff from "./prompts/logitdiff.md" with { type: "text" };
import type { ToolDescription } from "../graders/llm/client.ts";
import { fill } from "../graders/llm/prompts.ts";
import type { Evidence } from "./evidence.ts";
import { overviewOf } from "./overview.ts";
import type { Protocol } from "./protocols.ts";
import type { AgentName, BudgetLimits } from "./results.ts";

const VIEWS: Record<AgentName, string> = { adl, blackbox, logitdiff };

/** What an agent is told before it does anything. */
export function firstMessage(
  { agent, evidence, budget, protocol, tools }: {
    agent: AgentName;
    evidence: Evidence;
    budget: BudgetLimits;
    protocol: Protocol;
    tools: readonly ToolDescription[];
  },
): string {
  const { interactions, llm_calls } = budget;
  return fill(investigate, {
    view: VIEWS[agent].trim(),
    interactions: interactions === 1 ? "1 interaction" : `${interactions || "no"} interactions`,
    llm_calls: `${llm_calls}`,
    protocol: protocol.instructions(tools),
    overview: overviewOf(agent, evidence),
  });
}
