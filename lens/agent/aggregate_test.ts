import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { aggregateRuns, wilsonInterval } from "./aggregate.ts";
import { gradesPlot } from "./grades_plot.ts";
import { gradedRun } from "./hypothesis_grader.ts";
import type { AgentName, GradedRun } from "./results.ts";
import { startedRun } from "./started_run.ts";

function graded(agent: AgentName, interactions: number, scores: number[], cost: number | null = 1) {
  const budget = { interactions, llm_calls: 100, tokens: 1000 };
  const of = {
    agent,
    run: 1,
    seed: 1,
    model: "m",
    protocol: "tools",
    settings: "s",
    budget,
  } as const;
  const answered = scores.length > 0;
  const run = {
    ...startedRun(of),
    cost,
    end: answered ? "answered" as const : "tokens" as const,
    hypothesis: answered ? "x" : null,
  };
  run.spent.llm_calls = scores.length;
  return gradedRun(run, scores.map((score, i) => ({ grading: i + 1, score, answer: "" })));
}

Deno.test("Wilson's interval, as Wilson's formula has it", () => {
  const near = (found: number[], expected: number[]) =>
    found.forEach((one, i) => assertAlmostEquals(one, expected[i], 5e-5));
  near(wilsonInterval(0.5, 10), [0.2366, 0.7634]);
  near(wilsonInterval(0, 5), [0, 0.4345]);
  near(wilsonInterval(1, 5), [0.5655, 1]);
  near(wilsonInterval(0.82, 100), [0.7333, 0.883]);
});

Deno.test("runs of one organism: medians decide the shares, means the mean", () => {
  const runs = [
    graded("adl", 5, [2, 2, 5]),
    graded("adl", 5, [4, 4, 4]),
    graded("adl", 5, [], null),
    graded("adl", 0, [3, 3, 3]),
    graded("blackbox", 0, [1, 1, 2]),
  ];
  const rows = aggregateRuns([runs]);
  assertEquals(rows.map((row) => [row.agent, row.interactions, row.runs, row.answered]), [
    ["adl", 0, 1, 1],
    ["adl", 5, 3, 2],
    ["blackbox", 0, 1, 1],
  ]);
  const [, five, black] = rows;
  assertAlmostEquals(five.mean.value, (3 + 4 + 1) / 3);
  assertEquals([five.at_least_2, five.at_least_3, five.at_least_4].map(({ value }) => value), [
    2 / 3,
    1 / 3,
    1 / 3,
  ]);
  assertEquals(five.at_least_2.interval, wilsonInterval(2 / 3, 3));
  const [low, high] = five.mean.interval;
  assert(low >= 1 && high <= 4 && low < five.mean.value && five.mean.value < high);
  assertEquals([five.cost, black.cost, five.mean_llm_calls], [null, 1, 2]);
  assertEquals(aggregateRuns([runs]), rows, "the bootstrap is the same every time");
});

Deno.test("over several organisms, organisms count", () => {
  const organisms: GradedRun[][] = [
    [graded("adl", 0, [4]), graded("adl", 0, [4]), graded("adl", 0, [4])],
    [graded("adl", 0, [1])],
  ];
  const [row] = aggregateRuns(organisms);
  assertEquals([row.organisms, row.runs], [2, 4]);
  assertEquals([row.mean.value, row.at_least_4.value], [2.5, 0.5]);
  assertEquals(row.at_least_4.interval, wilsonInterval(0.5, 2));
  assertEquals(row.mean.interval, [1, 4]);
});

Deno.test("the plot has a panel for each grade, and the same bytes each time", () => {
  const rows = aggregateRuns([[
    graded("adl", 0, [4]),
    graded("adl", 5, [3]),
    graded("blackbox", 50, [1]),
  ]]);
  const svg = gradesPlot(rows);
  assertEquals(gradesPlot(rows), svg);
  for (const grade of [2, 3, 4]) assert(svg.includes(`Graded at least ${grade}`));
  assert(svg.includes(">adl<") && svg.includes(">blackbox<") && !svg.includes(">logitdiff<"));
  assert(svg.startsWith("<svg") && !svg.includes("NaN"));
  assertEquals(svg.match(/<circle/g)?.length, 9);
});
