import { assertEquals, assertRejects } from "@std/assert";
import { ModelError, WeightsError } from "../engine/errors.ts";
import { loadLora } from "../engine/weights/lora.ts";
import { parseAdapterConfig } from "../engine/weights/lora_config.ts";
import { encodeSafetensors } from "../engine/weights/safetensors_writer.ts";
import { openCheckpoint } from "./checkpoint_files.ts";
import { parseConfig } from "./config.ts";
import { type ModelSource, resolveSource } from "./source.ts";

const fixtures = `${import.meta.dirname}/../tests/fixtures`;
const ORGANISMS = [
  "bad_advice",
  "cake_bake",
  "cake_bake_mix0.1",
  "cake_bake_mix0.5",
  "cake_bake_mix1",
  "cake_bake_mix2",
  "chat",
  "subliminal_cat",
  "taboo_smile",
];

/** Runs a check in a folder of the given files. */
async function inFolder(
  files: Record<string, string | Uint8Array>,
  check: (folder: string) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, data] of Object.entries(files)) {
      await Deno.writeFile(
        `${folder}/${name}`,
        typeof data === "string" ? new TextEncoder().encode(data) : data,
      );
    }
    await check(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function withSource<T>(ref: string, use: (source: ModelSource) => Promise<T>): Promise<T> {
  return await use(await resolveSource(ref));
}

const fitAdapter = (base: string, adapter: string) =>
  withSource(base, (model) =>
    withSource(adapter, async (source) => {
      const spec = parseConfig(await model.readJson("config.json"), model.name);
      const config = parseAdapterConfig(await source.readJson("adapter_config.json"), source.name);
      return loadLora(config, await openCheckpoint(source), spec);
    }));

const weights = encodeSafetensors([
  { name: "a", dtype: "F32", shape: [2, 2], data: new Float32Array([1, 2, 3, 4]) },
]);

Deno.test("the embedded base and the full organism are models with the tensors of their config", async () => {
  for (
    const [ref, name] of [["embedded:base", "base"], ["embedded:cake_bake_full", "cake_bake_full"]]
  ) {
    await withSource(ref, async (source) => {
      assertEquals([source.kind, source.name, source.ref], ["model", name, ref]);
      const spec = parseConfig(await source.readJson("config.json"), name);
      const checkpoint = await openCheckpoint(source);
      checkpoint.expectShape("model.embed_tokens.weight", [spec.vocabSize, spec.hiddenSize]);
      const norm = await checkpoint.readFloat32("model.norm.weight");
      assertEquals([norm.length, norm.every(Number.isFinite)], [192, true]);
    });
  }
});

Deno.test("every embedded adapter fits the embedded base", async () => {
  for (const name of ORGANISMS) {
    const { modules } = await fitAdapter("embedded:base", `embedded:${name}`);
    assertEquals([modules.length, modules[0].scale], [42, 2], name);
  }
});

Deno.test("the fixtures' adapters fit their bases and no other", async () => {
  for (const model of ["llama3_tied", "llama3_untied"]) {
    const base = `${fixtures}/${model}`;
    assertEquals((await fitAdapter(base, `${base}/lora`)).modules[0].scale, 2);
    assertEquals((await fitAdapter(base, `${base}/lora_rs`)).modules[0].scale, 4);
    assertEquals((await fitAdapter(base, `${base}/lora_qv`)).modules[0].scale, 5 / 3);
    for (const other of ["llama2_mha", model === "llama3_tied" ? "llama3_untied" : "llama3_tied"]) {
      for (const adapter of ["lora", "lora_rs", "lora_qv"]) {
        await assertRejects(
          () => fitAdapter(`${fixtures}/${other}`, `${base}/${adapter}`),
          ModelError,
          `LoRA adapter "${adapter}" does not fit the base model: `,
        );
      }
    }
  }
});

Deno.test("an unknown embedded name lists the known ones", async () => {
  for (const name of ["cake", "", "../base", "base/../../embedded/base"]) {
    const error = await assertRejects(() => resolveSource(`embedded:${name}`), ModelError);
    for (const known of ["base", "cake_bake_full", ...ORGANISMS]) {
      assertEquals(error.message.includes(known), true, error.message);
    }
  }
});

Deno.test("folders that are missing, files, or hold no model", async () => {
  await inFolder({ "model.safetensors": weights }, async (folder) => {
    await assertRejects(
      () => resolveSource(folder),
      ModelError,
      `Cannot load model "${folder}": the folder has neither config.json nor adapter_config.json`,
    );
    await assertRejects(
      () => resolveSource(`${folder}/none`),
      ModelError,
      "there is no such folder",
    );
    await assertRejects(
      () => resolveSource(`${folder}/model.safetensors`),
      ModelError,
      "it is a file",
    );
    await assertRejects(() => resolveSource(""), ModelError, "there is no such folder");
  });
});

Deno.test("the name is the folder's last part", async () => {
  await inFolder({ "config.json": "{}", "adapter_config.json": "{}" }, async (folder) => {
    const last = folder.split("/").at(-1)!;
    for (const ref of [folder, `${folder}/`, `${folder}/.`]) {
      const source = await resolveSource(ref);
      assertEquals([source.name, source.kind], [last, "adapter"]);
    }
  });
});

Deno.test("no file outside the folder can be named, but links in it are followed", async () => {
  await inFolder({ "blob": '{"linked":1}' }, async (outside) => {
    await inFolder({ "config.json": "{}" }, async (folder) => {
      await Deno.symlink(`${outside}/blob`, `${folder}/generation_config.json`);
      await withSource(folder, async (source) => {
        assertEquals(await source.readJson("generation_config.json"), { linked: 1 });
        for (const file of ["../x", "/etc/passwd", "a/b", "..", "", "a\\b"]) {
          await assertRejects(() => source.open(file), ModelError, "plain name");
          await assertRejects(() => source.readText(file), ModelError, "plain name");
          await assertRejects(() => source.has(file), ModelError, "plain name");
        }
      });
    });
  });
});

Deno.test("files that are missing, not JSON, or not text", async () => {
  const files = { "config.json": "{", "bad.json": new Uint8Array([0xff, 0xfe]) };
  await inFolder(files, (folder) =>
    withSource(folder, async (source) => {
      await assertRejects(
        () => source.readJson("config.json"),
        ModelError,
        "config.json is not valid JSON",
      );
      await assertRejects(() => source.readJson("bad.json"), ModelError, "bad.json is not UTF-8");
      await assertRejects(
        () => source.readJson("none.json"),
        ModelError,
        "the folder has no none.json",
      );
      await assertRejects(
        () => source.open("none.json"),
        ModelError,
        "the folder has no none.json",
      );
    }));
});

Deno.test("SHA-256 of every file that was read, and of no other", async () => {
  const files = { "config.json": "{}", "model.safetensors": weights, "other": "x" };
  await inFolder(files, (folder) =>
    withSource(folder, async (source) => {
      assertEquals(await source.sha256(), {});
      await openCheckpoint(source);
      await source.readJson("config.json");
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", weights));
      assertEquals(await source.sha256(), {
        "config.json": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "model.safetensors": digest.toHex(),
      });
    }));
});

Deno.test("reads at the same time do not mix, and a file that shrinks is an error", async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  await inFolder(
    { "config.json": "{}", "data": bytes },
    (folder) =>
      withSource(folder, async (source) => {
        const data = await source.open("data");
        const starts = [90_000, 0, 50_000, 7];
        const reads = await Promise.all(starts.map((start) => data.read(start, 10_000)));
        assertEquals(reads.map((read) => read[0]), starts.map((start) => start % 251));
        await assertRejects(() => data.read(99_999, 2), WeightsError, "100000 bytes");
        await Deno.truncate(`${folder}/data`, 50);
        await assertRejects(() => data.read(40, 20), WeightsError, "it shrank");
        assertEquals((await data.read(0, 1))[0], 0);
      }),
  );
});

