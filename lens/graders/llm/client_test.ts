import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../../../engine/errors.ts";
import { type Behaviour, LlmServer, says, USAGE } from "../../../tests/llm_server.ts";
import { ChatClient, type ChatOptions } from "./client.ts";
import { ChatFailure } from "./failures.ts";

const KEY = "sk-secret-0123456789";

/** Runs a check with a server that does what it is told, and a client of it. */
async function withClient(
  behaviours: Behaviour[],
  check: (ask: (text?: string) => ReturnType<ChatClient["complete"]>, server: LlmServer) => unknown,
  options: Partial<ChatOptions> = {},
): Promise<void> {
  await using server = new LlmServer();
  server.next(...behaviours);
  const client = new ChatClient({ url: server.url, model: "m", key: KEY, ...options });
  await check((content = "hello") => client.complete([{ role: "user", content }]), server);
}

/** The failure that a behaviour leads to; the key is nowhere in it. */
async function failureOf(
  behaviour: Behaviour,
  options?: Partial<ChatOptions>,
): Promise<ChatFailure> {
  let failure: ChatFailure | undefined;
  await withClient([behaviour], async (ask, server) => {
    failure = await assertRejects(() => ask(), ChatFailure);
    assertEquals(server.seen.length, 1, "the client itself does not try again");
  }, options);
  const { message, stack, cause } = failure!;
  assert(!`${message}${stack}${Deno.inspect(cause)}`.includes(KEY));
  return failure!;
}

Deno.test("a request has the model, the messages, temperature 0 and the key", () =>
  withClient([says("COHERENT")], async (ask, { seen }) => {
    assertEquals(await ask(), {
      text: "COHERENT",
      refused: false,
      usage: { input: USAGE.prompt_tokens, output: USAGE.completion_tokens },
      temperature: 0,
    });
    assertEquals(seen[0].headers.get("authorization"), `Bearer ${KEY}`);
    const messages = [{ role: "user", content: "hello" }];
    assertEquals(seen[0].body, { model: "m", messages, temperature: 0 });
  }));

Deno.test("nothing goes to the server that the options do not have, whatever the environment has", async () => {
  const variables = {
    OPENAI_API_KEY: KEY,
    OPENAI_ADMIN_KEY: KEY,
    OPENAI_ORG_ID: KEY,
    OPENAI_PROJECT_ID: KEY,
    OPENAI_BASE_URL: "http://127.0.0.1:1/",
  };
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    for (const key of [undefined, "", " "]) {
      await withClient([], async (ask, { seen }) => {
        await ask();
        assertEquals(seen[0].headers.get("authorization"), null);
        assert(!JSON.stringify([...seen[0].headers]).includes(KEY));
      }, { key });
    }
  } finally {
    for (const name of Object.keys(variables)) Deno.env.delete(name);
  }
});

Deno.test("a model that takes no temperature is asked without it from then on", () => {
  const error = { message: "no", param: "temperature", code: "unsupported_value" };
  return withClient([{ kind: "status", status: 400, body: { error } }], async (ask, { seen }) => {
    assertEquals((await ask()).temperature, null);
    assertEquals((await ask()).temperature, null);
    assertEquals(seen.map(({ body }) => body.temperature), [0, undefined, undefined]);
  });
});

Deno.test("refusals are told from answers", () =>
  withClient([
    { kind: "refusal", text: "I cannot" },
    { kind: "answer", text: null, finish: "content_filter" },
    { kind: "answer", text: null },
  ], async (ask) => {
    const { usage, ...refusal } = await ask();
    assertEquals(refusal, { text: "I cannot", refused: true, temperature: 0 });
    assertEquals(usage?.input, USAGE.prompt_tokens);
    assertEquals((await ask()).refused, true);
    const { text, refused } = await ask();
    assertEquals({ text, refused }, { text: "", refused: false });
  }));

Deno.test("a count of tokens that is none is unknown", async () => {
  for (const usage of [null, {}, { prompt_tokens: -1, completion_tokens: 2 }, "many"]) {
    await withClient([{ kind: "answer", text: "COHERENT", usage }], async (ask) => {
      assertEquals((await ask()).usage, null);
    });
  }
});

Deno.test("what may pass is told from what will not", async () => {
  for (const status of [408, 425, 429, 500, 502, 503, 529]) {
    const { passing, waitMs, message } = await failureOf({ kind: "status", status });
    assertEquals([passing, waitMs], [true, undefined]);
    assert(message.startsWith(`the server answers ${status}: "error ${status}"; try again`));
  }
  for (const status of [302, 307, 400, 401, 403, 404, 422]) {
    const headers = { location: "http://127.0.0.1:1/" };
    assertEquals(
      (await failureOf({ kind: "status", status, headers })).passing,
      false,
      `${status}`,
    );
  }
  const error = { message: "You ran out", code: "insufficient_quota" };
  const quota = await failureOf({ kind: "status", status: 429, body: { error } });
  assertEquals([quota.passing, quota.message], [
    false,
    'the account has no credit left: "You ran out"',
  ]);
});

