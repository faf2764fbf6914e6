/** What an answer of the Hub that is no success means for the user. */

import { HubError } from "../../engine/errors.ts";
import { quote } from "../../engine/weights/names.ts";
import { formatRepo, type HubRepo, pageOf } from "./ref.ts";
import { HubUnavailable, requestedWait } from "./retry.ts";

/** What a request is for. */
export interface Purpose {
  repo: HubRepo;
  /** The file that is fetched; without it, the request is about the repository. */
  file?: string;
}

/** What is known of the one who asks. */
export interface Asker {
  endpoint: string;
  /** Whether a token was sent. */
  hasToken: boolean;
}

const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);

/** `Cannot fetch "config.json" of hf:owner/name: …` */
export function cannot({ repo, file }: Purpose, why: string): string {
  const what = file === undefined ? "use" : `fetch ${quote(file)} of`;
  return `Cannot ${what} ${formatRepo(repo)}: ${why}`;
}

/** The error for an answer of 400 and over; its body is not needed any more. */
export function refusal(response: Response, purpose: Purpose, asker: Asker): HubError {
  const { status, headers } = response;
  const said = headers.get("x-error-message")?.trim().replace(/\.$/, "").slice(0, 300);
  const because = said ? `: ${said}` : "";
  if (RETRIED.has(status)) {
    const limited = status === 429;
    const reason = said || (limited ? "too many requests" : "it is busy or broken");
    const way = limited && !asker.hasToken
      ? ", or set HF_TOKEN: known users may ask more often"
      : "";
    const message = `the server answers ${status} (${reason}); try again later${way}`;
    return new HubUnavailable(cannot(purpose, message), requestedWait(headers));
  }
  return new HubError(
    cannot(purpose, explain(status, headers.get("x-error-code"), because, purpose, asker)),
  );
}

function explain(
  status: number,
  code: string | null,
  because: string,
  { repo, file }: Purpose,
  { endpoint, hasToken }: Asker,
): string {
  const page = pageOf(repo, endpoint);
  const tokens = `${endpoint}/settings/tokens`;
  if (code === "GatedRepo") {
    const token = hasToken
      ? `with the account whose token is used, and let the token read gated repositories (${tokens})`
      : `and set HF_TOKEN to a token of the account that did (${tokens})`;
    return `it is gated${because} (accept its terms at ${page} ${token})`;
  }
  if (code === "RevisionNotFound") {
    return `it has no revision ${quote(repo.revision)} (see ${page})`;
  }
  if (code === "EntryNotFound" || (status === 404 && code === null && file !== undefined)) {
    return `the repository has no ${quote(file ?? "such file")} (see ${page})`;
  }
  if (/invalid (credentials|user|token)/i.test(because)) {
    return `the token is refused${because} (set HF_TOKEN to a valid one from ${tokens}, or unset it)`;
  }
  // The Hub says 401 without a token where it would say 404 with one: it does not tell what exists.
  if (code === "RepoNotFound" || status === 401 || (status === 404 && code === null)) {
    const way = hasToken
      ? "check the name, and that your token may read it"
      : "check the name; if it is private, set HF_TOKEN";
    return `there is no such ${repo.type}, or you may not see it${because} (${way})`;
  }
  if (status === 403) {
    return `access is refused${because} (see ${page}, and what your token may do: ${tokens})`;
  }
  return `the server answers ${status}${because}`;
}
