/** The endpoint embedder against a server on this machine that misbehaves when it is told to. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EndpointError, UsageError } from "../../engine/errors.ts";
import type { Sleep } from "../../models/hub/retry.ts";
import { endpointPost } from "./endpoint_client.ts";
import { endpointEmbedder } from "./endpoint_embedder.ts";

interface Asked {
  model: string;
  input: string[];
  encoding_format: string;
}

interface Vector {
  index?: unknown;
  embedding: unknown;
}

/** What a good server answers: the length of each text, and 1. */
const good = ({ input }: Asked): Vector[] =>
  input.map((text, index) => ({ index, embedding: [text.length, 1] }));

const json = (data: unknown) => Response.json({ object: "list", data });

/** Runs a test against a server. `answers` come first, then good ones. */
async function withServer(
  answers: ((asked: Asked) => Response)[],
  run: (server: {
    url: string;
    asked: Asked[];
    headers: Headers[];
    waits: number[];
    embed(texts: string[]): Promise<number[][]>;
  }) => Promise<void>,
) {
  const asked: Asked[] = [];
  const headers: Headers[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    assertEquals(new URL(request.url).pathname, "/v1/embeddings");
    const body: Asked = await request.json();
    asked.push(body);
    headers.push(request.headers);
    return (answers.shift() ?? ((asked) => json(good(asked))))(body);
  });
  const url = `http://127.0.0.1:${server.addr.port}/v1`;
  const waits: number[] = [];
  const sleep: Sleep = (ms) => {
    waits.push(ms);
    return Promise.resolve();
  };
  const post = endpointPost({ url, key: "sk-secret-123", sleep });
  const embedder = endpointEmbedder({ post, model: "m", maxCharacters: 10 });
  const embed = async (texts: string[]) =>
    (await embedder.embed(texts)).map(({ values }) => Array.from(values));
  try {
    await run({ url, asked, headers, waits, embed });
  } finally {
    await server.shutdown();
  }
}

Deno.test("texts go in batches, cut to length, and come back in order", async () => {
  await withServer([], async ({ asked, headers, embed }) => {
    const texts = Array.from({ length: 35 }, (_, i) => "x".repeat(i % 9 + 1));
    texts[3] = "0123456789abc";
    texts[4] = "\ud83c\udf70".repeat(11);
    const vectors = await embed(texts);
    assertEquals(asked.map(({ input }) => input.length), [16, 16, 3]);
    assertEquals(asked[0].input[3], "0123456789");
    assertEquals(asked[0].input[4], "\ud83c\udf70".repeat(10), "no character is cut in half");
    assertEquals([asked[0].model, asked[0].encoding_format], ["m", "float"]);
    assertEquals(headers[0].get("authorization"), "Bearer sk-secret-123");
    assertEquals(vectors.slice(0, 4), [[1, 1], [2, 1], [3, 1], [10, 1]]);
    assertEquals(vectors.length, 35);
  });
});

Deno.test("answers out of order are put in order; without indices they are in order", async () => {
  const reversed = (asked: Asked) => json(good(asked).reverse());
  const bare = (asked: Asked) => json(good(asked).map(({ embedding }) => ({ embedding })));
  for (const answer of [reversed, bare]) {
    await withServer([answer], async ({ embed }) => {
      assertEquals(await embed(["a", "bb", "ccc"]), [[1, 1], [2, 1], [3, 1]]);
    });
  }
});

Deno.test("answers that are not one vector for each text are refused", async () => {
  const changed = (change: (data: Vector[]) => unknown) => (asked: Asked) =>
    json(change(good(asked)));
  const cases: [answer: (asked: Asked) => Response, message: string][] = [
    [changed((data) => data.slice(1)), "has 2 vectors for 3 texts"],
    [changed((data) => [...data, data[0]]), "has 4 vectors for 3 texts"],
    [changed((data) => [data[0], data[0], data[2]]), "has no vector with index 1"],
    [changed(([a, b, c]) => [a, b, { ...c, index: 9 }]), "has no vector with index 2"],
    [changed(([a, b, c]) => [a, b, { ...c, index: 1e9 }]), "has data.2.index 1000000000"],
    [changed(([a, b, c]) => [a, b, { ...c, index: -1 }]), "has data.2.index -1"],
    [
      changed(([a, b]) => [a, b, { index: 2, embedding: [1] }]),
      "has a vector of 1 numbers after one of 2",
    ],
    [changed(([a, b]) => [a, b, { embedding: [] }]), "expected a list of numbers"],
    [changed(([a, b]) => [a, b, { embedding: [null, 1] }]), "expected a number"],
    [changed(([a, b]) => [a, b, { embedding: "AACAPw==" }]), "expected a list of numbers"],
    [changed(() => undefined), "has no data"],
    [() => new Response("<html>hello</html>"), "expected an object"],
  ];
  for (const [answer, message] of cases) {
    await withServer([answer], async ({ embed }) => {
      await assertRejects(() => embed(["a", "bb", "ccc"]), EndpointError, message);
    });
  }
});

