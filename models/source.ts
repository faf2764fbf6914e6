/**
 * Where models come from: a folder in Hugging Face's or PEFT's layout, a repository of the Hub, or one of those that ship with
 * the program.
 */

import type { ModelError } from "../engine/errors.ts";
import type { ByteSource } from "../engine/weights/byte_source.ts";
import { EMBEDDED, embeddedFolder } from "./embedded.ts";
import { cannotLoad, FolderSource } from "./folder_source.ts";
import type { HubOptions } from "./hub/hub.ts";
import { HUB_PREFIX } from "./hub/ref.ts";

/** How {@link resolveSource} goes about the Hub. */
export type SourceOptions = HubOptions;

/** The files of a model or an adapter. */
export interface ModelSource {
  /** What the user called it: `embedded:base`, `hf:owner/name`, or a path. */
  readonly ref: string;
  /** Short name, for messages and tables. */
  readonly name: string;
  /** The commit of a repository of the Hub. */
  readonly revision?: string;
  /** An adapter has an `adapter_config.json`. */
  readonly kind: "model" | "adapter";
  /** Whether there is a file of that name. */
  has(file: string): Promise<boolean>;
  /** A text file. Throws a {@link ModelError} if it is missing, too large or not UTF-8; a HubError if it cannot be fetched. */
  readText(file: string): Promise<string>;
  /** A parsed JSON file. Throws a {@link ModelError} as `readText`, or if it is not JSON. */
  readJson(file: string): Promise<unknown>;
  /** Opens a file for ranged reads; whoever does so closes it. Throws as `readText` if it is missing. */
  open(file: string): Promise<ByteSource>;
  /** SHA-256 in hex of every file that was opened or read so far, by name in order. */
  sha256(): Promise<Record<string, string>>;
  /** The error for files that a model or an adapter needs and this one does not have; says where was looked. */
  lacking(files: string): ModelError;
}

/**
 * Finds a model or an adapter.
 *
 * @param ref `embedded:NAME`, `hf:owner/name[@revision]`, or the path of a folder
 * @throws {ModelError} if there is no such embedded model or folder, or it holds neither a model nor an adapter
 * @throws {HubError} if the Hub cannot be reached or refuses, and the cache does not have it
 */
export async function resolveSource(
  ref: string,
  options: SourceOptions = {},
): Promise<ModelSource> {
  if (ref.startsWith(HUB_PREFIX)) {
    // The Hub's library is loaded only by those who use it.
    const { resolveHubSource } = await import("./hub/hub_source.ts");
    return await resolveHubSource(ref, options);
  }
  const embedded = ref.startsWith(EMBEDDED);
  const folder = embedded ? await embeddedFolder(ref.slice(EMBEDDED.length)) : ref;
  const stat = await Deno.stat(folder).catch((error: unknown) => {
    throw cannotLoad(
      ref,
      error instanceof Deno.errors.NotFound || folder === ""
        ? "there is no such folder"
        : `its folder cannot be read (${(error as Error).message})`,
    );
  });
  if (!stat.isDirectory) throw cannotLoad(ref, "it is a file; give the folder that holds it");
  const name = embedded ? ref.slice(EMBEDDED.length) : await folderName(folder);
  const source = (kind: ModelSource["kind"]) => new FolderSource(ref, name, kind, folder);
  if (await source("adapter").has("adapter_config.json")) return source("adapter");
  if (await source("model").has("config.json")) return source("model");
  throw cannotLoad(ref, "the folder has neither config.json nor adapter_config.json");
}

/** The last part of the path as given; of the real one for paths such as `.`. */
async function folderName(folder: string): Promise<string> {
  const last = (path: string) => path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? "";
  const name = last(folder);
  return /^\.*$/.test(name) ? last(await Deno.realPath(folder)) || folder : name;
}
