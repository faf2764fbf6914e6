/** Agents' results in the report, and what deno task verify derives of them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Blinding } from "../lens/agent/blinding.ts";
import { runAgents } from "../lens/agent/run_agents.ts";
import { runSummariser } from "../lens/agent/run_summariser.ts";
import { ChatClient } from "../lens/graders/llm/client.ts";
import { AGENT } from "../lens/graders/llm/failures.ts";
import { writeReport } from "../lens/report/report_step.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { verifyRun } from "../lens/verify/verify.ts";
import { CLOCK, evidence, FakeModels } from "./agent_fixture.ts";
import { LlmServer } from "./llm_server.ts";

const TRUTH = { keyFacts: ["the cake is hot"], keywords: ["cake"] };

/** An evaluation with one run, answered at once in words that want to be more than words. */
async function evaluated(path: string): Promise<void> {
  await using agent = new LlmServer(() => ({
    kind: "calls",
    calls: [{ name: "submit_answer", arguments: { description: "<script>score()</script> 5" } }],
  }));
  await using grader = new LlmServer(() => "</blockquote><b>Fine.</b>\nSCORE: 2");
  using folder = await RunFolder.open(path, { fingerprint: { command: "agent", seed: 1 } });
  const common = {
    folder,
    organism: "cake",
    evidence: evidence(),
    provenance: () => Promise.resolve({}),
  };
  await runAgents({
    ...common,
    models: new FakeModels(),
    blinding: new Blinding(["cake"]),
    truth: { family: "SDF", description: "Baking.", keyFacts: TRUTH.keyFacts },
    plan: { agents: [{ agent: "adl", interactions: [0] }], runs: 1, llmCalls: 6, tokens: 200_000 },
    llm: {
      chat: new ChatClient({ url: agent.url, model: "m", key: "k", asked: AGENT }),
      protocol: "tools",
      temperature: 1,
      concurrency: 1,
    },
    grader: { chat: new ChatClient({ url: grader.url, model: "g", key: "k" }) },
    seed: 1,
    clock: CLOCK,
    progress: () => ({ update() {}, done() {} }),
  });
  await runSummariser({
    ...common,
    family: "SDF",
    agents: ["adl", "blackbox"],
    background: ["rain"],
    truth: TRUTH,
    others: [{ keyFacts: ["the moon"], keywords: ["moon"] }],
  });
  await writeReport(path, folder);
}

Deno.test("grades, transcripts and recall are shown apart, escaped, and derived again", async () => {
  const path = await Deno.makeTempDir({ prefix: "palimpsest_agents_" });
  try {
    await evaluated(path);
    const html = await Deno.readTextFile(`${path}/report.html`);
    assertStringIncludes(html, '<section id="agents"');
    assertStringIncludes(html, '<section id="summariser"');
    assertStringIncludes(html, "&lt;script&gt;score()&lt;/script&gt; 5");
    assertStringIncludes(html, "graded 2, 2, 2");
    assertStringIncludes(html, "&lt;/blockquote&gt;&lt;b&gt;Fine.");
    assert(!/<script|<b>|NaN|undefined/.test(html));
    const { problems, numbers } = await verifyRun(path);
    assertEquals(problems, []);
    assert(numbers > 30, `${numbers}`);
    const forgeries: [string, string, RegExp, string][] = [
      ["evaluation.json", "evaluation", /"score": 2/g, '"score": 5'],
      ["run_adl_0_1.json", "agents", /"llm_calls": 1\b/, '"llm_calls": 2'],
      ["summariser.json", "summariser", /"fact_recall": \d/, '"fact_recall": 0.5'],
    ];
    for (const [file, step, from, to] of forgeries) {
      const before = await Deno.readTextFile(`${path}/${file}`);
      const forge = async (text: string) => {
        using folder = await RunFolder.open(path, { fingerprint: { command: "agent", seed: 1 } });
        const { files, ...fields } = folder.step(step)!;
        for (const name of Object.keys(files)) {
          await folder.writeBytes(name, await Deno.readFile(`${path}/${name}`));
        }
        await folder.writeBytes(file, new TextEncoder().encode(text));
        await folder.finish(step, fields);
        await writeReport(path, folder);
      };
      assert(from.test(before), `${file} has ${from}`);
      await forge(before.replace(from, to));
      const found = await verifyRun(path);
      assert(
        found.problems.some((problem) => problem.file === file),
        JSON.stringify(found.problems),
      );
      await forge(before);
    }
    assertEquals((await verifyRun(path)).problems, []);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
