/** What the Hub's API says of a repository: the commit of a revision, and the files of a commit. */

import { datasetInfo, listFiles, modelInfo } from "@huggingface/hub";
import { z } from "zod";
import { HubError } from "../../engine/errors.ts";
import type { Tree, TreeEntry } from "./cache.ts";
import type { HubHttp } from "./http.ts";
import { type HubRepo, isCommit, isSafePath } from "./ref.ts";
import { cannot } from "./refusal.ts";

/** More files than any repository has that one would read; each has about 300 bytes in a listing. */
const MAX_FILES = 500_000;

/** A page has 1,000 entries. */
const MAX_PAGE_BYTES = 32 << 20;

const Entry = z.object({
  path: z.string(),
  size: z.number().int().nonnegative(),
  oid: z.string().regex(/^[0-9a-f]{40}$/),
  lfs: z.object({
    oid: z.string().regex(/^[0-9a-f]{64}$/),
    size: z.number().int().nonnegative(),
  }).optional(),
});

/**
 * Asks which commit a revision is.
 *
 * @param attempts how often at most
 * @throws {HubError} if the repository or the revision is missing or closed to the user
 */
export async function fetchCommit(
  http: HubHttp,
  repo: HubRepo,
  attempts?: number,
): Promise<string> {
  const params = {
    name: repo.id,
    revision: repo.revision,
    additionalFields: ["sha" as const],
    hubUrl: http.endpoint,
    fetch: asFetch(http, repo, attempts),
  };
  const { sha } = await asHubErrors(
    repo,
    (): Promise<{ sha: unknown }> =>
      repo.type === "model" ? modelInfo(params) : datasetInfo(params),
  );
  if (typeof sha === "string" && isCommit(sha)) return sha;
  throw new HubError(cannot({ repo }, "the server's answer does not name the commit"));
}

/**
 * Asks for all files of a commit. Paths that would leave the folder they are put in are left out: no file of a model or a
 * dataset has one.
 *
 * @throws {HubError} if there is no such commit, or the answer is no listing
 */
export async function fetchTree(http: HubHttp, repo: HubRepo, commit: string): Promise<Tree> {
  const tree = new Map<string, TreeEntry>();
  const params = {
    repo: { type: repo.type, name: repo.id },
    revision: commit,
    recursive: true,
    hubUrl: http.endpoint,
    fetch: asFetch(http, repo),
  };
  await asHubErrors(repo, async () => {
    let count = 0;
    for await (const item of listFiles(params)) {
      if (++count > MAX_FILES) {
        throw new HubError(cannot({ repo }, `it lists over ${MAX_FILES} files`));
      }
      if (item?.type !== "file" || !isSafePath(item.path)) continue;
      const { path, size, oid, lfs } = Entry.parse(item);
      tree.set(path, { size: lfs?.size ?? size, gitOid: oid, sha256: lfs?.oid });
    }
  });
  return tree;
}

/**
 * `fetch` for the library: ours, which has the token, the retries and the time limits. The next page of a listing is
 * asked for where the server says; anywhere but on the server itself is refused, and so is a page twice.
 */
function asFetch(http: HubHttp, repo: HubRepo, attempts?: number): typeof fetch {
  const asked = new Set<string>();
  return async (input) => {
    const url = String(input);
    if (new URL(url).origin !== new URL(http.endpoint).origin || asked.has(url)) {
      throw new HubError(cannot({ repo }, "the server's listing goes on where it must not"));
    }
    asked.add(url);
    const { response, bytes } = await http.bytes(url, { repo }, MAX_PAGE_BYTES, attempts);
    return new Response(bytes, { headers: response.headers });
  };
}

/** The library's own errors are of answers that it does not understand. */
async function asHubErrors<T>(repo: HubRepo, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const foreign = cause instanceof z.ZodError || cause instanceof SyntaxError ||
      cause instanceof TypeError;
    if (!foreign) throw cause;
    throw new HubError(cannot({ repo }, "the server's answer is not what the Hub's API gives"), {
      cause,
    });
  }
}
