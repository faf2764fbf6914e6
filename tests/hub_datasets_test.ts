/** Datasets of the Hub, from a reference to texts, over HTTP. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { HubError, TextError } from "../engine/errors.ts";
import type { ColumnChoice } from "../lens/text_record.ts";
import { TextSet } from "../lens/text_set.ts";
import { withHub } from "./hub_server.ts";

const fixture = (name: string) =>
  Deno.readFileSync(new URL(`fixtures/parquet/${name}.parquet`, import.meta.url));

Deno.test("Parquet files are read in ranges, as many row groups as are needed", async () => {
  await withHub(async ({ server, hub }) => {
    const names = ["data/train-0.parquet", "data/train-1.parquet", "data/test-0.parquet"];
    const files = Object.fromEntries(names.map((name) => [name, fixture("text_groups")]));
    const commit = server.publish("datasets/acme/web", { files, lfs: names });
    const open = () => Promise.resolve(hub());
    const set = await TextSet.open("hf:datasets/acme/web", {}, open);
    assertEquals(server.asked("/resolve/"), [], "nothing of a file is read yet");

    for await (const _ of set.pools({ documents: 10, seed: 1 })) break;
    const { dataset, commit: found, files: read } = set.read;
    assertEquals([dataset, found], ["hf:datasets/acme/web", commit]);
    assertEquals([read.length, read[0].row_groups?.length], [1, 2]);
    assert(/^data\/train-[01]\.parquet$/.test(read[0].file), read[0].file);
    assertEquals(read[0].sha256?.length, 64);
    assertEquals(set.sample.length, 20);
    const ranges = server.seen.filter(({ server }) => server === "cdn").map(({ range }) => range);
    assertEquals(ranges.length, 3, "the footer and two row groups");
    assert(ranges.every((range) => range !== null));

    const again = await TextSet.open(`hf:datasets/acme/web@${commit}`, {}, open);
    for await (const _ of again.pools({ documents: 10, seed: 1 })) break;
    assertEquals(again.sample, set.sample);
    assertEquals(again.read.files, read);
  });
});

Deno.test("files of lines are fetched whole, once; a path names a file or a folder", async () => {
  await withHub(async ({ server, hub }) => {
    const line = (text: string) => `${JSON.stringify({ text })}\n`;
    server.publish("datasets/acme/lines", {
      files: { "README.md": "# lines", "en/a.jsonl": line("one"), "de/a.jsonl": line("eins") },
      lfs: ["en/a.jsonl"],
    });
    const texts = async (ref: string, choice: ColumnChoice = {}) => {
      const set = await TextSet.open(ref, choice, () => Promise.resolve(hub()));
      await Array.fromAsync(set.pools({ documents: 9, seed: null }));
      return set.sample.map(({ text }) => text);
    };
    assertEquals(await texts("hf:datasets/acme/lines"), ["eins", "one"]);
    const asked = server.asked("/resolve/").length;
    assertEquals(await texts("hf:datasets/acme/lines/en"), ["one"]);
    assertEquals(await texts("hf:datasets/acme/lines/de/a.jsonl"), ["eins"]);
    assertEquals(server.asked("/resolve/").length, asked, "they are in the cache");

    await assertRejects(() => texts("hf:datasets/acme/lines/fr"), TextError, '"fr"');
    await assertRejects(() => texts("hf:datasets/acme/none"), HubError);
    const column = () => texts("hf:datasets/acme/lines/en", { column: "body" });
    await assertRejects(column, TextError, 'line 1 of "en/a.jsonl" has no column "body"');
  });
});
