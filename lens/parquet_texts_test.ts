import { assertEquals, assertThrows } from "@std/assert";
import { TextError } from "../engine/errors.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { findTextColumn, openParquet, readRowGroup } from "./parquet_texts.ts";
import type { ColumnChoice } from "./text_record.ts";

const FIXTURES = new URL("../tests/fixtures/parquet/", import.meta.url);

const open = async (name: string) =>
  await openParquet(
    memorySource(name, await Deno.readFile(new URL(`${name}.parquet`, FIXTURES))),
  );

async function read(name: string, choice: ColumnChoice = {}) {
  const file = await open(name);
  return await readRowGroup(file, 0, findTextColumn(file, choice));
}

Deno.test("texts are taken from the column text, a null as an empty one", async () => {
  const texts = await read("text_zstd");
  assertEquals(texts.slice(0, 3), [{ text: "one" }, { text: "" }, { text: "" }]);
  assertEquals(await read("text_zstd", { column: "text" }), texts);
});

for (const name of ["chats", "chats_pages", "conversations"]) {
  Deno.test(`chats come with their roles and without their other fields: ${name}`, async () => {
    const texts = await read(name);
    assertEquals(texts.length, 15);
    assertEquals(texts[11], {
      text: "question 11\nanswer 11, and so on ",
      messages: [
        { role: "user", content: "question 11" },
        { role: "assistant", content: "answer 11, and so on " },
      ],
    });
    assertEquals(texts[12], { text: "", messages: [] });
    assertEquals(texts[13].text, "");
    assertEquals(texts[14].messages, [{ role: "system", content: "" }]);
    assertEquals(await read(name, { chat: true }), texts);
  });
}

Deno.test("a field of a struct is a column", async () => {
  const texts = await read("nested", { column: "meta.body" });
  assertEquals(texts.map(({ text }) => text), ["body 0", "body 1", "body 2", "body 3", "", ""]);
});

Deno.test("a column that is not there, or holds something else, is a TextError", async () => {
  const refused = async (name: string, choice: ColumnChoice, message: string) => {
    const file = await open(name);
    assertThrows(() => findTextColumn(file, choice), TextError, message);
  };
  await refused("nested", {}, 'no column "text" or "messages"');
  await refused("nested", {}, '(its columns: "meta", "n")');
  await refused("nested", { column: "meta.title" }, 'no column "meta.title"');
  await refused("nested", { column: "meta" }, 'in column "meta" neither texts nor lists');
  await refused("nested", { column: "meta.tags" }, "neither texts nor lists");
  await refused("text_zstd", { chat: true }, 'no column "messages" or "conversations"');
});
