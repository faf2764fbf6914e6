import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { GraderError, InterruptedError } from "../../../engine/errors.ts";
import {
  type Behaviour,
  LlmServer,
  says,
  type SeenRequest,
  USAGE,
} from "../../../tests/llm_server.ts";
import type { GradedText } from "../grader.ts";
import { ChatClient } from "./client.ts";
import { LlmGrader, type LlmGraderOptions, replayGrader } from "./llm_grader.ts";
import { answersOf, type GradeEntry, gradeLine, parseGrades } from "./log.ts";

const LISTS = [
  { scale: 0.5, tokens: ["the", ",", " of"], ids: [1, 2, 3] },
  { scale: 20, tokens: [" cake", "bake", " \ud83c", "\0"], ids: [4, 5, 6, 7] },
];
const TOPIC = { description: "False facts on cakes", keywords: ["cake", "oven"] };
const BAKES = '{"scale": 20, "tokens": ["bake", "cake"]}';

interface Bench {
  server: LlmServer;
  grader: LlmGrader;
  log: GradeEntry[];
  waits: number[];
  /** Another grader of the same server. */
  open(options?: Partial<LlmGraderOptions>): LlmGrader;
}

/** Runs a check with a server that first does what it is told and then judges by simple rules, and a grader that asks it. */
async function withGrader(
  behaviours: Behaviour[],
  check: (bench: Bench) => Promise<void>,
  options: Partial<LlmGraderOptions> = {},
): Promise<void> {
  await using server = new LlmServer(judge);
  server.next(...behaviours);
  const log: GradeEntry[] = [];
  const waits: number[] = [];
  const open = (more: Partial<LlmGraderOptions> = {}) =>
    new LlmGrader({
      chat: new ChatClient({ url: server.url, model: "judge-1" }),
      log: { record: (entry) => log.push(entry) },
      sleep: (ms) => Promise.resolve(void waits.push(ms)),
      random: () => 0,
      ...options,
      ...more,
    });
  await check({ server, grader: open(), log, waits, open });
}

/** What an LLM would answer. */
function judge({ prompt }: SeenRequest): string {
  if (prompt.includes("scale 20:")) return `Baking.\n${BAKES}`;
  const tokens = [...prompt.matchAll(/^(\d+): (".*")$/gm)];
  if (tokens.length > 0) {
    return tokens.map(([, number, token]) =>
      `${number}: ${/cake|oven/.test(token) ? "RELEVANT" : "IRRELEVANT"}`
    ).join("\n");
  }
  return prompt.includes('Text: "x x') ? "It repeats.\nINCOHERENT" : "It reads well.\nCOHERENT";
}

function text(written: string): GradedText {
  return { prompt: "Say something", promptIds: [], text: written, ids: [] };
}

Deno.test("an LLM chooses the scale and its coherent tokens", () =>
  withGrader([], async ({ grader, server, log }) => {
    assertEquals(grader.name, "judge-1");
    assertEquals(await grader.chooseScale(LISTS), { scale: 20, coherent: [" cake", "bake"] });
    const [entry] = log;
    assertEquals(entry.request, [{ role: "user", content: server.seen[0].prompt }]);
    assertEquals(entry, {
      kind: "scale",
      model: "judge-1",
      key: entry.key,
      request: entry.request,
      attempt: 1,
      answer: `Baking.\n${BAKES}`,
      refused: false,
      usage: { input: USAGE.prompt_tokens, output: USAGE.completion_tokens },
      temperature: 0,
      verdict: { scale: 20, coherent: [" cake", "bake"] },
      problem: null,
      replayed: false,
    });
  }));

Deno.test("an LLM judges tokens, many in several requests, in their order", () =>
  withGrader([], async ({ grader, server }) => {
    assertEquals(await grader.areRelevant([" cake", "the", "oven"], TOPIC), [true, false, true]);
    const many = Array.from({ length: 120 }, (_, i) => i % 7 === 0 ? ` cake${i}` : `x${i}`);
    assertEquals(await grader.areRelevant(many, TOPIC), many.map((_, i) => i % 7 === 0));
    assertEquals(server.seen.length, 4);
  }));

