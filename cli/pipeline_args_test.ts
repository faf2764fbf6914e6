import { assert, assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { parseCommand } from "./args.ts";
import { flagsToArgs, planPipeline } from "./pipeline_args.ts";
import { RUN_COMMAND } from "./run_flags.ts";

function plan(...args: string[]) {
  const parsed = parseCommand(RUN_COMMAND, args);
  if (parsed.kind === "help") throw new Error("no help was asked for");
  return planPipeline(parsed.flags);
}

Deno.test("flagsToArgs: values as the flags' parser reads them again", () => {
  const args = flagsToArgs({ newTokens: 6, alpha: -1.5, positions: ["0-4", "7"], text: undefined });
  assertEquals(args, ["--new-tokens=6", "--alpha=-1.5", "--positions=0-4,7"]);
});

Deno.test("planPipeline: each step is told what concerns it", async () => {
  const { diff, relevance, steer, similarity, causal, leftOut, name } = await plan(
    "--organism",
    "bad_advice",
    ...["--positions", "2", "--seed", "3", "--grader", "llm", "--grader-model", "m"],
  );
  assertEquals([name, leftOut], ["bad_advice", []]);
  const ours = ["--organism=bad_advice", "--model=embedded", "--variant=default", "--seed=3"];
  for (const step of [diff, steer!, similarity!, causal!]) {
    for (const arg of ours) assert(step.includes(arg), `${arg} in ${step}`);
  }
  assert(diff.includes("--positions=0-4,2") && steer!.includes("--positions=2"));
  for (const step of [diff, steer!]) assert(step.includes("--grader-model=m"));
  assert(causal!.includes("--documents=24") && causal!.includes("--controls=24"), `${causal}`);
  for (const step of [relevance!, similarity!, causal!]) {
    assert(!step.some((arg) => /grader/.test(arg)), "relevance takes the flags of diff, too");
  }
});

Deno.test("planPipeline: without finetuning texts their steps are left out", async () => {
  const pair = ["--base", "a", "--finetuned", "b/c/", "--text", "t.txt"];
  const without = await plan(...pair);
  assertEquals(without.name, "c");
  assertEquals([without.relevance, without.similarity, without.causal], Array(3).fill(undefined));
  assertEquals(without.leftOut.map(({ step }) => step), [
    "relevance",
    "similarity",
    "causal effect",
  ]);
  const known = await plan(...pair, "--finetuning-text", "f.txt", "--no-steer");
  assertEquals(known.leftOut.map(({ why }) => why), ["--no-steer", "--no-steer", "--no-steer"]);
  assert(known.causal!.includes("--finetuning-text=f.txt"));
  assert(known.causal!.includes("--controls=32"), "not embedded");
  const llm = ["--finetuning-text", "f.txt", "--grader", "llm", "--grader-model", "m"];
  await assertRejects(() => plan(...pair, ...llm), UsageError, "--description");
});

Deno.test("planPipeline: agents are told of the LLM, and of the grader where that is one", async () => {
  const offline = await plan("--organism", "chat");
  assert(!offline.agent!.some((arg) => /--(llm|grader)-/.test(arg)), `${offline.agent}`);
  const llm = ["--llm-model", "m", "--llm-url", "http://localhost:1/v1", "--interactions", "0"];
  const grader = ["--grader", "llm", "--grader-model", "g"];
  const { agent } = await plan("--organism", "chat", ...llm, ...grader);
  for (const arg of ["--llm-model=m", "--interactions=0", "--grader-model=g"]) {
    assert(agent!.includes(arg), `${arg} in ${agent}`);
  }
  assertEquals((await plan("--organism", "chat", "--no-agent")).leftOut, [
    { step: "agents", why: "--no-agent" },
  ]);
  await assertRejects(() => plan("--llm-calls", "3"), UsageError, "add --llm-model");
  await assertRejects(() => plan("--agents", "oracle"), UsageError, 'Cannot use agent "oracle"');
});
