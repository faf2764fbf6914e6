import { assert, assertEquals, assertRejects } from "@std/assert";
import { parquetMetadata } from "hyparquet";
import { TextError } from "../../engine/errors.ts";
import { type ByteSource, memorySource } from "../../engine/weights/byte_source.ts";
import { ParquetFile } from "./parquet_file.ts";

// Made by make_fixtures.py beside them.
const FIXTURES = new URL("../../tests/fixtures/parquet/", import.meta.url);
const fixture = (name: string) => Deno.readFileSync(new URL(`${name}.parquet`, FIXTURES));

const open = (name: string, bytes = fixture(name)) => ParquetFile.open(memorySource(name, bytes));

/** Every row group of one column. */
async function readAll(file: ParquetFile, column: string): Promise<unknown[]> {
  const node = file.schema.children.find(({ element }) => element.name === column);
  if (!node) throw new TextError(`no column ${column}`);
  const rows = [];
  for (const i of file.rowGroups.keys()) rows.push(...await file.read(i, node));
  return rows;
}

const SIX = ["one", null, "", "é 漢字 🎂", "a longer text, with\nlines", "one"];

for (const kind of ["none", "snappy", "gzip", "brotli", "zstd", "lz4", "v2", "delta_length"]) {
  Deno.test(`a column of texts comes out as it went in: ${kind}`, async () => {
    assertEquals(await readAll(await open(`text_${kind}`), "text"), SIX);
  });
}

Deno.test("row groups and pages are put together in their order", async () => {
  const rows = Array.from({ length: 60 }, (_, i) => `row ${i}: ${"word ".repeat(i % 7)}`);
  const groups = await open("text_groups");
  assertEquals(groups.rowGroups, [10, 10, 10, 10, 10, 10]);
  assertEquals(await groups.read(3, groups.schema.children[0]), rows.slice(30, 40));
  assertEquals(await readAll(groups, "text"), rows);
  assertEquals(await readAll(await open("text_pages"), "text"), rows);
});

/** A source that notes which bytes were read. */
function watched(name: string): { source: ByteSource; reads: [number, number][] } {
  const source = memorySource(name, fixture(name));
  const reads: [number, number][] = [];
  const read: ByteSource["read"] = (offset, length) => {
    reads.push([offset, length]);
    return source.read(offset, length);
  };
  return { source: { name, size: source.size, read }, reads };
}

Deno.test("of a column in a row group only its own bytes are read", async () => {
  const { source, reads } = watched("text_groups");
  const file = await ParquetFile.open(source);
  reads.length = 0;
  await file.read(2, file.schema.children[0]);
  const { meta_data } = parquetMetadata(fixture("text_groups")).row_groups[2].columns[0];
  const start = Number(meta_data!.dictionary_page_offset ?? meta_data!.data_page_offset);
  assertEquals(reads, [[start, Number(meta_data!.total_compressed_size)]]);
});

Deno.test("what cannot be read is named", async () => {
  const refused = (name: string, column: string, message: string) =>
    assertRejects(async () => await readAll(await open(name), column), TextError, message);
  await refused("text_zstd", "id", 'column "id" of "text_zstd" holds INT64 values, no text');
  await refused("nested", "meta", 'column "meta.length" of "nested" holds INT64');
  await refused("text_delta", "text", "values encoded as DELTA_BYTE_ARRAY (supported: PLAIN,");
});

/** A thrift field of a column's metadata, in the footer, with another value. */
function patched(name: string, from: number[], to: number[]) {
  const bytes = fixture(name);
  const at = bytes.findIndex((_, i) => from.every((value, j) => bytes[i + j] === value));
  assert(at >= 0, "no such bytes");
  bytes.set(to, at);
  return bytes;
}

Deno.test("a compression that is not supported is named", async () => {
  // path_in_schema: a list of one string "text", then the codec: gzip (2, zigzag 4) becomes LZO (3, zigzag 6).
  const path = [0x19, 0x18, 4, ...new TextEncoder().encode("text"), 0x15];
  const bytes = patched("text_gzip", [...path, 4], [...path, 6]);
  const message = 'column "text" of "x" is compressed with lzo (supported: uncompressed, snappy,';
  await assertRejects(
    async () => await readAll(await open("x", bytes), "text"),
    TextError,
    message,
  );
});

Deno.test("files that are no Parquet, cut off or encrypted, are TextErrors", async () => {
  const whole = fixture("text_snappy");
  const refused = (bytes: Uint8Array<ArrayBuffer>, message: string) =>
    assertRejects(() => open("x", bytes), TextError, message);
  await refused(new Uint8Array(0), "has 0 bytes");
  await refused(new TextEncoder().encode('{"text": "not Parquet"}'), "does not end with PAR1");
  await refused(whole.slice(0, -1), "cut off");
  await refused(whole.slice(-200), "longer than the file");
  const encrypted = whole.slice();
  encrypted.set(new TextEncoder().encode("PARE"), whole.length - 4);
  await refused(encrypted, "encrypted");
  const long = new Uint8Array(2 ** 26);
  long.set(new TextEncoder().encode("PAR1"), long.length - 4);
  new DataView(long.buffer).setUint32(long.length - 8, 2 ** 25 + 1, true);
  await refused(long, "a footer of 33554433 bytes");
  const headless = whole.slice();
  headless.fill(0xff, whole.length - 60, whole.length - 8);
  await refused(headless, "its footer cannot be read");
});

Deno.test("a damaged file is a TextError or reads as other texts, whatever its bytes are", async () => {
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor(state / 0x80000000 * below);
  };
  const names = ["text_snappy", "text_v2", "text_gzip", "text_delta_length", "conversations"];
  const files = names.map(fixture);
  const columns = names.map((name) => name === "conversations" ? name : "text");
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const bytes = files[i % files.length].slice();
    for (let j = 0; j <= i % 3; j++) bytes[random(bytes.length)] = i % 2 ? 255 : random(256);
    try {
      await readAll(await open("x", bytes), columns[i % columns.length]);
    } catch (error) {
      assert(error instanceof TextError, String(error));
      refused++;
    }
  }
  assert(refused > 100, `${refused}`);
});
