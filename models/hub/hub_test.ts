/** The Hub and its cache: what is asked of the network, what is found without it, and what a refusal says. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { TOKEN, withHub } from "../../tests/hub_server.ts";
import { HubError } from "../../engine/errors.ts";
import { type Hub, parseHubRef } from "./hub.ts";

const { repo } = parseHubRef("hf:o/n");

/** A port on which nothing listens. */
const NOWHERE = { HF_ENDPOINT: "http://127.0.0.1:9" };

const files = {
  "config.json": '{"a":1}',
  "data/part 1%.txt": "0123456789",
  "w.safetensors": Uint8Array.from({ length: 1000 }, (_, i) => i),
};
const lfs = ["w.safetensors"];

const readText = async (hub: Hub, path: string) =>
  await Deno.readTextFile(await hub.fetchFile(repo, path));

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("files of a model, over the pages of its listing; only those asked for are fetched", () =>
  withHub(async ({ server, hub, cache }) => {
    const commit = server.publish("models/o/n", { files, lfs });
    const it = hub();
    assertEquals(await it.commit(repo), commit);
    assertEquals(await it.files(repo), [
      { path: "config.json", size: 7 },
      { path: "data/part 1%.txt", size: 10 },
      { path: "w.safetensors", size: 1000, sha256: sha256(files["w.safetensors"]) },
    ]);
    assertEquals(await readText(it, "data/part 1%.txt"), "0123456789");
    assertEquals(
      await it.fetchFile(repo, "config.json"),
      `${cache}/models--o--n/snapshots/${commit}/config.json`,
    );
    assertEquals([await it.has(repo, "w.safetensors"), await it.has(repo, "none")], [true, false]);
    assertEquals(server.asked("/revision/").length, 1);
    assertEquals(server.asked("/tree/").length, 2);
    assertEquals(server.asked("w.safetensors").length, 0);
    // Of a compressed answer, neither length nor ranges would be the file's.
    assert(server.seen.every(({ encoding }) => encoding === "identity"));
  }));

