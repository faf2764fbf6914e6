/** A model or an adapter in a repository of the Hub: each of its files is fetched when it is first opened. */

import type { ModelError } from "../../engine/errors.ts";
import { HubError } from "../../engine/errors.ts";
import type { ByteSource } from "../../engine/weights/byte_source.ts";
import { quote } from "../../engine/weights/names.ts";
import { cannotLoad, FolderSource } from "../folder_source.ts";
import type { ModelSource } from "../source.ts";
import { Hub, type HubOptions } from "./hub.ts";
import { type HubRepo, parseHubRef } from "./ref.ts";

/**
 * Finds a model or an adapter on the Hub or in its cache.
 *
 * @param ref `hf:owner/name[@revision]`
 * @throws {ModelError} if the repository holds neither a model nor an adapter
 * @throws {HubError} if it cannot be had
 */
export async function resolveHubSource(ref: string, options: HubOptions): Promise<ModelSource> {
  const { repo } = parseHubRef(ref);
  if (repo.type !== "model") {
    throw new HubError(`Cannot load model ${quote(ref)}: it is a dataset; expected hf:owner/name`);
  }
  const hub = Hub.fromEnvironment(options);
  const commit = await hub.commit(repo);
  const folder = await hub.snapshotFolder(repo);
  const source = (kind: ModelSource["kind"]) => new HubSource(hub, repo, ref, kind, commit, folder);
  if (await hub.has(repo, "adapter_config.json")) return source("adapter");
  if (await hub.has(repo, "config.json")) return source("model");
  throw source("model").lacking("config.json and no adapter_config.json");
}

/** The files of a repository at one commit, by way of the folder that the cache has of it. */
class HubSource implements ModelSource {
  readonly name: string;
  readonly #local: FolderSource;

  constructor(
    private readonly hub: Hub,
    private readonly repo: HubRepo,
    readonly ref: string,
    readonly kind: ModelSource["kind"],
    readonly revision: string,
    folder: string,
  ) {
    this.name = repo.id.split("/").at(-1)!;
    const known = (file: string) => hub.verifiedSha256(`${folder}/${file}`);
    this.#local = new FolderSource(ref, this.name, kind, folder, known);
  }

  async has(file: string): Promise<boolean> {
    return await this.#local.has(file) || await this.hub.has(this.repo, file);
  }

  async readText(file: string): Promise<string> {
    await this.fetch(file);
    return await this.#local.readText(file);
  }

  async readJson(file: string): Promise<unknown> {
    await this.fetch(file);
    return await this.#local.readJson(file);
  }

  async open(file: string): Promise<ByteSource> {
    await this.fetch(file);
    return await this.#local.open(file);
  }

  async sha256(): Promise<Record<string, string>> {
    return await this.#local.sha256();
  }

  lacking(files: string): ModelError {
    const where = this.hub.isOffline
      ? `the cache has no ${files}, and nothing is fetched offline`
      : `the repository has no ${files}`;
    return cannotLoad(this.ref, `${where} (commit ${this.revision})`);
  }

  private async fetch(file: string): Promise<void> {
    if (!await this.#local.has(file)) await this.hub.fetchFile(this.repo, file);
  }
}
