import { assertEquals, assertRejects } from "@std/assert";
import { HubError, ModelError } from "../../engine/errors.ts";
import { type HubBench, withHub } from "../../tests/hub_server.ts";
import { type ModelSource, resolveSource } from "../source.ts";
import { parseHubRef } from "./ref.ts";

const FIXTURE = `${import.meta.dirname}/../../tests/fixtures/llama3_tied`;
const NAMES = ["config.json", "model.safetensors"];

/** Publishes the files of a folder that a model needs, with its weights in the storage for large files. */
async function publish({ server }: HubBench, key: string, folder = FIXTURE, names = NAMES) {
  const entries = names.map(async (name) => [name, await Deno.readFile(`${folder}/${name}`)]);
  const files = Object.fromEntries(await Promise.all(entries));
  return server.publish(key, { files, lfs: names.filter((name) => name.endsWith("safetensors")) });
}

/** All bytes of a model, by way of its source. */
async function readAll(source: ModelSource): Promise<unknown> {
  const weights = await source.open("model.safetensors");
  try {
    return [await source.readJson("config.json"), await weights.read(0, weights.size)];
  } finally {
    weights.close?.();
  }
}

Deno.test("a model of the Hub has the same files as its folder", () =>
  withHub(async (bench) => {
    const commit = await publish(bench, "models/o/tiny");
    const folder = await resolveSource(FIXTURE);
    const source = await resolveSource("hf:o/tiny", bench.options());
    const { ref, name, kind, revision } = source;
    assertEquals([ref, name, kind, revision], ["hf:o/tiny", "tiny", "model", commit]);
    assertEquals(await source.has("model.safetensors"), true);
    assertEquals(await source.has("generation_config.json"), false);
    assertEquals(bench.server.asked("cdn/"), [], "nothing is fetched before it is opened");
    assertEquals(await readAll(source), await readAll(folder));
    assertEquals(await source.sha256(), await folder.sha256());

    bench.server.seen.length = 0;
    const offline = await resolveSource("hf:o/tiny", { ...bench.options(), offline: true });
    assertEquals(await readAll(offline), await readAll(folder));
    assertEquals(await offline.sha256(), await folder.sha256());
    assertEquals([offline.revision, bench.server.seen], [commit, []]);
  }));

Deno.test("weights that were verified when they came are not read again for their hash", () =>
  withHub(async (bench) => {
    await publish(bench, "models/o/tiny");
    const source = await resolveSource("hf:o/tiny", bench.options());
    await readAll(source);
    const listed = bench.hub().files(parseHubRef("hf:o/tiny").repo);
    const weights = (await listed).find(({ path }) => path === "model.safetensors")!;
    await Deno.remove(`${bench.cache}/models--o--tiny/blobs/${weights.sha256}`);
    assertEquals((await source.sha256())["model.safetensors"], weights.sha256);
  }));

Deno.test("an adapter is told by its config, and a revision by its name", () =>
  withHub(async (bench) => {
    const names = ["adapter_config.json", "adapter_model.safetensors"];
    const commit = await publish(bench, "models/adapter", `${FIXTURE}/lora`, names);
    const source = await resolveSource(`hf:adapter@${commit}`, bench.options());
    assertEquals([source.kind, source.name, source.revision], ["adapter", "adapter", commit]);
    assertEquals(bench.server.asked("/revision/"), []);
  }));

Deno.test("what is no model is refused, with where was looked", () =>
  withHub(async (bench) => {
    const commit = bench.server.publish("models/o/n", { files: { "config.txt": "{}" } });
    const refuse = (ref: string, kind: typeof ModelError | typeof HubError, message: string) =>
      assertRejects(() => resolveSource(ref, bench.options()), kind, message);
    await refuse(
      "hf:o/n",
      ModelError,
      `Cannot load model "hf:o/n": the repository has no config.json and no adapter_config.json (commit ${commit})`,
    );
    await refuse("hf:datasets/o/n", HubError, "it is a dataset");
    await refuse("hf:o/n/m", HubError, "expected hf:owner/name[@revision]");
    await refuse("hf:../n", HubError, "expected hf:owner/name[@revision]");
  }));

Deno.test("files are named plainly, and missing ones by the Hub's reason", () =>
  withHub(async (bench) => {
    const commit = await publish(bench, "models/o/tiny");
    const source = await resolveSource("hf:o/tiny", bench.options());
    for (const file of ["../x", "a/b", ""]) {
      await assertRejects(() => source.open(file), ModelError, "plain name");
    }
    await assertRejects(() => source.readJson("none.json"), HubError, "has no such file");
    assertEquals(
      source.lacking("x").message,
      `Cannot load model "hf:o/tiny": the repository has no x (commit ${commit})`,
    );
    await source.readJson("config.json");
    const offline = await resolveSource("hf:o/tiny", { ...bench.options(), offline: true });
    assertEquals(offline.lacking("x").message.includes("the cache has no x"), true);
  }));
