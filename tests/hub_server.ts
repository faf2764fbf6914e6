/** A small Hugging Face Hub on this machine, for tests: it speaks the Hub's API, and misbehaves when it is told to. */

import { createHash } from "node:crypto";
import { Hub, type HubOptions } from "../models/hub/hub.ts";

/** Files by path. Those in `lfs` are stored apart, as large files are. */
export interface FakeRepo {
  files: Record<string, string | Uint8Array>;
  lfs?: string[];
  /** Entries of the listing that are no files of the repository, for hostile ones. */
  alsoListed?: unknown[];
  /** Closed to those without the token. */
  access?: "public" | "gated" | "private";
}

/** What a server does instead of its duty. */
export type Fault =
  /** Answers with a status. */
  | { kind: "status"; status: number; headers?: Record<string, string> }
  /** Breaks the connection after so many bytes of the body. */
  | { kind: "cut"; after: number }
  /** Ends the body early, and calls that the whole. */
  | { kind: "short"; length: number }
  /** Sends this instead of the file. */
  | { kind: "body"; text: string; headers?: Record<string, string> }
  /** Sends the whole file whatever part was asked for. */
  | { kind: "whole" }
  /** Does not answer until the server is closed. */
  | { kind: "silence" };

/** A request as it came. */
export interface Seen {
  server: "hub" | "cdn";
  path: string;
  range: string | null;
  authorization: string | null;
  encoding: string | null;
}

/** The token that opens gated and private repositories. */
export const TOKEN = "hf_testtoken";

/** Entries of a page of a listing: few, so that there are pages. */
const PAGE = 2;

interface Stored extends FakeRepo {
  sha: string;
  content: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Two servers: the Hub, and the storage that it sends one to for large files. */
export class HubServer implements AsyncDisposable {
  /** All requests so far. */
  readonly seen: Seen[] = [];
  readonly #repos = new Map<string, Stored>();
  readonly #refs = new Map<string, string>();
  readonly #faults: { match: string; fault: Fault; times: number }[] = [];
  readonly #closed = Promise.withResolvers<void>();
  readonly #hub = this.#serve("hub");
  readonly #cdn = this.#serve("cdn");

  /** The Hub's address. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  /**
   * Publishes files as the newest commit of a branch.
   *
   * @param key `models/owner/name` or `datasets/owner/name`
   * @returns the commit
   */
  publish(key: string, repo: FakeRepo, branch = "main"): string {
    const content = new Map(
      Object.entries(repo.files).map(([path, data]) => [
        path,
        typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data),
      ]),
    );
    const hash = createHash("sha1").update(key);
    for (const [path, bytes] of content) hash.update(`${path}\0${bytes.length}\0`).update(bytes);
    const sha = hash.digest("hex");
    this.#repos.set(`${key}@${sha}`, { ...repo, sha, content });
    this.#refs.set(`${key}@${branch}`, sha);
    return sha;
  }

  /** Does something wrong, so many times, with requests whose path contains `match`; of the storage, `cdn/` begins it. */
  misbehave(match: string, fault: Fault, times = 1): void {
    this.#faults.push({ match, fault, times });
  }

  /** Behaves again. */
  forgive(): void {
    this.#faults.length = 0;
  }

  /** The requests whose path contains a text. */
  asked(text: string): Seen[] {
    return this.seen.filter(({ path }) => path.includes(text));
  }

