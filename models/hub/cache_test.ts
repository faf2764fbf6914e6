import { assertEquals } from "@std/assert";
import { RepoCache } from "./cache.ts";

const repo = { type: "model", id: "o/n", revision: "main" } as const;
const commit = "a".repeat(40);

/** A cache with one blob in it. */
async function withBlob(cache: string): Promise<RepoCache> {
  const it = new RepoCache(cache, repo);
  await Deno.mkdir(`${cache}/models--o--n/blobs`, { recursive: true });
  await Deno.writeTextFile(it.blob("etag"), "text");
  return it;
}

Deno.test("a link that leads nowhere is no file, and is replaced", async () => {
  const cache = await Deno.makeTempDir();
  try {
    const it = await withBlob(cache);
    await Deno.mkdir(it.snapshot(commit), { recursive: true });
    await Deno.symlink("../../blobs/gone", `${it.snapshot(commit)}/a`);
    assertEquals(await it.find(commit, "a"), undefined);
    assertEquals(await Deno.readTextFile(await it.link("etag", commit, "a")), "text");
    assertEquals(await it.find(commit, "a"), `${it.snapshot(commit)}/a`);
    assertEquals([...Deno.readDirSync(it.snapshot(commit))].map(({ name }) => name), ["a"]);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});

// Deno makes symbolic links only with leave to write anywhere: without it, this is a system that has none.
const LIMITED = `${import.meta.dirname}/cache_test.tmp`;

Deno.test({
  name: "where there are no symbolic links, a file is there all the same",
  permissions: { read: [LIMITED], write: [LIMITED] },
  fn: async () => {
    try {
      const it = await withBlob(LIMITED);
      const path = await it.link("etag", commit, "a/b");
      assertEquals((await Deno.lstat(path)).isSymlink, false);
      assertEquals(await Deno.readTextFile(path), "text");
    } finally {
      await Deno.remove(LIMITED, { recursive: true });
    }
  },
});

Deno.test("a kept reference or listing that is damaged counts as none", async () => {
  const cache = await Deno.makeTempDir();
  try {
    const it = new RepoCache(cache, repo);
    await it.writeRef("v1", commit);
    assertEquals([await it.readRef("v1"), await it.readRef("v2")], [commit, undefined]);
    await Deno.writeTextFile(`${cache}/models--o--n/refs/v1`, "../../etc");
    assertEquals(await it.readRef("v1"), undefined);

    const entry = { size: 3, gitOid: "b".repeat(40), sha256: "c".repeat(64) };
    await it.writeTree(commit, new Map([["w", entry]]));
    assertEquals(await it.readTree(commit), new Map([["w", entry]]));
    const file = `${cache}/models--o--n/trees/${commit}.json`;
    const pointer = { size: 130, blob_id: entry.gitOid, lfs_sha256: entry.sha256, lfs_size: 3 };
    const ofPointers = { format_version: 1, files: { w: pointer, "../x": pointer } };
    await Deno.writeTextFile(file, JSON.stringify(ofPointers));
    assertEquals(await it.readTree(commit), new Map([["w", entry]]));
    const damaged = ["{", '{"format_version":2,"files":{}}', '{"format_version":1}']
      .concat('{"format_version":1,"files":{"a":{"size":1,"blob_id":"../x"}}}');
    for (const text of damaged) {
      await Deno.writeTextFile(file, text);
      assertEquals(await it.readTree(commit), undefined, text);
    }
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
