/** Downloads that go wrong, and what is in the cache afterwards. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { type HubBench, withHub } from "../../tests/hub_server.ts";
import { HubError } from "../../engine/errors.ts";
import { type Download, downloadBlob } from "./download.ts";
import { HubHttp } from "./http.ts";
import { parseHubRef } from "./ref.ts";
import { HubUnavailable } from "./retry.ts";

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >> 5);
const SHA256 = createHash("sha256").update(WEIGHTS).digest("hex");
const { repo } = parseHubRef("hf:o/n");

/** A Hub with one file of 300,000 bytes. */
function withWeights(check: (bench: HubBench & { blob: string }) => Promise<void>): Promise<void> {
  return withHub(async (bench) => {
    const files = { "config.json": "{}", "w.safetensors": WEIGHTS };
    bench.server.publish("models/o/n", { files, lfs: ["w.safetensors"] });
    await check({ ...bench, blob: `${bench.cache}/models--o--n/blobs/${SHA256}` });
  });
}

const ranges = ({ server }: HubBench) => server.asked("cdn/").map(({ range }) => range);

async function fetchAndCheck(bench: HubBench): Promise<void> {
  assertEquals(await Deno.readFile(await bench.hub().fetchFile(repo, "w.safetensors")), WEIGHTS);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("a cut connection goes on where it was cut", () =>
  withWeights(async (bench) => {
    bench.server.misbehave("cdn/", { kind: "cut", after: 100_000 });
    bench.server.misbehave("cdn/", { kind: "cut", after: 50_000 });
    await fetchAndCheck(bench);
    assertEquals(ranges(bench), [null, "bytes=100000-", "bytes=150000-"]);
    assertEquals(bench.waits, [1000, 2000]);
    assertEquals(bench.progress.at(0), "w.safetensors 0/300000");
    assertEquals(bench.progress.at(-1), "w.safetensors 300000/300000");
    assertEquals(await exists(`${bench.blob}.incomplete`), false);
  }));

Deno.test("what an earlier run left is completed, not fetched again", () =>
  withWeights(async (bench) => {
    bench.server.misbehave("cdn/", { kind: "cut", after: 120_000 });
    bench.server.misbehave("cdn/", { kind: "status", status: 503 }, 9);
    await assertRejects(() => fetchAndCheck(bench), HubUnavailable, "the server answers 503");
    assertEquals((await Deno.stat(`${bench.blob}.incomplete`)).size, 120_000);
    bench.server.seen.length = bench.progress.length = 0;
    bench.server.forgive();
    await fetchAndCheck(bench);
    assertEquals(ranges(bench), ["bytes=120000-"]);
    assertEquals(bench.progress[0], "w.safetensors 120000/300000");
  }));

Deno.test("a part that is whole already is verified and not asked for", () =>
  withWeights(async (bench) => {
    await bench.hub().files(repo);
    await Deno.mkdir(bench.blob.slice(0, -65), { recursive: true });
    await Deno.writeFile(`${bench.blob}.incomplete`, WEIGHTS);
    await fetchAndCheck(bench);
    assertEquals(ranges(bench), []);
  }));

Deno.test("a server that ignores ranges sends all of it again", () =>
  withWeights(async (bench) => {
    bench.server.misbehave("cdn/", { kind: "cut", after: 100_000 });
    bench.server.misbehave("cdn/", { kind: "whole" });
    await fetchAndCheck(bench);
    assertEquals(ranges(bench), [null, "bytes=100000-"]);
  }));

Deno.test("a damaged or too long part of an earlier run is dropped", () =>
  withWeights(async (bench) => {
    const damaged = WEIGHTS.slice(0, 1000).fill(1);
    for (const part of [damaged, new Uint8Array(400_000)]) {
      await Deno.mkdir(bench.blob.slice(0, -65), { recursive: true });
      await Deno.writeFile(`${bench.blob}.incomplete`, part);
      bench.server.seen.length = 0;
      await fetchAndCheck(bench);
      assertEquals(ranges(bench), part === damaged ? ["bytes=1000-", null] : [null]);
      await Deno.remove(`${bench.cache}/models--o--n`, { recursive: true });
    }
  }));

Deno.test("wrong contents are refused and not kept", () =>
  withWeights(async (bench) => {
    bench.server.misbehave("cdn/", { kind: "body", text: "x".repeat(300_000) });
    await assertRejects(
      () => fetchAndCheck(bench),
      HubError,
      'Cannot fetch "w.safetensors" of hf:o/n: its SHA-256 is ',
    );
    bench.server.misbehave("resolve-cache", { kind: "body", text: "[]" });
    // Small files have a hash of Git's.
    bench.server.misbehave("resolve/", { kind: "body", text: "[]" });
    await assertRejects(() => bench.hub().fetchFile(repo, "config.json"), HubError, "its Git hash");
    assertEquals(await exists(bench.blob), false);
    assertEquals(await exists(`${bench.blob}.incomplete`), false);
    await fetchAndCheck(bench);
  }));

Deno.test("more bytes than announced are refused before they fill the disk", () =>
  withWeights(async (bench) => {
    bench.server.misbehave("cdn/", { kind: "body", text: "x".repeat(3_000_000) });
    await assertRejects(() => fetchAndCheck(bench), HubError, "more than the 300000 bytes");
    assertEquals(await exists(bench.blob), false);
    assertEquals((await Deno.stat(`${bench.blob}.incomplete`)).size, 0);
  }));

Deno.test("a server that has less than it announces is given up on", () =>
  withWeights(async (bench) => {
    bench.server.misbehave("cdn/", { kind: "short", length: 200_000 }, 99);
    await assertRejects(() => fetchAndCheck(bench), HubUnavailable);
    assertEquals(await exists(bench.blob), false);
    // Each asks for the rest, is refused, and begins anew.
    assert(ranges(bench).length <= 12, `${ranges(bench)}`);
  }));

Deno.test("even if what it has is large: coming as far as before is no progress", () =>
  withHub(async (bench) => {
    const files = { "w.safetensors": new Uint8Array(2_500_000) };
    bench.server.publish("models/o/n", { files, lfs: ["w.safetensors"] });
    bench.server.misbehave("cdn/", { kind: "short", length: 2_200_000 }, 40);
    await assertRejects(() => bench.hub().fetchFile(repo, "w.safetensors"), HubUnavailable);
    assert(ranges(bench).length <= 20, `${ranges(bench)}`);
  }));

Deno.test("429 and 500 are tried again after the time that was asked for", () =>
  withWeights(async (bench) => {
    const busy = { kind: "status", status: 429, headers: { "retry-after": "11" } } as const;
    bench.server.misbehave("resolve/", busy);
    bench.server.misbehave("resolve/", { kind: "status", status: 500 });
    await fetchAndCheck(bench);
    assertEquals(bench.waits, [11_000, 2000]);
  }));

Deno.test("a silent server is not waited for without end", () =>
  withWeights(async (bench) => {
    const hub = bench.hub({}, { idleMs: 50 });
    bench.server.misbehave("cdn/", { kind: "silence" });
    await hub.fetchFile(repo, "w.safetensors");
    bench.server.misbehave("resolve/", { kind: "silence" }, 9);
    await assertRejects(
      () => hub.fetchFile(repo, "config.json"),
      HubUnavailable,
      "no answer for 0.05 s",
    );
  }));

Deno.test("an interrupted download stops at once and keeps what it has", () =>
  withWeights(async (bench) => {
    const controller = new AbortController();
    const hub = bench.hub({}, {
      signal: controller.signal,
      onProgress: (_, done) => {
        if (done > 0) controller.abort(new HubError("interrupted"));
      },
    });
    await assertRejects(() => hub.fetchFile(repo, "w.safetensors"), HubError, "interrupted");
    assert((await Deno.stat(`${bench.blob}.incomplete`)).size > 0);
    await fetchAndCheck(bench);
    assert(ranges(bench)[1]?.startsWith("bytes="), `${ranges(bench)}`);
  }));

Deno.test("two that fetch the same file do it once", () =>
  withWeights(async (bench) => {
    const { sleep } = bench.options();
    // Waits are real but short here: one must wait for the other.
    const wait = async (ms: number) => {
      await sleep!(ms);
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const fetch = () => bench.hub({}, { sleep: wait }).fetchFile(repo, "w.safetensors");
    const [a, b] = await Promise.all([fetch(), fetch()]);
    assertEquals([await Deno.readFile(a), b], [WEIGHTS, a]);
    assertEquals(ranges(bench), [null]);
    assertEquals(bench.warnings, [
      "Waiting for another process that fetches w.safetensors of hf:o/n",
    ]);
  }));

Deno.test("sizes that no disk has are refused before anything is written", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const http = new HubHttp({ endpoint: "http://127.0.0.1:9" });
    const download = (size: number, free: number): Download => ({
      url: "http://127.0.0.1:9/w",
      purpose: { repo, file: "w" },
      entry: { size, gitOid: "0".repeat(40) },
      blob: `${folder}/blob`,
      incomplete: `${folder}/blob.incomplete`,
      freeBytes: () => Promise.resolve(free),
    });
    await assertRejects(
      () => downloadBlob(http, download(2 ** 50, 2 ** 52)),
      HubError,
      "the Hub says that it has 1125899906842624 bytes",
    );
    await assertRejects(
      () => downloadBlob(http, download(5e9, 4e9)),
      HubError,
      `it needs 5.0 GB, and the disk of "${folder}" has 4.0 GB`,
    );
    assertEquals([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "a disk that is full says so, and what came is kept",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withWeights(async (bench) => {
      await Deno.mkdir(bench.blob.slice(0, -65), { recursive: true });
      await Deno.symlink("/dev/full", `${bench.blob}.incomplete`);
      await assertRejects(
        () => fetchAndCheck(bench),
        HubError,
        "is full (0 of 300000 bytes are there and are kept",
      );
      assertEquals(await exists(`${bench.blob}.incomplete`), true);
    }),
});
