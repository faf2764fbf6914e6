/** Which files of a dataset repository hold its texts, by the conventions of the Hub. */

import { TextError } from "../engine/errors.ts";
import { formatOf, type TextFormat } from "./texts.ts";

/** A file of a repository. */
export interface ListedFile {
  path: string;
}

/** The best first: Parquet can be read in parts, and a text of its own has no columns. */
const PREFERENCE: TextFormat[] = ["parquet", "jsonl", "json", "txt"];

/** Files that say something of a dataset and are not part of it. */
const ABOUT =
  /^(readme|license|requirements)\b|^(dataset_infos?|dataset_dict|state|config|metadata|infos)\.json$/i;

const TRAIN = /(^|[^a-z])train(ing)?([^a-z]|$)/i;
const OTHER_SPLIT = /(^|[^a-z])(test|testing|valid|validation|val|dev|eval|evaluation)([^a-z]|$)/i;

/**
 * The files to read, in the order of their names: the named file; or of a folder (the whole repository, where no path is
 * given) those of the training split, if names tell, else those of no other split; of the formats there are, the one that reads best.
 *
 * @param where names the dataset in messages
 * @throws {TextError} if there are none
 */
export function chooseDatasetFiles<F extends ListedFile>(
  files: readonly F[],
  path: string | undefined,
  where: string,
): F[] {
  const named = files.find((file) => file.path === path);
  if (named) {
    if (formatOf(named.path)) return [named];
    throw new TextError(
      `Cannot read texts from ${where}: the format of "${named.path}" is not known ` +
        "(supported: .parquet, .jsonl, .json, .txt, the last three also with .gz)",
    );
  }
  const folder = path === undefined ? "" : `${path.replace(/\/+$/, "")}/`;
  const inside = files.filter((file) => file.path.startsWith(folder));
  if (inside.length === 0) {
    throw new TextError(
      `Cannot read texts from ${where}: it has no file or folder "${path}" (it has: ${
        topLevel(files)
      })`,
    );
  }
  const usable = inside.filter((file) => isData(file.path.slice(folder.length)));
  const below = (file: F) => file.path.slice(folder.length);
  const train = usable.filter((file) => TRAIN.test(below(file)));
  const noOther = usable.filter((file) => !OTHER_SPLIT.test(below(file)));
  const inData = noOther.filter((file) => below(file).startsWith("data/"));
  const split = [train, inData, noOther, usable].find((some) => some.length > 0) ?? [];
  for (const format of PREFERENCE) {
    const chosen = split.filter((file) => formatOf(file.path)?.format === format);
    if (chosen.length > 0) return chosen.sort((a, b) => a.path < b.path ? -1 : 1);
  }
  throw new TextError(
    `Cannot read texts from ${where}: ${
      folder === "" ? "it" : `"${path}"`
    } has no .parquet, .jsonl, .json or .txt file ` +
      `(it has: ${topLevel(inside)})`,
  );
}

function isData(path: string): boolean {
  const parts = path.split("/");
  return formatOf(path) !== undefined && !parts.some((part) => part.startsWith(".")) &&
    !ABOUT.test(parts[parts.length - 1]);
}

/** What stands at the top of a repository, for a message. */
function topLevel(files: readonly ListedFile[]): string {
  const names = new Set(files.map(({ path }) => path.split("/")[0]));
  const shown = [...names].sort().slice(0, 12).map((name) => `"${name}"`);
  return (shown.join(", ") || "no files") + (names.size > shown.length ? " …" : "");
}
