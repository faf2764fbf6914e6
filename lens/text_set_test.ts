import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { TextError } from "../engine/errors.ts";
import type { Hub } from "../models/hub/hub.ts";
import { SHUFFLE_STREAMS, shuffledIndices } from "./shuffle.ts";
import { TextSet } from "./text_set.ts";
import type { ChoiceOptions } from "./documents.ts";

const FIXTURES = new URL("../tests/fixtures/parquet/", import.meta.url).pathname;
const GROUPS = `${FIXTURES}text_groups.parquet`;

const noHub = () => Promise.reject(new Error("the Hub was asked"));

/** The first words of each pool's texts: `row 7`. */
async function pools(set: TextSet, options: ChoiceOptions): Promise<string[][]> {
  const found = [];
  for await (const pool of set.pools(options)) {
    found.push(pool.map(({ text }) => text.split(":")[0]));
  }
  return found;
}

const rows = (group: number) => Array.from({ length: 10 }, (_, i) => `row ${10 * group + i}`);

Deno.test("row groups come in pools of twice the documents that are wanted", async () => {
  const set = await TextSet.open(GROUPS, {}, noHub);
  const found = await pools(set, { documents: 11, seed: null });
  assertEquals(found.map((pool) => pool.length), [30, 30]);
  assertEquals(found.flat(), [0, 1, 2, 3, 4, 5].flatMap(rows));
  assertEquals(set.sample.length, 30, "the first pool");
  assertEquals((await pools(set, { documents: 25, seed: null })).map((p) => p.length), [50, 10]);
});

Deno.test("a seed decides which row groups are read, on every machine alike", async () => {
  const set = await TextSet.open(GROUPS, {}, noHub);
  for await (const _ of set.pools({ documents: 10, seed: 3 })) break;
  const [file] = set.read.files;
  assertEquals(file.row_groups, [1, 3], "fixed for ever");
  const order = [...shuffledIndices(6, 3, SHUFFLE_STREAMS.rowGroups)];
  assertEquals(file.row_groups, order.slice(0, 2));
  assertEquals(set.sample.map(({ text }) => text.split(":")[0]), file.row_groups!.flatMap(rows));
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(GROUPS));
  assertEquals([file.file, file.sha256], [GROUPS, new Uint8Array(digest).toHex()]);
  assertNotEquals(await pools(set, { documents: 99, seed: 4 }), [order.flatMap(rows)]);
});

Deno.test("a file that is read whole is one pool, and known by its hash", async () => {
  const path = await Deno.makeTempFile({ suffix: ".txt" });
  try {
    await Deno.writeTextFile(path, "one\n\ntwo\n\nthree");
    const set = await TextSet.open(path, {}, noHub);
    assertEquals(await pools(set, { documents: 1, seed: 5 }), [["one", "two", "three"]]);
    assertEquals(Object.keys(set.read), ["files"]);
    assertEquals(set.read.files[0].row_groups, undefined);
    await Deno.writeTextFile(path, "");
    const empty = await TextSet.open(path, {}, noHub);
    await assertRejects(() => pools(empty, { documents: 1, seed: 5 }), TextError, "is empty");
  } finally {
    await Deno.remove(path);
  }
});

/** A repository of a dataset whose files lie in a folder; tells which were read how. */
function hubOf(folder: string, names: string[]) {
  const calls: string[] = [];
  const hub = {
    commit: () => Promise.resolve("c0ffee"),
    files: () => Promise.resolve(names.map((path) => ({ path, size: 1, sha256: `hash ${path}` }))),
    fetchFile: (_: unknown, path: string) => {
      calls.push(`fetch ${path}`);
      return Promise.resolve(`${folder}/${path}`);
    },
    openRemote: async (_: unknown, path: string) => {
      calls.push(`open ${path}`);
      const bytes = await Deno.readFile(`${folder}/${path}`);
      const read = (offset: number, length: number) =>
        Promise.resolve(bytes.slice(offset, offset + length));
      return {
        name: path,
        size: bytes.length,
        read,
        close: () => void calls.push(`close ${path}`),
      };
    },
  };
  return { calls, open: () => Promise.resolve(hub as unknown as Hub) };
}

Deno.test("a dataset of the Hub: Parquet is read in parts, other files whole", async () => {
  const names = ["text_groups.parquet", "text_pages.parquet", "README.md"];
  const { calls, open } = hubOf(FIXTURES, names);
  const set = await TextSet.open("hf:datasets/a/b@v1", {}, open);
  assertEquals(calls, [], "opening reads no file");
  for await (const _ of set.pools({ documents: 5, seed: null })) break;
  assertEquals(calls, ["open text_groups.parquet", "close text_groups.parquet"]);
  assertEquals(set.read, {
    dataset: "hf:datasets/a/b@v1",
    commit: "c0ffee",
    files: [{
      file: "text_groups.parquet",
      sha256: "hash text_groups.parquet",
      row_groups: [0],
    }],
  });

  const folder = await Deno.makeTempDir();
  try {
    for (const [i, name] of ["a", "b", "c"].entries()) {
      const lines = Array.from({ length: 4 }, (_, j) => JSON.stringify({ text: `${name} ${j}` }));
      await Deno.writeTextFile(`${folder}/${name}.jsonl`, i === 1 ? "" : lines.join("\n"));
    }
    const lines = hubOf(folder, ["c.jsonl", "a.jsonl", "b.jsonl"]);
    const whole = await TextSet.open("hf:datasets/a/b", {}, lines.open);
    const found = await pools(whole, { documents: 2, seed: 1 });
    assertEquals(lines.calls.toSorted(), ["fetch a.jsonl", "fetch b.jsonl", "fetch c.jsonl"]);
    const order = [...shuffledIndices(3, 1, SHUFFLE_STREAMS.files)].map((i) => "abc"[i]);
    assertEquals(lines.calls, order.map((name) => `fetch ${name}.jsonl`));
    assertEquals(found.flat().length, 8, "an empty part is passed over");
    assert(whole.read.files.every(({ sha256 }) => sha256?.length === 64));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what is no dataset is a TextError", async () => {
  const refused = (ref: string, message: string) =>
    assertRejects(() => TextSet.open(ref, {}, noHub), TextError, message);
  await refused("hf:Qwen/Qwen3-1.7B", "it is a model");
  await refused("texts.csv", 'extension ".csv" is not known');
  const missing = await TextSet.open("none.parquet", {}, noHub);
  await assertRejects(() => pools(missing, { documents: 1, seed: 0 }), TextError, "no such file");
  const folder = await Deno.makeTempDir({ suffix: ".parquet" });
  const set = await TextSet.open(folder, {}, noHub);
  await assertRejects(() => pools(set, { documents: 1, seed: 0 }), TextError, "is no file");
  await Deno.remove(folder);
});
