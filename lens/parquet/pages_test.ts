import { assertEquals, assertThrows } from "@std/assert";
import { DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { type ColumnDecoder, readPages } from "./pages.ts";

const element = { name: "text", type: "BYTE_ARRAY", repetition_type: "REQUIRED" } as const;
const column = { element, children: [], count: 1, path: ["text"] };
const root = { element: { name: "schema" }, children: [column], count: 2, path: [] };

const decoder = (codec: ColumnDecoder["codec"]): ColumnDecoder => ({
  pathInSchema: ["text"],
  type: "BYTE_ARRAY",
  element,
  schemaPath: [root, column],
  codec,
  parsers: DEFAULT_PARSERS,
});

/** A thrift i32 after its field's byte. */
function int(value: number): number[] {
  const bytes = [];
  let left = 2 * value;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push(left % 128 + 128);
  return [0x15, ...bytes, left];
}

/** A data page of plain values: header, then body. */
function page(body: Uint8Array, { values = 1, size = body.length } = {}): Uint8Array {
  const own = [0x2c, ...int(values), ...int(0), ...int(3), ...int(3), 0];
  return Uint8Array.from([...int(0), ...int(size), ...int(body.length), ...own, 0, ...body]);
}

/** "ab" after its length. */
const AB = Uint8Array.of(2, 0, 0, 0, 97, 98);

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("readPages() reads page after page", async () => {
  const twice = new Uint8Array([...page(AB), ...page(AB)]);
  assertEquals(readPages(twice, decoder("UNCOMPRESSED")), ["ab", "ab"]);
  const packed = page(await gzip(AB), { size: AB.length });
  assertEquals(readPages(packed, decoder("GZIP")), ["ab"]);
  assertEquals(readPages(page(AB, { values: 0 }), decoder("UNCOMPRESSED")), []);
});

Deno.test("readPages() believes no header that asks for too much", () => {
  const refused = (bytes: Uint8Array, message: string, codec: ColumnDecoder["codec"] = "GZIP") =>
    assertThrows(() => readPages(bytes, decoder(codec)), Error, message);
  refused(page(AB, { values: 2 ** 24 + 1 }), "over 16777216 values", "UNCOMPRESSED");
  refused(page(AB, { size: 2 ** 30 + 1 }), "pages of over 1073741824 bytes");
  refused(page(AB).slice(0, -1), "a page of 6 bytes, 5 are left", "UNCOMPRESSED");
  refused(page(AB, { size: 7 }), "a page has 6 bytes, its header says 7", "UNCOMPRESSED");
});

Deno.test("readPages() unpacks no page into more than its header says", async () => {
  const bomb = await gzip(new Uint8Array(2 ** 22));
  assertThrows(() => readPages(page(bomb, { size: 4 }), decoder("GZIP")), RangeError);
  const lying = page(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0), { size: 4 });
  assertThrows(() => readPages(lying, decoder("SNAPPY")), Error, "a page has 4294967295 bytes");
});