  /** Ends both servers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.resolve();
    await Promise.all([this.#hub.shutdown(), this.#cdn.shutdown()]);
  }

  #serve(server: Seen["server"]): Deno.HttpServer<Deno.NetAddr> {
    const options = {
      port: 0,
      hostname: "127.0.0.1",
      onListen() {},
      onError: () => new Response(null, { status: 500 }),
    };
    return Deno.serve(options, (request) => this.#answer(server, request));
  }

  async #answer(server: Seen["server"], request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const path = (server === "cdn" ? "cdn" : "") + decodeURIComponent(pathname) + search;
    const authorization = request.headers.get("authorization");
    const range = request.headers.get("range");
    const encoding = request.headers.get("accept-encoding");
    this.seen.push({ server, path, range, authorization, encoding });
    const planned = this.#faults.find((plan) => plan.times > 0 && path.includes(plan.match));
    if (planned) planned.times--;
    const fault = planned?.fault;
    if (fault?.kind === "status") return refuse(fault.status, fault.headers);
    if (fault?.kind === "silence") await this.#closed.promise;
    if (fault?.kind === "body" && pathname.startsWith("/api/")) {
      return new Response(fault.text, fault);
    }
    const answer = server === "cdn" ? this.#stored(pathname) : this.#route(path, request);
    return answer instanceof Response ? answer : send(answer, { path, range, fault });
  }

  #route(path: string, request: Request): Response | Uint8Array<ArrayBuffer> {
    const cached = /^\/api\/resolve-cache\/((?:model|dataset)s\/.+)@([0-9a-f]{40})\/(.+)$/.exec(
      path,
    );
    if (cached) return this.#repos.get(`${cached[1]}@${cached[2]}`)!.content.get(cached[3])!;
    const api =
      /^\/api\/((?:model|dataset)s\/[\w.-]+(?:\/[\w.-]+)?)\/(revision|tree)\/([^?]+)(?:\?(.*))?$/;
    const file = /^\/(datasets\/)?([\w.-]+(?:\/[\w.-]+)?)\/resolve\/([0-9a-f]{40})\/(.+)$/;
    const [, key, what, revision, query] = api.exec(path) ?? [];
    if (key) {
      const repo = this.#find(key, revision, request, false);
      if (repo instanceof Response) return repo;
      if (what === "tree") return this.#list(repo, path, new URLSearchParams(query));
      return Response.json({ _id: "1", id: key, sha: repo.sha, lastModified: 0 });
    }
    const [, dataset, id, commit, name] = file.exec(path) ?? [];
    if (!id) return refuse(404);
    const repo = this.#find(`${dataset ?? "models/"}${id}`, commit, request, true);
    return repo instanceof Response
      ? repo
      : this.#resolve(repo, `${dataset ?? "models/"}${id}`, name);
  }

  #find(key: string, revision: string, request: Request, isFile: boolean): Stored | Response {
    const known = [...this.#refs.keys()].some((ref) => ref.startsWith(`${key}@`));
    const sha = this.#refs.get(`${key}@${revision}`) ?? revision;
    const repo = this.#repos.get(`${key}@${sha}`);
    const authorization = request.headers.get("authorization");
    if (authorization !== null && authorization !== `Bearer ${TOKEN}`) {
      return refuse(401, { "x-error-message": "Invalid credentials in Authorization header" });
    }
    const closed = authorization === null && repo?.access === "private";
    if (!known || closed) {
      const status = authorization === null ? 401 : 404;
      return refuse(status, {
        "x-error-code": "RepoNotFound",
        "x-error-message": "Repository not found",
      });
    }
    if (!repo) {
      return refuse(404, {
        "x-error-code": "RevisionNotFound",
        "x-error-message": `Invalid rev id: ${revision}`,
      });
    }
    if (isFile && repo.access === "gated" && authorization === null) {
      return refuse(403, {
        "x-error-code": "GatedRepo",
        "x-error-message": "Access to model is restricted. You must be authenticated.",
      });
    }
    return repo;
  }

  #list(repo: Stored, path: string, query: URLSearchParams): Response {
    const all: unknown[] = [...repo.content].map(([path, bytes]) => ({
      type: "file",
      path,
      ...(repo.lfs?.includes(path)
        ? { size: bytes.length, oid: gitHash(new Uint8Array(9)), lfs: lfsOf(bytes) }
        : { size: bytes.length, oid: gitHash(bytes) }),
    }));
    all.push(...repo.alsoListed ?? [], { type: "directory", path: "folder", size: 0, oid: "0" });
    const start = Number(query.get("cursor") ?? 0);
    const base = `${this.endpoint}${path.split("?")[0]}?recursive=true`;
    const more = start + PAGE < all.length;
    return Response.json(all.slice(start, start + PAGE), {
      headers: more ? { link: `<${base}&cursor=${start + PAGE}>; rel="next"` } : {},
    });
  }

  /** Sends on: to the storage, or within the Hub, as the real one does. */
  #resolve(repo: Stored, key: string, name: string): Response {
    const bytes = repo.content.get(name);
    if (!bytes) return refuse(404, { "x-error-code": "EntryNotFound" });
    const lfs = repo.lfs?.includes(name);
    const { oid, size } = lfsOf(bytes);
    return new Response(null, {
      status: lfs ? 302 : 307,
      headers: {
        "x-repo-commit": repo.sha,
        "etag": `"${lfs ? gitHash(new Uint8Array(9)) : gitHash(bytes)}"`,
        ...(lfs ? { "x-linked-etag": `"${oid}"`, "x-linked-size": `${size}` } : {}),
        "location": lfs
          ? `http://localhost:${this.#cdn.addr.port}/${oid}?signature=secret`
          : `/api/resolve-cache/${key}@${repo.sha}/${encodeURIComponent(name)}`,
      },
    });
  }

  #stored(pathname: string): Response | Uint8Array<ArrayBuffer> {
    for (const { content } of this.#repos.values()) {
      for (const bytes of content.values()) {
        if (`/${lfsOf(bytes).oid}` === pathname) return bytes;
      }
    }
    return refuse(404);
  }
}

