import { assertEquals, assertThrows } from "@std/assert";
import { TextError } from "../engine/errors.ts";
import { chooseDatasetFiles } from "./dataset_files.ts";

const choose = (paths: string[], path?: string) =>
  chooseDatasetFiles(paths.map((path) => ({ path })), path, '"hf:datasets/a/b"')
    .map((file) => file.path);

Deno.test("without a path the training split is read", () => {
  const files = ["README.md", "data/test-00000.parquet", "data/train-00001.parquet"];
  assertEquals(choose([...files, "data/train-00000.parquet"]), [
    "data/train-00000.parquet",
    "data/train-00001.parquet",
  ]);
  assertEquals(choose(["test.jsonl", "train.jsonl", "validation.jsonl"]), ["train.jsonl"]);
  assertEquals(choose(["default/train/0000.parquet", "default/test/0000.parquet"]), [
    "default/train/0000.parquet",
  ]);
  // Not every word with "train" in it is about the split.
  assertEquals(choose(["trains.jsonl", "constraint.jsonl"]), ["constraint.jsonl", "trains.jsonl"]);
});

Deno.test("where no name tells of training, other splits are left out, and data/ goes first", () => {
  assertEquals(choose(["a.jsonl", "test.jsonl"]), ["a.jsonl"]);
  assertEquals(choose(["data/x.parquet", "raw/x.parquet"]), ["data/x.parquet"]);
  assertEquals(choose(["test.jsonl"]), ["test.jsonl"], "better than nothing");
});

Deno.test("of several formats the one that reads best is taken, and what tells of the dataset is none", () => {
  assertEquals(choose(["a.txt", "a.json", "a.jsonl", "a.parquet"]), ["a.parquet"]);
  assertEquals(choose(["a.txt", "a.json", "b.jsonl.gz"]), ["b.jsonl.gz"]);
  const about = ["dataset_infos.json", ".cache/x.parquet", "README.md", "LICENSE.txt"];
  assertEquals(choose(["texts.json", ...about]), ["texts.json"]);
});

Deno.test("a path is a file, or a folder with the same rules", () => {
  const files = ["sample/10BT/001.parquet", "sample/10BT/000.parquet", "sample/10BTx/0.parquet"];
  assertEquals(choose(files, "sample/10BT"), [files[1], files[0]]);
  assertEquals(choose(files, "sample/10BT/"), [files[1], files[0]]);
  assertEquals(choose([...files, "test.txt"], "test.txt"), ["test.txt"]);
  // The folder's own name says nothing of the files in it.
  assertEquals(choose(["train/a/test.jsonl", "train/a/b.jsonl"], "train"), ["train/a/b.jsonl"]);
});

Deno.test("a dataset without texts says what it has", () => {
  const refused = (paths: string[], path: string | undefined, message: string) =>
    assertThrows(() => choose(paths, path), TextError, message);
  refused(["README.md", "x.csv"], undefined, '(it has: "README.md", "x.csv")');
  refused([], undefined, "it has: no files");
  refused(["data/a.jsonl", "x.txt"], "date", 'no file or folder "date" (it has: "data", "x.txt")');
  refused(["data/a.csv"], "data/a.csv", 'the format of "data/a.csv" is not known');
  refused(["data/a.csv"], "data", '"data" has no .parquet');
});
