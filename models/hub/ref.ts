/** References to the Hub: `hf:owner/name[@revision]`, and what of them may become part of a path or an address. */

import { HubError } from "../../engine/errors.ts";
import { quote } from "../../engine/weights/names.ts";

/** A repository of the Hub at a revision. */
export interface HubRepo {
  type: "model" | "dataset";
  /** `owner/name`, or the bare name of an old one: `gpt2`. */
  id: string;
  /** A branch, a tag, a commit, or a reference such as `refs/pr/1`. */
  revision: string;
}

/** What begins a reference to the Hub. */
export const HUB_PREFIX = "hf:";

const DEFAULT_REVISION = "main";

/** The Hub's own rule for either part of an id; `--` is what the cache separates them by. */
const NAME = /^(?!.*(?:--|\.\.))\w(?:[\w.-]{0,94}\w)?$/;

const REVISION = /^(?!.*\.\.)[\w+][\w.+-]*(?:\/[\w+][\w.+-]*)*$/;

/** Id, revision of one segment (or of three, for the Hub's own branches), path. */
const DATASET = /^([^/@]+(?:\/[^/@]+)?)(?:@((?:refs\/(?:convert|pr)\/)?[^/]+))?(?:\/(.+))?$/;

/** Longer names of files are refused by file systems. */
const MAX_SEGMENT_BYTES = 255;

/**
 * Reads `hf:owner/name[@revision]`, where the revision may have slashes, or
 * `hf:datasets/owner/name[@revision][/path/in/repo]`, where it may not (but for `refs/convert/…` and `refs/pr/…`).
 *
 * @throws {HubError} if it is neither
 */
export function parseHubRef(ref: string): { repo: HubRepo; path?: string } {
  const rest = ref.startsWith(HUB_PREFIX) ? ref.slice(HUB_PREFIX.length) : "";
  const inDatasets = rest.startsWith("datasets/");
  const [, id = "", revision = DEFAULT_REVISION, path] =
    (inDatasets
      ? DATASET.exec(rest.slice("datasets/".length))
      : /^([^@]+)(?:@(.*))?$/s.exec(rest)) ?? [];
  const parts = id.split("/");
  if (parts.length > 2 || !parts.every((part) => NAME.test(part))) {
    const form = inDatasets
      ? "hf:datasets/owner/name[@revision][/path/in/repo]"
      : "hf:owner/name[@revision]";
    throw new HubError(`Cannot use ${quote(ref)}: expected ${form}`);
  }
  if (revision.length > 250 || !REVISION.test(revision)) {
    throw new HubError(
      `Cannot use ${quote(ref)}: ${quote(revision)} is no revision (a branch, a tag or a commit)`,
    );
  }
  if (path !== undefined && !isSafePath(path)) {
    throw new HubError(`Cannot use ${quote(ref)}: ${quote(path)} is no path within a repository`);
  }
  const repo: HubRepo = { type: inDatasets ? "dataset" : "model", id, revision };
  return path === undefined ? { repo } : { repo, path };
}

/** `hf:owner/name` as the user may write it, with the revision unless it is the default; for messages. */
export function formatRepo({ type, id, revision }: HubRepo): string {
  const at = revision === DEFAULT_REVISION ? "" : `@${revision}`;
  return `${HUB_PREFIX}${type === "dataset" ? "datasets/" : ""}${id}${at}`;
}

/** Where people see the repository. */
export function pageOf({ type, id }: HubRepo, endpoint: string): string {
  return `${endpoint}/${type === "dataset" ? "datasets/" : ""}${id}`;
}

/** Whether a revision is a whole commit, which never means anything else. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/**
 * Whether a path out of a listing stays within the folder that it is put in, on every system: no `..`, no drive letter, no
 * backslash, nothing invisible, no name that is too long for a file.
 */
export function isSafePath(path: string): boolean {
  // deno-lint-ignore no-control-regex
  if (path.length > 1024 || /[\\:\x00-\x1f\x7f]/.test(path)) return false;
  return path.split("/").every((part) =>
    part !== "" && part !== "." && part !== ".." &&
    new TextEncoder().encode(part).length <= MAX_SEGMENT_BYTES
  );
}
