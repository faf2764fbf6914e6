/** The Hugging Face Hub and its local cache: what is there is used, what is missing is fetched, file by file. */

import { HubError } from "../../engine/errors.ts";
import { nearestNames, quote } from "../../engine/weights/names.ts";
import { FileSource } from "../file_source.ts";
import { RepoCache, sizeOf, temporaryName, type Tree, type TreeEntry } from "./cache.ts";
import { downloadBlob } from "./download.ts";
import { readEnvironment, type ReadVariable } from "./environment.ts";
import { HubHttp } from "./http.ts";
import { fetchCommit, fetchTree } from "./listing.ts";
import { withLock } from "./lock.ts";
import { formatRepo, type HubRepo, isCommit, isSafePath, pageOf } from "./ref.ts";
import { cannot } from "./refusal.ts";
import { type HubByteSource, remoteSource } from "./remote.ts";
import { HubUnavailable, type Sleep } from "./retry.ts";

export { type HubRepo, parseHubRef } from "./ref.ts";
export type { HubByteSource } from "./remote.ts";

/** How a {@link Hub} is used. */
export interface HubOptions {
  /** Asks nothing of the network; without it, as HF_HUB_OFFLINE says. */
  offline?: boolean;
  /** Is told how many of a file's bytes are here, first (after an interruption, some may be) and last (all) included. */
  onProgress?: (file: string, done: number, total: number) => void;
  /** Takes lines for the user. */
  warn?: (line: string) => void;
  /** Stops what goes on; what was fetched is kept. */
  signal?: AbortSignal;
  /** Reads the environment; a test brings its own, as of the two that follow. */
  env?: ReadVariable;
  sleep?: Sleep;
  /** The longest silence of a server that is borne, in milliseconds. */
  idleMs?: number;
}

/** One file of a repository. */
export interface HubFile {
  path: string;
  /** Bytes. */
  size: number;
  /** In hex; only of files that are stored by LFS. */
  sha256?: string;
}

/** The Hub, as one user on one machine sees it. All methods throw a {@link HubError} that says what to do. */
export class Hub {
  readonly #http: HubHttp;
  readonly #cacheFolder: string;
  readonly #options: HubOptions;
  readonly #commits = new Map<string, Promise<string>>();
  readonly #trees = new Map<string, Promise<Tree | undefined>>();
  readonly #fetches = new Map<string, Promise<string>>();
  readonly #verified = new Map<string, string>();
  /** Why nothing is asked of the network, with the way out; empty if it may be asked. */
  #offline: string;

  private constructor(http: HubHttp, cacheFolder: string, offline: boolean, options: HubOptions) {
    this.#http = http;
    this.#cacheFolder = cacheFolder;
    this.#offline = offline ? ASKED_OFFLINE : "";
    this.#options = options;
  }

  /**
   * The Hub that the environment names, with its cache and the user's token; see {@link readEnvironment}.
   *
   * @throws {HubError} if a variable cannot be used
   */
  static fromEnvironment(options: HubOptions = {}): Hub {
    const { env = (name) => Deno.env.get(name), signal, sleep, idleMs } = options;
    const { endpoint, token, cache, offline } = readEnvironment(env);
    const http = new HubHttp({ endpoint, token, signal, sleep, idleMs });
    return new Hub(http, cache, options.offline ?? offline, options);
  }