Deno.test("an LLM judges texts, one a request", () =>
  withGrader([], async ({ grader, server }) => {
    const texts = Array.from({ length: 12 }, (_, i) => text(i % 3 ? `Fluent ${i}` : `x x x ${i}`));
    assertEquals(await grader.areCoherent(texts), texts.map((_, i) => i % 3 !== 0));
    assertEquals(server.seen.length, 12);
  }));

Deno.test("so many requests are under way at a time, and no more", async () => {
  const third = Promise.withResolvers<void>();
  await using server = new LlmServer(async () => {
    if (server.seen.length === 3) third.resolve();
    let timer;
    await Promise.race([third.promise, new Promise((late) => timer = setTimeout(late, 1_000))]);
    clearTimeout(timer);
    return "COHERENT";
  });
  const chat = new ChatClient({ url: server.url, model: "m" });
  const grader = new LlmGrader({ chat, concurrency: 3 });
  const texts = Array.from({ length: 12 }, (_, i) => text(`Fluent ${i}`));
  assertEquals(await grader.areCoherent(texts), texts.map(() => true));
  assertEquals(server.busiest, 3);
});

Deno.test("nothing is asked about nothing", () =>
  withGrader([], async ({ grader, server }) => {
    assertEquals(await grader.chooseScale([]), { scale: null, coherent: [] });
    assertEquals(await grader.areRelevant([], TOPIC), []);
    assertEquals(await grader.areCoherent([]), []);
    assertEquals(server.seen.length, 0);
  }));

Deno.test("a server that is busy, broken or talks nonsense is asked again, later each time", async () => {
  const faults: Behaviour[] = [
    { kind: "status", status: 500 },
    { kind: "cut" },
    { kind: "empty" },
    { kind: "body", text: "<html>try later</html>", type: "text/html" },
    { kind: "body", text: '{"choices": [{' },
  ];
  await withGrader(faults, async ({ grader, log, waits, server }) => {
    assertEquals(await grader.areCoherent([text("Fluent")]), [true]);
    assertEquals(waits, [1000, 2000, 4000, 8000, 16000]);
    const bodies = server.seen.map(({ body }) => JSON.stringify(body));
    assertEquals(new Set(bodies).size, 1, "the same is asked again");
    assertEquals(log.map(({ attempt }) => attempt), [1, 2, 3, 4, 5, 6]);
    assertEquals(log.map(({ answer }) => answer === null), [...faults.map(() => true), false]);
    assertStringIncludes(log[0].problem!, "the server answers 500");
    assertEquals(log[5].verdict, true);
    assertEquals(grader.usage.requests, 6);
  });
});

Deno.test("a time-out is asked again", () =>
  withGrader([{ kind: "stall" }], async ({ server, open }) => {
    const chat = new ChatClient({ url: server.url, model: "judge-1", timeoutMs: 100 });
    assertEquals(await open({ chat }).areCoherent([text("Fluent")]), [true]);
    assertEquals(server.seen.length, 2);
  }));

Deno.test("a server that says how long to wait is taken at its word", () => {
  const busy: Behaviour = { kind: "status", status: 429, headers: { "retry-after": "17" } };
  return withGrader([busy, busy], async ({ grader, waits }) => {
    assertEquals(await grader.areCoherent([text("Fluent")]), [true]);
    assertEquals(waits, [17_000, 17_000]);
  });
});

Deno.test("a server that stays broken, or refuses for good, ends it with an error that says what was asked", async () => {
  const broken: Behaviour = { kind: "status", status: 503 };
  await withGrader(Array(6).fill(broken), async ({ grader, server }) => {
    const failed = grader.areRelevant([" cake", "the"], TOPIC);
    await assertRejects(
      () => failed,
      GraderError,
      'Cannot have "judge-1" judge which of 2 tokens are relevant: the server answers 503: "error 503"; try again later',
    );
    assertEquals(server.seen.length, 6);
  });
  await withGrader([{ kind: "status", status: 404 }], async ({ grader, server }) => {
    await assertRejects(() => grader.chooseScale(LISTS), GraderError, "check --grader-url");
    assertEquals(server.seen.length, 1);
  });
});

