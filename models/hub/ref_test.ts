import { assertEquals, assertThrows } from "@std/assert";
import { HubError } from "../../engine/errors.ts";
import { formatRepo, isSafePath, parseHubRef } from "./ref.ts";

Deno.test("parseHubRef() reads ids, revisions and paths", () => {
  const cases: [ref: string, type: string, id: string, revision: string, path?: string][] = [
    ["hf:gpt2", "model", "gpt2", "main"],
    ["hf:Qwen/Qwen3-1.7B", "model", "Qwen/Qwen3-1.7B", "main"],
    ["hf:o/n@v1.0", "model", "o/n", "v1.0"],
    ["hf:o/n@refs/pr/1", "model", "o/n", "refs/pr/1"],
    ["hf:datasets/o/n", "dataset", "o/n", "main"],
    ["hf:datasets/squad@v1", "dataset", "squad", "v1"],
    ["hf:datasets/o/n@v1/data/a.parquet", "dataset", "o/n", "v1", "data/a.parquet"],
    ["hf:datasets/o/n/data/a@2x.txt", "dataset", "o/n", "main", "data/a@2x.txt"],
    ["hf:datasets/o/n@refs/convert/parquet/a.p", "dataset", "o/n", "refs/convert/parquet", "a.p"],
  ];
  for (const [ref, type, id, revision, path] of cases) {
    const parsed = parseHubRef(ref);
    assertEquals(
      parsed,
      {
        repo: { type, id, revision },
        ...(path === undefined ? {} : { path }),
      } as typeof parsed,
    );
    assertEquals(ref.startsWith(formatRepo(parsed.repo)), true, formatRepo(parsed.repo));
  }
});

Deno.test("parseHubRef() refuses what would leave the cache or is no name", () => {
  const refs = ["hf:", "gpt2", "hf:../x", "hf:a/..", "hf:a/b/c", "hf:/a", "hf:a/", "hf:a b/c"]
    .concat("hf:a--b/c", "hf:.a/b", "hf:a/b.", "hf:a/é", "hf:a\\b/c", `hf:a/${"x".repeat(97)}`)
    .concat("hf:a/b@", "hf:a/b@..", "hf:a/b@x/../../y", "hf:a/b@/x", "hf:a/b@x y", "hf:a/b@.x")
    .concat("hf:a/b@x/", "hf:datasets/", "hf:datasets/a/b@..", "hf:datasets/a/b@r/../x")
    .concat("hf:datasets/a/b/c//d", "hf:https://huggingface.co/a/b", `hf:a/b@${"x".repeat(251)}`);
  for (const ref of refs) assertThrows(() => parseHubRef(ref), HubError, "Cannot use", ref);
});

Deno.test("isSafePath() lets nothing out of a folder, on any system", () => {
  for (const path of ["config.json", "a/b/c.txt", "..a", "a..b", "ü 1", "a-b_c@d"]) {
    assertEquals(isSafePath(path), true, path);
  }
  const bad = ["", ".", "..", "../a", "a/../b", "/a", "a/", "a//b", "a\\..\\b", "C:x", "a\0", "a\n"]
    .concat("x".repeat(256), "a/".repeat(600) + "b");
  for (const path of bad) assertEquals(isSafePath(path), false, path);
});
