import { assertEquals } from "@std/assert";
import { downloadProgress } from "./download_progress.ts";

/** A listener, and what it has shown. */
function record() {
  const shown: string[] = [];
  const listener = downloadProgress(({ label, total, unit, begun }) => {
    shown.push(`${label} ${begun}/${total} ${unit}`);
    return { update: (done) => shown.push(`${done}`), done: () => shown.push("done") };
  });
  return { shown, listener };
}

Deno.test("a large file is shown from where an earlier download left it, to its end", () => {
  const { shown, listener } = record();
  for (const done of [3.5e6, 9e6, 10.9e6]) listener("model.safetensors", done, 10.9e6);
  assertEquals(shown, ["Downloading model.safetensors 3/10 MB", "3", "9", "10", "done"]);
});

Deno.test("small files are not shown, nor files that need no download", () => {
  const { shown, listener } = record();
  for (const done of [0, 1e6, 1.9e6]) listener("config.json", done, 1.9e6);
  listener("model.safetensors", 5e6, 5e6);
  assertEquals(shown, []);
});

Deno.test("of two files at once, the second is shown after the first", () => {
  const { shown, listener } = record();
  listener("a", 0, 4e6);
  listener("b", 0, 8e6);
  listener("b", 3e6, 8e6);
  listener("a", 4e6, 4e6);
  listener("b", 6e6, 8e6);
  listener("b", 8e6, 8e6);
  assertEquals(shown, [
    ...["Downloading a 0/4 MB", "0", "4", "done"],
    ...["Downloading b 6/8 MB", "6", "8", "done"],
  ]);
});

Deno.test("names out of a listing neither reach the terminal raw nor the bar's format", () => {
  const { shown, listener } = record();
  listener("\x1b[2J{bar}", 0, 4e6);
  assertEquals(shown[0], "Downloading \\x1b[2J?bar? 0/4 MB");
});