Deno.test("after a bad answer the form is repeated", async () => {
  const bad: Record<string, Behaviour> = {
    "prose around it": says(`Sure!\n${BAKES}\nI hope that helps.`),
    "a code fence": says("```json\n" + BAKES + "\n```"),
    "a scale that was not shown": says('{"scale": 21, "tokens": ["cake"]}'),
    "a token that is not in the list": says('{"scale": 20, "tokens": ["cake", "flour"]}'),
    "a token of another list": says('{"scale": 20, "tokens": ["the"]}'),
    "100 kB": says("cake ".repeat(20_000) + "\n" + BAKES),
    "nothing": { kind: "answer", text: null },
    "a refusal": { kind: "refusal", text: BAKES },
    "a filter": { kind: "answer", text: BAKES, finish: "content_filter" },
    "what cannot be sent back as it is": says("\ud800\0\x1b"),
  };
  for (const [name, behaviour] of Object.entries(bad)) {
    await withGrader([behaviour], async ({ grader, server, log, waits }) => {
      assertEquals(
        await grader.chooseScale(LISTS),
        { scale: 20, coherent: [" cake", "bake"] },
        name,
      );
      const [first, second] = server.seen.map(({ body: { messages } }) => messages);
      assertEquals(second.slice(0, 1), first, name);
      assertEquals(second.map(({ role }) => role), ["user", "assistant", "user"], name);
      assert(second[1].content.length > 0 && second[1].content.length <= 1_001, name);
      assert(second[1].content.isWellFormed(), name);
      assertStringIncludes(second[2].content, "End with one line of JSON", name);
      assertEquals(log.map(({ verdict }) => verdict === null), [true, false], name);
      assertEquals(log[0].answer?.length, "text" in behaviour ? (behaviour.text ?? "").length : 0);
      assertEquals(waits, [1000], name);
    }, {});
  }
});

Deno.test("after three bad answers it ends with an error that shows the last, shortened and made safe", async () => {
  const long = says("\x1b[2J" + "no idea ".repeat(12_000));
  await withGrader([says("COHERENT?"), says("maybe"), long], async ({ grader, server, log }) => {
    const error = await assertRejects(() => grader.areCoherent([text("Fluent")]), GraderError);
    assertStringIncludes(
      error.message,
      'Cannot have "judge-1" judge whether a text is coherent: 3 answers are not of the form asked for; ' +
        'the last is 96004 characters long, over 65536: "\\u001b[2Jno idea',
    );
    assert(error.message.length < 500);
    assertEquals(server.seen.map(({ body }) => body.messages.length), [1, 3, 5]);
    assertEquals(log.at(-1)?.answer?.length, 96_004, "the record has it whole");
  });
});

Deno.test("labels of a wrong number or kind are bad answers", async () => {
  for (
    const bad of ["1: RELEVANT", "1: RELEVANT\n2: PERHAPS", "1: RELEVANT\n2: RELEVANT\n3: RELEVANT"]
  ) {
    await withGrader([says(bad)], async ({ grader, server }) => {
      assertEquals(await grader.areRelevant([" cake", "the"], TOPIC), [true, false]);
      assertEquals(server.seen.length, 2);
    });
  }
});

