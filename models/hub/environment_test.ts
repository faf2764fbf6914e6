import { assertEquals, assertThrows } from "@std/assert";
import { HubError } from "../../engine/errors.ts";
import { readEnvironment } from "./environment.ts";

const read = (variables: Record<string, string>) => readEnvironment((name) => variables[name]);

Deno.test("the cache is where Python's library has it", () => {
  const home = { HOME: "/h" };
  assertEquals(read(home).cache, "/h/.cache/huggingface/hub");
  assertEquals(read({ ...home, XDG_CACHE_HOME: "/x" }).cache, "/x/huggingface/hub");
  assertEquals(read({ ...home, XDG_CACHE_HOME: "/x", HF_HOME: "/f" }).cache, "/f/hub");
  assertEquals(read({ ...home, HF_HOME: "~/f" }).cache, "/h/f/hub");
  assertEquals(read({ ...home, HF_HOME: "/f", HF_HUB_CACHE: "/c" }).cache, "/c");
  assertEquals(read({ ...home, HF_HUB_CACHE: "$HOME/${HOME}/c$NONE" }).cache, "/h//h/c$NONE");
  assertEquals(read({ ...home, HF_HOME: "", HF_HUB_CACHE: "" }).cache, "/h/.cache/huggingface/hub");
});

Deno.test("the endpoint is the Hub's unless another is named", () => {
  assertEquals(read({}).endpoint, "https://huggingface.co");
  assertEquals(
    read({ HF_ENDPOINT: "http://localhost:8080/hf/" }).endpoint,
    "http://localhost:8080/hf",
  );
  for (const url of ["huggingface.co", "ftp://x", "https://me:secret@x", "https://x?a=b"]) {
    const error = assertThrows(() => read({ HF_ENDPOINT: url }), HubError, "HF_ENDPOINT");
    assertEquals(error.message.includes("secret"), false);
  }
});

Deno.test("offline is what Python takes for true", () => {
  for (const yes of ["1", "ON", "yes", "True"]) {
    assertEquals(read({ HF_HUB_OFFLINE: yes }).offline, true);
  }
  for (const no of ["", "0", "false", "11"]) {
    assertEquals(read({ HF_HUB_OFFLINE: no }).offline, false);
  }
});

Deno.test("the token is HF_TOKEN's, or that of the file that Python's login writes", async () => {
  const home = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${home}/token`, "hf_file\n");
    assertEquals(read({ HF_HOME: home }).token, "hf_file");
    assertEquals(read({ HF_HOME: home, HF_TOKEN: " hf_env\n" }).token, "hf_env");
    assertEquals(read({ HF_HOME: home, HF_TOKEN: "" }).token, "hf_file");
    assertEquals(read({ HF_HOME: home, HF_TOKEN_PATH: `${home}/none` }).token, undefined);
    assertEquals(read({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token, undefined);
    const error = assertThrows(
      () => read({ HF_HOME: home, HF_TOKEN: "hf_a\nsecret" }),
      HubError,
      "HF_TOKEN",
    );
    assertEquals(error.message.includes("secret"), false);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