Deno.test("the server's wish to wait is read, in seconds and as a date", async () => {
  const wait = async (after: string) => {
    const headers = { "retry-after": after };
    return (await failureOf({ kind: "status", status: 429, headers })).waitMs!;
  };
  assertEquals(await wait("7"), 7000);
  const inAMinute = await wait(new Date(Date.now() + 60_000).toUTCString());
  assert(inAMinute > 50_000 && inAMinute <= 60_000);
});

Deno.test("answers that are no chat completion are failures that may pass", async () => {
  const html = "<html><body>Bad gateway</body></html>";
  const cases: [Behaviour, string][] = [
    [{ kind: "body", text: html, type: "text/html" }, 'is no chat completion: "<html>'],
    [{ kind: "body", text: html }, "is not valid JSON"],
    [{ kind: "body", text: '{"choices": [{"mess' }, "is not valid JSON"],
    [{ kind: "body", text: "" }, "is no chat completion"],
    [{ kind: "body", text: "null" }, "is no chat completion"],
    [{ kind: "body", text: '{"choices": [{}]}' }, "is no chat completion"],
    [{ kind: "body", text: '{"error": {"message": "overloaded"}}' }, "overloaded"],
    [{ kind: "empty" }, "has no choices"],
    [{ kind: "cut" }, "the connection fails"],
    [{ kind: "flood" }, "the answer is over 4194304 bytes"],
  ];
  for (const [behaviour, says] of cases) {
    const { passing, message } = await failureOf(behaviour);
    assertEquals(passing, true, message);
    assert(message.includes(says), message);
    assert(message.length < 300, message);
  }
});

Deno.test("the time limit holds for the headers and for the body", async () => {
  for (const kind of ["silence", "stall"] as const) {
    const { passing, message } = await failureOf({ kind }, { timeoutMs: 50 });
    assertEquals([passing, message], [true, "the server does not answer in time"]);
  }
});

Deno.test("a server that is not there is a failure that may pass", async () => {
  const client = new ChatClient({ url: "http://127.0.0.1:1/v1", model: "m" });
  const failure = await assertRejects(() => client.complete([]), ChatFailure, "check --grader-url");
  assertEquals(failure.passing, true);
});

Deno.test("a request ends with the signal, with its reason", () =>
  withClient([{ kind: "silence" }, { kind: "stall" }], async (_, { url }) => {
    const client = new ChatClient({ url, model: "m" });
    for (let i = 0; i < 2; i++) {
      const stop = new AbortController();
      const answer = client.complete([{ role: "user", content: "hello" }], stop.signal);
      setTimeout(() => stop.abort(new UsageError("enough")), 30);
      await assertRejects(() => answer, UsageError, "enough");
    }
  }));

Deno.test("a key that a server repeats is taken out of answers and errors, and does not show in the client", async () => {
  for (const status of [400, 401, 403, 500]) {
    const error = { message: `Incorrect API key provided: ${KEY}` };
    await failureOf({ kind: "status", status, body: { error } });
    await failureOf({ kind: "status", status, body: `key ${KEY}` });
  }
  await failureOf({ kind: "body", text: `<b>${KEY}</b>`, type: "text/html" });
  await withClient([says(`${KEY}\nCOHERENT`)], async (ask) => {
    assertEquals((await ask()).text, "(key)\nCOHERENT");
  });
  const client = new ChatClient({ url: "http://localhost/v1", model: "m", key: KEY });
  assert(
    !(Deno.inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client)).includes(KEY),
  );
});

Deno.test("a place-holder for a key is no secret that answers are searched for", () =>
  withClient([says("EMPTY\nCOHERENT")], async (ask) => {
    assertEquals((await ask()).text, "EMPTY\nCOHERENT");
  }, { key: "EMPTY" }));

Deno.test("an address or a key that cannot be used is refused, and not shown", () => {
  const open = (options: Partial<ChatOptions>) => () =>
    new ChatClient({ url: "http://localhost/v1", model: "m", ...options });
  for (
    const url of [
      "",
      "localhost:8000",
      "ftp://x/",
      "file:///etc",
      "http://u:hidden@x/",
      "http://x/?key=hidden",
    ]
  ) {
    const error = assertThrows(open({ url }), UsageError, "Cannot use the grader's address");
    assert(!error.message.includes("hidden"));
  }
  for (const key of ["hid den", "hidden\r\nhost: x", "hiddén"]) {
    const error = assertThrows(open({ key }), UsageError, "Cannot use the grader's key");
    assert(!error.message.includes("hid"));
  }
  open({ url: "http://localhost:8000/v1/", key: `${KEY}\n` })();
});

Deno.test("control characters and half surrogate pairs go through", () =>
  withClient([], async (ask, { seen }) => {
    await ask("a\0\x1b\u2028🎂");
    assertEquals(seen[0].prompt, "a\0\x1b\u2028🎂");
    await ask("\ud800");
    assertEquals(seen.length, 2);
  }));