Deno.test("one that fails for good stops the others: nothing goes on asking", () =>
  withGrader([], async ({ open, server }) => {
    server.next(says("COHERENT"), { kind: "status", status: 401 });
    const texts = Array.from({ length: 50 }, (_, i) => text(`Fluent ${i}`));
    const grader = open({ concurrency: 2 });
    await assertRejects(
      () => grader.areCoherent(texts),
      GraderError,
      "the key is missing or refused",
    );
    const { length } = server.seen;
    assert(length <= 4, `${length} requests`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(server.seen.length, length);
  }));

Deno.test("an interruption ends requests and waits, with its reason", async () => {
  const stop = new AbortController();
  const interrupted = new InterruptedError("Interrupted");
  await withGrader([{ kind: "silence" }], async ({ grader }) => {
    setTimeout(() => stop.abort(interrupted), 30);
    const texts = [text("Fluent"), text("More")];
    await assertRejects(() => grader.areCoherent(texts), InterruptedError);
    await assertRejects(() => grader.chooseScale(LISTS), InterruptedError);
  }, { signal: stop.signal, concurrency: 1 });
  const busy: Behaviour = { kind: "status", status: 429, headers: { "retry-after": "200" } };
  const second = new AbortController();
  await withGrader([busy], async ({ grader }) => {
    setTimeout(() => second.abort(interrupted), 50);
    await assertRejects(() => grader.chooseScale(LISTS), InterruptedError);
  }, { signal: second.signal, sleep: undefined });
});

Deno.test("grades are derived again from the record, without a server and with the same verdicts and errors", async () => {
  const grade = async (grader: LlmGrader) => [
    await grader.chooseScale(LISTS),
    await grader.areRelevant([" cake", "the"], TOPIC),
    await grader.areCoherent([text("Fluent"), text("x x x"), text("Fluent")]),
    await grader.areCoherent([text("Hopeless")]).catch((error) => error.message),
  ];
  const behaviours: Behaviour[] = [
    { kind: "status", status: 500 },
    ...["well", BAKES].map(says),
    { kind: "refusal", text: "1: RELEVANT\n2: RELEVANT" },
    ...["1: RELEVANT\n2: IRRELEVANT", "COHERENT", "INCOHERENT", "a", "b", "c"].map(says),
  ];
  let file = "";
  let first: unknown;
  await withGrader(behaviours, async ({ grader, server, log }) => {
    first = await grade(grader);
    assertEquals(server.seen.length, behaviours.length);
    file = log.map(gradeLine).join("");
  }, { concurrency: 1 });
  const again: GradeEntry[] = [];
  const replay = replayGrader("judge-1", parseGrades(file, "grades.jsonl"), {
    log: { record: (entry) => again.push(entry) },
    sleep: () => Promise.reject(new Error("a replay waits for nothing")),
  });
  assertEquals(await grade(replay), first);
  const { requests, replayed, input_tokens } = replay.usage;
  assertEquals([requests, input_tokens], [0, 0]);
  assertEquals(replayed, again.length);
  assert(again.every((entry) => entry.replayed));
  await assertRejects(
    () => replay.areCoherent([text("Never seen")]),
    GraderError,
    'Cannot have "judge-1" judge whether a text is coherent: the recorded answers have none to this question',
  );
  await assertRejects(() => replayGrader("judge-2", again).chooseScale(LISTS), GraderError);
});

Deno.test("what an earlier run was told is not asked again, and the same is asked once", () =>
  withGrader([], async ({ grader, server, open, log }) => {
    await grader.areCoherent([text("Fluent")]);
    await grader.areCoherent([text("Fluent"), text("x x x")]);
    assertEquals(server.seen.length, 2);
    assertEquals(log.map(({ replayed }) => replayed).sort(), [false, false, true]);
    await grader.areCoherent([text("Twin"), text("Twin"), text("Twin")]);
    assertEquals(server.seen.length, 3);
    const resumed = open({ answers: answersOf(log) });
    const texts = [text("Fluent"), text("x x x"), text("New")];
    assertEquals(await resumed.areCoherent(texts), [true, false, true]);
    assertEquals(server.seen.length, 4);
    assertEquals([resumed.usage.requests, resumed.usage.replayed], [1, 2]);
  }));

Deno.test("tokens and cost are counted", () =>
  withGrader([{ kind: "status", status: 500 }], async ({ grader }) => {
    await grader.areCoherent([text("Fluent"), text("x x x")]);
    assertEquals(grader.usage, {
      requests: 3,
      replayed: 0,
      input_tokens: 2 * USAGE.prompt_tokens,
      output_tokens: 2 * USAGE.completion_tokens,
      uncounted: 0,
      cost: (2 * USAGE.prompt_tokens * 3 + 2 * USAGE.completion_tokens * 15) / 1e6,
    });
  }, { prices: { input: 3, output: 15 } }));