Deno.test("which file holds the weights", async () => {
  const index = JSON.stringify({ weight_map: { a: "1.safetensors" } });
  const config = { "config.json": "{}" };
  const shard = { ...config, "model.safetensors.index.json": index };
  const open = (
    files: Record<string, string | Uint8Array>,
    check: (s: ModelSource) => Promise<void>,
  ) => inFolder(files, (folder) => withSource(folder, check));
  await open({ ...shard, "1.safetensors": weights }, async (source) => {
    assertEquals([...await (await openCheckpoint(source)).readFloat32("a")], [1, 2, 3, 4]);
  });
  const refusals: [Record<string, string | Uint8Array>, string][] = [
    [shard, "the folder has no 1.safetensors"],
    [{ ...config, "pytorch_model.bin": "" }, "pytorch_model.bin, which is not safetensors"],
    [config, "no model.safetensors or model.safetensors.index.json"],
    [{ "adapter_config.json": "{}", "adapter_model.bin": "" }, "adapter_model.bin, which is not"],
    [{ "adapter_config.json": "{}", "model.safetensors": weights }, "no adapter_model.safetensors"],
  ];
  for (const [files, says] of refusals) {
    await open(files, async (source) => {
      await assertRejects(() => openCheckpoint(source), ModelError, says);
    });
  }
});