Deno.test("a vector of another length in a later answer is refused", async () => {
  const wide = ({ input }: Asked) => json(input.map(() => ({ embedding: [1, 2, 3] })));
  await withServer([(asked) => json(good(asked)), wide], async ({ embed }) => {
    const message = "has a vector of 3 numbers after one of 2";
    await assertRejects(() => embed(Array(17).fill("a")), EndpointError, message);
  });
});

Deno.test("what may pass is tried again, after as long as the server asks", async () => {
  const busy = () => new Response("", { status: 429, headers: { "retry-after": "7" } });
  const broken = () => new Response("oops", { status: 500 });
  const half = () =>
    new Response('{"data": [', { headers: { "content-type": "application/json" } });
  await withServer([busy, broken, half], async ({ embed, waits, asked }) => {
    assertEquals(await embed(["a"]), [[1, 1]]);
    assertEquals(waits, [7_000, 2_000, 4_000]);
    assertEquals(asked.length, 4);
  });
});

Deno.test("what does not pass is said, and the key never is", async () => {
  const refuse = (status: number, message: string, code?: string, headers = {}) => () =>
    Response.json({ error: { message, code } }, { status, headers });
  const said = async (answers: (() => Response)[], expected: string, requests: number) =>
    await withServer(answers, async ({ embed, asked }) => {
      const error = await assertRejects(() => embed(["a"]), EndpointError, expected);
      assert(!error.message.includes("sk-secret"), error.message);
      assertEquals(asked.length, requests);
    });
  await said([refuse(401, "bad key sk-secret-123")], "PALIMPSEST_EMBEDDING_KEY", 1);
  await said([refuse(404, "no model for sk-secret-123")], "404 no model for (key)", 1);
  await said([refuse(429, "no credit", "insufficient_quota")], "no credit", 1);
  await said([refuse(429, "later", "", { "retry-after": "86400" })], "later", 1);
  await said(Array(6).fill(refuse(503, "down")), "503 down", 6);
});

Deno.test("a connection that is cut is tried again, and then said to fail", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  const cutting = (async () => {
    for await (const connection of listener) {
      connections++;
      connection.close();
    }
  })();
  const sleep = () => Promise.resolve();
  const post = endpointPost({ url: `http://127.0.0.1:${listener.addr.port}`, sleep });
  await assertRejects(() => post("/embeddings", {}), EndpointError, "the connection fails");
  listener.close();
  await cutting;
  assert(connections >= 6, `${connections}`);
});

Deno.test("an abort ends the waiting, with its own reason", async () => {
  const controller = new AbortController();
  const sleep: Sleep = (_, signal) => {
    controller.abort(new Error("enough"));
    return Promise.reject(signal!.reason);
  };
  const post = endpointPost({ url: "http://127.0.0.1:9", sleep });
  await assertRejects(() => post("/embeddings", {}, controller.signal), Error, "enough");
});

Deno.test("addresses and keys that cannot be used are refused without showing them", () => {
  for (
    const url of ["localhost", "ftp://a/b", "http://me:secret@host/v1", "http://h/v1?key=secret"]
  ) {
    const error = assertThrows(() => endpointPost({ url }), UsageError, "--embedding-url");
    assert(!error.message.includes("secret"), error.message);
  }
  const bad = { url: "http://localhost", key: "se\ncret" };
  assert(!assertThrows(() => endpointPost(bad), UsageError).message.includes("cret"));
});
