/** The engine goes by Web APIs alone, so that it can run in a browser. */

import { assert, assertEquals } from "@std/assert";

const ENGINE = new URL("../engine/", import.meta.url);

function* sources(folder: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield new URL(name, folder);
  }
}

Deno.test("nothing in engine/ names what only Deno or Node have", () => {
  const files = [...sources(ENGINE)];
  assert(files.length > 100);
  const naming = files.filter((file) =>
    /\bDeno\.|["']node:|\bprocess\./.test(Deno.readTextFileSync(file))
  );
  assertEquals(naming.map(({ pathname }) => pathname), []);
});