  /**
   * The commit that a revision is. Where the Hub cannot be reached, it is the one of the last time, with a warning, if the
   * cache has it.
   */
  commit(repo: HubRepo): Promise<string> {
    return remember(this.#commits, formatRepo(repo), () => this.#findCommit(repo));
  }

  /** All files of the repository; offline, of a repository whose listing was not kept, those in the cache. */
  async files(repo: HubRepo): Promise<HubFile[]> {
    const tree = await this.#tree(repo);
    if (!tree) return await this.#cache(repo).listSnapshot(await this.commit(repo));
    return [...tree].map(([path, { size, sha256 }]) =>
      sha256 === undefined ? { path, size } : { path, size, sha256 }
    );
  }

  /** Whether the repository has a file of that path; offline, as {@link files}. */
  async has(repo: HubRepo, path: string): Promise<boolean> {
    if (await this.#cached(repo, path) !== undefined) return true;
    return (await this.#tree(repo))?.has(path) ?? false;
  }

  /** The local path of a file, which is fetched first if it is not in the cache, and verified. */
  async fetchFile(repo: HubRepo, path: string): Promise<string> {
    return await this.#cached(repo, path) ??
      await remember(this.#fetches, `${formatRepo(repo)}/${path}`, () => this.#fetch(repo, path));
  }

  /**
   * Opens a file for ranged reads: over the network, without fetching the whole, unless the cache has it. What is read over
   * the network is not verified. Whoever opened it closes it.
   */
  async openRemote(repo: HubRepo, path: string): Promise<HubByteSource> {
    const local = await this.#cached(repo, path);
    if (local !== undefined) return await FileSource.open(local, path);
    const { size } = await this.#entry(repo, path);
    const url = this.#url(repo, await this.commit(repo), path);
    return remoteSource(this.#http, url, { repo, file: path }, path, size);
  }

  /** The SHA-256 of a local file that {@link fetchFile} fetched in this process, if it was verified by it. */
  verifiedSha256(localPath: string): string | undefined {
    return this.#verified.get(localPath);
  }

  /** Whether only the cache is used, by the user's wish or because the Hub could not be reached. */
  get isOffline(): boolean {
    return this.#offline !== "";
  }

  /** The folder in which {@link fetchFile} puts the files. */
  async snapshotFolder(repo: HubRepo): Promise<string> {
    return this.#cache(repo).snapshot(await this.commit(repo));
  }

  #cache(repo: HubRepo): RepoCache {
    return new RepoCache(this.#cacheFolder, repo);
  }

  async #findCommit(repo: HubRepo): Promise<string> {
    if (isCommit(repo.revision)) return repo.revision;
    const cache = this.#cache(repo);
    const known = await cache.readRef(repo.revision);
    const kept = known !== undefined && await cache.hasSnapshot(known) ? known : undefined;
    if (this.#offline) {
      if (kept !== undefined) return kept;
      throw new HubError(
        cannot({ repo }, `it is not in the cache, ${this.#cacheFolder}, ${this.#offline}`),
      );
    }
    try {
      const commit = await fetchCommit(this.#http, repo, kept === undefined ? undefined : 1);
      await cache.writeRef(repo.revision, commit);
      return commit;
    } catch (error) {
      if (kept === undefined) throw error;
      if (!(error instanceof HubUnavailable)) {
        throw new HubError(`${(error as Error).message}; the cache has a copy: --offline uses it`, {
          cause: error,
        });
      }
      this.#offline = UNREACHABLE;
      this.#options.warn?.(`${error.message}. Using commit ${kept} from the cache`);
      return kept;
    }
  }

  /** The listing of the repository's commit; undefined if it is not known and cannot be asked for. */
  async #tree(repo: HubRepo): Promise<Tree | undefined> {
    const commit = await this.commit(repo);
    return await remember(this.#trees, `${repo.type}/${repo.id}/${commit}`, async () => {
      const cache = this.#cache(repo);
      const kept = await cache.readTree(commit);
      if (kept || this.#offline) return kept;
      const tree = await fetchTree(this.#http, repo, commit);
      await cache.writeTree(commit, tree);
      return tree;
    });
  }

  /** What the listing has of a file that is not in the cache and is to be fetched. */
  async #entry(repo: HubRepo, path: string): Promise<TreeEntry> {
    const tree = await this.#tree(repo);
    const entry = tree?.get(path);
    const purpose = { repo, file: path };
    if (this.#offline && (entry || !tree)) {
      throw new HubError(
        cannot(purpose, `it is not in the cache, ${this.#cacheFolder}, ${this.#offline}`),
      );
    }
    if (entry) return entry;
    const near = nearestNames(path, tree!.keys()).map(quote).join(", ");
    const page = pageOf(repo, this.#http.endpoint);
    throw new HubError(
      cannot(
        purpose,
        `the repository has no such file (${near ? `it has ${near}` : `see ${page}`})`,
      ),
    );
  }

  async #cached(repo: HubRepo, path: string): Promise<string | undefined> {
    if (!isSafePath(path)) {
      throw new HubError(
        cannot({ repo }, `${quote(path)} is no path within a repository`),
      );
    }
    return await this.#cache(repo).find(await this.commit(repo), path);
  }

  async #fetch(repo: HubRepo, path: string): Promise<string> {
    const entry = await this.#entry(repo, path);
    const commit = await this.commit(repo);
    const cache = this.#cache(repo);
    const etag = entry.sha256 ?? entry.gitOid;
    const purpose = { repo, file: path };
    try {
      await withLock(cache.lock(etag), {
        sleep: this.#http.sleep,
        signal: this.#options.signal,
        onWait: () =>
          this.#options.warn?.(
            `Waiting for another process that fetches ${path} of ${formatRepo(repo)}`,
          ),
      }, async (locked) => {
        const blob = cache.blob(etag);
        if (await sizeOf(blob) === entry.size) return;
        // Without a lock, a part of one's own: it cannot be found again to be completed.
        const incomplete = `${locked ? blob : temporaryName(blob)}.incomplete`;
        try {
          await downloadBlob(this.#http, {
            url: this.#url(repo, commit, path),
            purpose,
            entry,
            blob,
            incomplete,
            onProgress: (done) => this.#options.onProgress?.(path, done, entry.size),
          });
        } finally {
          if (!locked) await Deno.remove(incomplete).catch(() => {});
        }
        if (entry.sha256) this.#verified.set(`${cache.snapshot(commit)}/${path}`, entry.sha256);
      });
      return await cache.link(etag, commit, path);
    } catch (error) {
      throw describeSystemError(error, purpose);
    }
  }

  #url(repo: HubRepo, commit: string, path: string): string {
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    return `${pageOf(repo, this.#http.endpoint)}/resolve/${commit}/${encoded}`;
  }
}

const ASKED_OFFLINE =
  "and nothing is fetched offline (run once with the network, without --offline and HF_HUB_OFFLINE)";

const UNREACHABLE = "and the Hub cannot be reached (try again when it can)";

/** A cache that cannot be written to is the user's to mend. */
function describeSystemError(error: unknown, purpose: { repo: HubRepo; file: string }): unknown {
  const code = (error as { code?: unknown }).code;
  if (!(error instanceof Error) || typeof code !== "string" || error instanceof DOMException) {
    return error;
  }
  return new HubError(
    cannot(
      purpose,
      `the cache cannot be written to: ${error.message} (set HF_HUB_CACHE to a folder that can)`,
    ),
    { cause: error },
  );
}

/** What was asked for once is not asked again, unless it failed. */
function remember<T>(
  memory: Map<string, Promise<T>>,
  key: string,
  find: () => Promise<T>,
): Promise<T> {
  let found = memory.get(key);
  if (!found) {
    memory.set(key, found = find());
    found.catch(() => memory.delete(key));
  }
  return found;
}