function send(
  bytes: Uint8Array<ArrayBuffer>,
  { path, range, fault }: { path: string; range: string | null; fault?: Fault },
): Response {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const isPart = first !== undefined && fault?.kind !== "whole";
  if (fault?.kind === "short") bytes = bytes.subarray(0, fault.length);
  const start = isPart ? Number(first) : 0;
  const end = isPart && last ? Math.min(Number(last) + 1, bytes.length) : bytes.length;
  if (isPart && start >= bytes.length) return refuse(416);
  const part = bytes.slice(start, end);
  const headers: Record<string, string> = { etag: `"${gitHash(bytes)}"` };
  const commit = /@([0-9a-f]{40})\//.exec(path)?.[1];
  if (commit) headers["x-repo-commit"] = commit;
  if (isPart) headers["content-range"] = `bytes ${start}-${end - 1}/${bytes.length}`;
  const body = fault?.kind === "cut"
    ? cutAfter(part.slice(0, fault.after))
    : fault?.kind === "body"
    ? fault.text
    : part;
  return new Response(body, { status: isPart ? 206 : 200, headers });
}

/** A body that breaks off. */
function cutAfter(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let sent = false;
  return new ReadableStream({
    async pull(controller) {
      if (!sent) controller.enqueue(bytes);
      // Time for what was sent to leave before the connection goes.
      else await new Promise((resolve) => setTimeout(resolve, 20));
      if (sent) controller.error(new Error("cut"));
      sent = true;
    },
  });
}

function refuse(status: number, headers?: Record<string, string>): Response {
  return new Response("refused", { status, headers });
}

function lfsOf(bytes: Uint8Array): { oid: string; size: number; pointerSize: number } {
  const oid = createHash("sha256").update(bytes).digest("hex");
  return { oid, size: bytes.length, pointerSize: 130 };
}

function gitHash(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** A server with an empty cache of its own, and what clients of it waited for, said and showed. */
export interface HubBench {
  server: HubServer;
  /** The cache's folder. */
  cache: string;
  /** Milliseconds of each wait; none is waited. */
  waits: number[];
  warnings: string[];
  /** `file done/total` of every report of progress. */
  progress: string[];
  /** Options for a hub with this server and cache, without a token; `variables` are more of the environment. */
  options(variables?: Record<string, string>): HubOptions;
  /** A hub of those options, and `more`. */
  hub(variables?: Record<string, string>, more?: HubOptions): Hub;
}

/** Runs a check with a Hub of its own, and cleans up. */
export async function withHub(check: (bench: HubBench) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    await using server = new HubServer();
    const waits: number[] = [];
    const warnings: string[] = [];
    const progress: string[] = [];
    const options = (variables: Record<string, string> = {}): HubOptions => {
      const all: Record<string, string> = {
        HF_HOME: home,
        HF_ENDPOINT: server.endpoint,
        ...variables,
      };
      return {
        env: (name) => all[name],
        sleep: (ms) => Promise.resolve(void waits.push(ms)),
        warn: (line) => warnings.push(line),
        onProgress: (file, done, total) => progress.push(`${file} ${done}/${total}`),
      };
    };
    await check({
      server,
      cache: `${home}/hub`,
      waits,
      warnings,
      progress,
      options,
      hub: (variables, more) => Hub.fromEnvironment({ ...options(variables), ...more }),
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
