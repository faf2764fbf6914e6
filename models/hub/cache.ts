/**
 * One repository in the Hugging Face cache, laid out as Python's huggingface_hub has it:
 *
 *     models--owner--name/refs/main                          a commit
 *     models--owner--name/blobs/<etag>                       contents; <etag>.incomplete while they come
 *     models--owner--name/snapshots/<commit>/config.json     a link to its blob
 *     models--owner--name/trees/<commit>.json                the listing of the commit
 *     .locks/models--owner--name/<etag>.lock                 held while a blob is fetched
 */

import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { type HubRepo, isCommit, isSafePath } from "./ref.ts";

/** A file as its listing has it. */
export interface TreeEntry {
  /** Bytes of the file itself, wherever it is stored. */
  size: number;
  /** SHA-1 of the Git blob: of the file, or of its LFS pointer. */
  gitOid: string;
  /** SHA-256 of the file, where it is stored by LFS. */
  sha256?: string;
}

/** A listing by path; only paths that are safe, see {@link isSafePath}. */
export type Tree = ReadonlyMap<string, TreeEntry>;

const TREE_FORMAT = 1;

const TreeFile = z.object({
  format_version: z.literal(TREE_FORMAT),
  files: z.record(
    z.string(),
    z.object({
      size: z.number().int().nonnegative(),
      blob_id: z.string().regex(/^[0-9a-f]{40}$/),
      lfs_sha256: z.string().regex(/^[0-9a-f]{64}$/).nullish(),
      lfs_size: z.number().int().nonnegative().nullish(),
    }),
  ),
});

/** Paths of one repository's cache, and what is read from and written to it. */
export class RepoCache {
  readonly #folder: string;
  readonly #locks: string;

  constructor(cache: string, { type, id }: HubRepo) {
    const name = [`${type}s`, ...id.split("/")].join("--");
    this.#folder = join(cache, name);
    this.#locks = join(cache, ".locks", name);
  }

  /** Where the contents of that hash are, or will be. */
  blob(etag: string): string {
    return join(this.#folder, "blobs", etag);
  }

  /** The file that whoever fetches that blob locks, Python's library as well. */
  lock(etag: string): string {
    return join(this.#locks, `${etag}.lock`);
  }

  /** The folder of a commit's files. */
  snapshot(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  /** The path of a file that is in the cache whole, or undefined. */
  async find(commit: string, path: string): Promise<string | undefined> {
    const pointer = join(this.snapshot(commit), path);
    return await sizeOf(pointer) === undefined ? undefined : pointer;
  }

  /** The commit that a revision had when it was last asked for. */
  async readRef(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await Deno.readTextFile(join(this.#folder, "refs", revision)).catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  /** Keeps the commit of a revision. A cache that cannot be written to is no error: all of it may be there to be read. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || await this.readRef(revision) === commit) return;
    await writeQuietly(join(this.#folder, "refs", revision), commit);
  }

  /** Whether anything of a commit is there. */
  async hasSnapshot(commit: string): Promise<boolean> {
    return await Deno.stat(this.snapshot(commit)).then((stat) => stat.isDirectory, () => false);
  }

  /** The paths and sizes of all files of a commit that are in the cache. */
  async listSnapshot(commit: string): Promise<{ path: string; size: number }[]> {
    const files: { path: string; size: number }[] = [];
    const visit = async (below: string) => {
      for await (const { name, isDirectory } of Deno.readDir(join(this.snapshot(commit), below))) {
        const path = below === "" ? name : `${below}/${name}`;
        const size = isDirectory ? undefined : await sizeOf(join(this.snapshot(commit), path));
        if (isDirectory) await visit(path);
        else if (size !== undefined) files.push({ path, size });
      }
    };
    await visit("");
    return files.sort((a, b) => a.path < b.path ? -1 : 1);
  }

  /** The listing of a commit, if it was kept and can be read. */
  async readTree(commit: string): Promise<Tree | undefined> {
    const text = await Deno.readTextFile(this.#tree(commit)).catch(() => "null");
    const { data } = TreeFile.safeParse(parseJson(text));
    if (!data) return undefined;
    const entries = Object.entries(data.files).filter(([path]) => isSafePath(path));
    return new Map(entries.map(([path, { size, blob_id, lfs_sha256, lfs_size }]) => [path, {
      size: lfs_size ?? size,
      gitOid: blob_id,
      sha256: lfs_sha256 ?? undefined,
    }]));
  }

  /** Keeps the listing of a commit: it never changes. */
  async writeTree(commit: string, tree: Tree): Promise<void> {
    const files = Object.fromEntries(
      [...tree].map(([path, { size, gitOid, sha256 }]) => [path, {
        size,
        blob_id: gitOid,
        ...(sha256 === undefined ? {} : { lfs_sha256: sha256, lfs_size: size }),
      }]),
    );
    const text = JSON.stringify({ format_version: TREE_FORMAT, files }, null, 1);
    await writeQuietly(this.#tree(commit), text);
  }

  /** Puts a blob into a commit's folder under its path: by a link, or by a copy where there are none. Returns where. */
  async link(etag: string, commit: string, path: string): Promise<string> {
    const blob = this.blob(etag);
    const pointer = join(this.snapshot(commit), path);
    await Deno.mkdir(dirname(pointer), { recursive: true });
    const work = temporaryName(pointer);
    // Relative, so that the cache can be moved.
    await Deno.symlink(relative(dirname(pointer), blob), work, { type: "file" })
      .catch(() => Deno.link(blob, work))
      .catch(() => Deno.copyFile(blob, work));
    await Deno.rename(work, pointer);
    return pointer;
  }

  #tree(commit: string): string {
    return join(this.#folder, "trees", `${commit}.json`);
  }
}

/** The size of a file, links followed; undefined if there is no such file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return await Deno.stat(path).then((stat) => stat.isFile ? stat.size : undefined, () => undefined);
}

/** A name beside `path` that no other process has. */
export function temporaryName(path: string): string {
  return `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
}

async function writeQuietly(path: string, text: string): Promise<void> {
  const work = temporaryName(path);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(work, text);
    await Deno.rename(work, path);
  } catch {
    await Deno.remove(work).catch(() => {});
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