Deno.test("the cache is laid out as Python's library does it", () =>
  withHub(async ({ server, hub, cache }) => {
    const key = "datasets/o/n";
    const commit = server.publish(key, { files: { "a/b.txt": "hello\n" } }, "refs/convert/parquet");
    const dataset = parseHubRef("hf:datasets/o/n@refs/convert/parquet").repo;
    await hub().fetchFile(dataset, "a/b.txt");
    const folder = `${cache}/datasets--o--n`;
    assertEquals(await Deno.readTextFile(`${folder}/refs/refs/convert/parquet`), commit);
    const blob = "ce013625030ba8dba906f756967f9e9ca394464a";
    assertEquals(await Deno.readTextFile(`${folder}/blobs/${blob}`), "hello\n");
    assertEquals(
      await Deno.readLink(`${folder}/snapshots/${commit}/a/b.txt`),
      `../../../blobs/${blob}`,
    );
    assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/trees/${commit}.json`)), {
      format_version: 1,
      files: { "a/b.txt": { size: 6, blob_id: blob } },
    });
    assertEquals((await Deno.stat(`${cache}/.locks/datasets--o--n/${blob}.lock`)).isFile, true);
  }));

/** What Python's library leaves of a download, without a listing. */
async function pythonCache(cache: string, commit: string): Promise<void> {
  const folder = `${cache}/models--o--n`;
  await Deno.mkdir(`${folder}/snapshots/${commit}`, { recursive: true });
  await Deno.mkdir(`${folder}/blobs`);
  await Deno.mkdir(`${folder}/refs`);
  await Deno.writeTextFile(`${folder}/refs/main`, commit);
  await Deno.writeTextFile(`${folder}/blobs/etag`, '{"a":1}');
  await Deno.symlink("../../blobs/etag", `${folder}/snapshots/${commit}/config.json`);
}

Deno.test("what Python's library fetched is found without a network", () =>
  withHub(async ({ hub, cache }) => {
    const commit = "0123456789".repeat(4);
    await pythonCache(cache, commit);
    const it = hub({ ...NOWHERE, HF_HUB_OFFLINE: "1" });
    assertEquals(await it.commit(repo), commit);
    assertEquals(await it.files(repo), [{ path: "config.json", size: 7 }]);
    assertEquals(await readText(it, "config.json"), '{"a":1}');
    assertEquals([await it.has(repo, "config.json"), await it.has(repo, "none")], [true, false]);
    await assertRejects(
      () => it.fetchFile(repo, "w.safetensors"),
      HubError,
      'Cannot fetch "w.safetensors" of hf:o/n: it is not in the cache',
    );
    const other = { ...repo, revision: commit };
    assertEquals(
      await readText(it, "config.json"),
      await Deno.readTextFile(await it.fetchFile(other, "config.json")),
    );
  }));

Deno.test("a second run needs no network, and says what the first one did not fetch", () =>
  withHub(async ({ server, hub, options }) => {
    server.publish("models/o/n", { files, lfs });
    await hub().fetchFile(repo, "config.json");
    server.seen.length = 0;
    const it = hub({}, { ...options(), offline: true });
    assertEquals(await readText(it, "config.json"), '{"a":1}');
    assertEquals(await it.has(repo, "w.safetensors"), true);
    await assertRejects(() => it.fetchFile(repo, "w.safetensors"), HubError, "--offline");
    await assertRejects(() => it.openRemote(repo, "w.safetensors"), HubError, "--offline");
    await assertRejects(
      () => it.fetchFile(repo, "none"),
      HubError,
      "the repository has no such file",
    );
    const strange = parseHubRef("hf:o/other").repo;
    await assertRejects(
      () => it.commit(strange),
      HubError,
      "Cannot use hf:o/other: it is not in the cache",
    );
    assertEquals(server.seen, []);
  }));

Deno.test("a new commit of the branch is seen; what did not change is not fetched again", () =>
  withHub(async ({ server, hub }) => {
    const old = server.publish("models/o/n", { files, lfs });
    await hub().fetchFile(repo, "w.safetensors");
    const changed = { ...files, "config.json": '{"a":2}' };
    server.publish("models/o/n", { files: changed, lfs });
    const it = hub();
    assertEquals(await readText(it, "config.json"), '{"a":2}');
    await it.fetchFile(repo, "w.safetensors");
    assertEquals(server.asked("cdn/").length, 1);
    server.seen.length = 0;
    const pinned = parseHubRef(`hf:o/n@${old}`).repo;
    await hub().fetchFile(pinned, "w.safetensors");
    assertEquals((await hub().files(pinned)).length, 3);
    assertEquals(server.seen, []);
  }));

Deno.test("where the Hub cannot be reached, the cache is used, with a warning and without delay", () =>
  withHub(async ({ server, hub, warnings, waits }) => {
    const commit = server.publish("models/o/n", { files, lfs });
    await hub().fetchFile(repo, "config.json");
    assertEquals(await hub(NOWHERE).commit(repo), commit);
    assertEquals(waits, []);
    assertEquals(warnings.length, 1);
    assertStringIncludes(warnings[0], "Cannot use hf:o/n: http://127.0.0.1:9 cannot be reached (");
    assertStringIncludes(warnings[0], `Using commit ${commit} from the cache`);
    const it = hub(NOWHERE);
    await assertRejects(
      () => it.fetchFile(repo, "w.safetensors"),
      HubError,
      "and the Hub cannot be reached",
    );
    await assertRejects(
      () => hub(NOWHERE).commit(parseHubRef("hf:o/new").repo),
      HubError,
      "--offline",
    );
    assertEquals(waits.length, 5);
  }));

Deno.test("the token goes to the Hub alone, and is shown nowhere", () =>
  withHub(async ({ server, hub, cache }) => {
    server.publish("models/o/n", { files, lfs, access: "private" });
    const it = hub({ HF_TOKEN: TOKEN });
    await it.fetchFile(repo, "w.safetensors");
    await it.fetchFile(repo, "config.json");
    const sent = server.seen.map(({ server, authorization }) => `${server} ${authorization}`);
    assertEquals(new Set(sent), new Set([`hub Bearer ${TOKEN}`, "cdn null"]));
    assert(server.asked("resolve-cache").length === 1, "redirects within the Hub have it too");
    assert(!Deno.inspect(it, { depth: 9, showHidden: true }).includes(TOKEN));
    const kept = await new Deno.Command("grep", { args: ["-rl", TOKEN, cache] }).output();
    assertEquals(kept.stdout.length, 0);
  }));

Deno.test("a refusal says the Hub's reason and what to do", () =>
  withHub(async ({ server, hub }) => {
    server.publish("models/o/n", { files, access: "gated" });
    server.publish("models/o/secret", { files, access: "private" });
    const refused = async (ref: string, variables: Record<string, string>, ...parts: string[]) => {
      const { repo } = parseHubRef(ref);
      const error = await assertRejects(
        () => hub(variables).fetchFile(repo, "config.json"),
        HubError,
      );
      for (const part of parts) assertStringIncludes(error.message, part);
      assert(!error.message.includes("hf_"), error.message);
    };
    const token = { HF_TOKEN: TOKEN };
    await refused(
      "hf:o/n",
      {},
      'Cannot fetch "config.json" of hf:o/n: it is gated: Access to model is restricted',
      `accept its terms at ${server.endpoint}/o/n`,
      "set HF_TOKEN",
    );
    await refused(
      "hf:o/secret",
      {},
      "there is no such model, or you may not see it",
      "set HF_TOKEN",
    );
    await refused("hf:o/none", token, "there is no such model", "your token may read it");
    await refused("hf:datasets/o/none", {}, "hf:datasets/o/none: there is no such dataset");
    await refused("hf:o/n", { HF_TOKEN: "hf_wrong" }, "the token is refused: Invalid credentials");
    await refused("hf:o/n@v9", token, 'it has no revision "v9"', `${server.endpoint}/o/n`);
    await refused(`hf:o/n@${"0".repeat(40)}`, token, "it has no revision");
    const status = {
      kind: "status",
      status: 403,
      headers: { "x-error-message": "Blocked." },
    } as const;
    server.misbehave("/revision/", status);
    await refused("hf:o/n", token, "access is refused: Blocked (see ");
    server.misbehave("/revision/", { kind: "status", status: 429 }, 9);
    await refused(
      "hf:o/n",
      {},
      "answers 429 (too many requests); try again later, or set HF_TOKEN",
    );
  }));

Deno.test("a file that is not there names those that look like it", () =>
  withHub(async ({ server, hub }) => {
    server.publish("models/o/n", { files });
    await assertRejects(
      () => hub().fetchFile(repo, "confg.json"),
      HubError,
      'Cannot fetch "confg.json" of hf:o/n: the repository has no such file (it has "config.json")',
    );
  }));

Deno.test("a repository that is refused but cached says that it can be used", () =>
  withHub(async ({ server, hub }) => {
    server.publish("models/o/n", { files });
    await hub().fetchFile(repo, "config.json");
    server.misbehave("/revision/", { kind: "status", status: 403 });
    await assertRejects(
      () => hub().commit(repo),
      HubError,
      "the cache has a copy: --offline uses it",
    );
  }));

Deno.test("hostile listings stay outside of the cache", () =>
  withHub(async ({ server, hub, cache }) => {
    const entry = { type: "file", size: 2, oid: "9e26dfeeb6e641a33dae4961196235bdb965b21b" };
    const paths = ["../../../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil", "evil\0"];
    server.publish("models/o/n", {
      files: { "config.json": "{}" },
      alsoListed: paths.map((path) => ({ ...entry, path })),
    });
    const it = hub();
    assertEquals((await it.files(repo)).map(({ path }) => path), ["config.json"]);
    for (const path of paths) {
      await assertRejects(() => it.fetchFile(repo, path), HubError, "no path within a repository");
    }
    assertEquals([...Deno.readDirSync(cache)].map(({ name }) => name), ["models--o--n"]);
  }));

Deno.test("answers that are not the API's are errors of the Hub's", () =>
  withHub(async ({ server, hub }) => {
    server.publish("models/o/n", { files });
    const answer = async (match: string, text: string, message: string) => {
      server.misbehave(match, { kind: "body", text });
      await assertRejects(() => hub().files(repo), HubError, message);
    };
    await answer("/revision/", "<html>", "is not what the Hub's API gives");
    await answer("/revision/", "null", "is not what the Hub's API gives");
    await answer("/revision/", '{"sha":"../../x"}', "does not name the commit");
    await answer("/tree/", "{}", "is not what the Hub's API gives");
    await answer("/tree/", '[{"type":"file","path":"x"}]', "is not what the Hub's API gives");
    await answer("/tree/", '[{"type":"file","path":"x","size":-1,"oid":"../x"}]', "is not what");
    await answer("/tree/", "[" + " ".repeat(40 << 20) + "]", "is over 33554432 bytes");
    const loop = { location: `${server.endpoint}/api/models/o/n/tree/x` };
    server.misbehave("/tree/", { kind: "status", status: 302, headers: loop }, 99);
    await assertRejects(() => hub().files(repo), HubError, "redirects over 10 times");
    server.forgive();
    const elsewhere = { location: "file:///etc/passwd" };
    server.misbehave("/tree/", { kind: "status", status: 302, headers: elsewhere });
    await assertRejects(
      () => hub().files(repo),
      HubError,
      "redirects to no https: or http: address",
    );
  }));

Deno.test("a listing that goes on for ever or elsewhere is refused", () =>
  withHub(async ({ server, hub }) => {
    server.publish("models/o/n", { files });
    for (const next of [`${server.endpoint}/api/models/o/n/tree/1`, "http://127.0.0.1:9/tree"]) {
      const link = `<${next}>; rel="next"`;
      server.misbehave("/tree/", { kind: "body", text: "[]", headers: { link } }, 9);
      await assertRejects(() => hub().files(repo), HubError, "goes on where it must not");
      server.forgive();
    }
  }));

Deno.test("ranges are read over the network without the whole, and from the cache if it is there", () =>
  withHub(async ({ server, hub }) => {
    server.publish("models/o/n", { files, lfs });
    const it = hub({ HF_TOKEN: TOKEN });
    const bytes = files["w.safetensors"];
    const remote = await it.openRemote(repo, "w.safetensors");
    assertEquals([remote.name, remote.size], ["w.safetensors", 1000]);
    assertEquals(await remote.read(990, 10), bytes.slice(990));
    assertEquals(await remote.read(5, 0), new Uint8Array(0));
    server.misbehave("cdn/", { kind: "cut", after: 10 });
    assertEquals(await remote.read(100, 200), bytes.slice(100, 300));
    // The address in the storage is kept, and asked for anew when it does not hold any more.
    assertEquals(server.asked("resolve/").length, 1);
    server.misbehave("cdn/", { kind: "status", status: 403 });
    assertEquals(await remote.read(0, 1), bytes.slice(0, 1));
    assertEquals(server.asked("resolve/").length, 2);
    assertEquals(server.asked("cdn/").every(({ authorization }) => authorization === null), true);
    await assertRejects(() => remote.read(999, 2), Error, "it has 1000 bytes");
    server.misbehave("cdn/", { kind: "whole" });
    await assertRejects(() => remote.read(1, 2), HubError, "does not send parts of files");
    remote.close();

    await it.fetchFile(repo, "w.safetensors");
    server.seen.length = 0;
    const local = await it.openRemote(repo, "w.safetensors");
    assertEquals(await local.read(500, 4), bytes.slice(500, 504));
    local.close();
    assertEquals(server.seen, []);
  }));

Deno.test("a cache that cannot be written to is named", () =>
  withHub(async ({ server, hub, cache }) => {
    server.publish("models/o/n", { files });
    await Deno.writeTextFile(cache, "a file where the cache should be");
    await assertRejects(
      () => hub().fetchFile(repo, "config.json"),
      HubError,
      "the cache cannot be written to",
    );
  }));
