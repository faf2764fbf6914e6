/** What the environment says of the Hub: the variables and files that Python's huggingface_hub has, with the same meaning. */

import { HubError } from "../../engine/errors.ts";

/** Where the Hub is, where its cache is, and who the user is to it. */
export interface HubEnvironment {
  /** Without a slash at its end. */
  endpoint: string;
  /** The cache's folder. */
  cache: string;
  /** A secret: sent to the endpoint, shown and stored nowhere. */
  token?: string;
  /** Nothing may be asked of the network. */
  offline: boolean;
}

/** Reads an environment variable. */
export type ReadVariable = (name: string) => string | undefined;

const DEFAULT_ENDPOINT = "https://huggingface.co";

/**
 * Reads HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH and HF_HUB_OFFLINE, and the file that
 * `hf auth login` keeps the token in.
 *
 * @throws {HubError} if the endpoint is no address, or the token cannot be sent; the message does not have the token
 */
export function readEnvironment(env: ReadVariable): HubEnvironment {
  const home = expand(env("HF_HOME") || `${cacheHome(env)}/huggingface`, env);
  const cache = env("HF_HUB_CACHE") || env("HUGGINGFACE_HUB_CACHE") || `${home}/hub`;
  return {
    endpoint: endpoint(env("HF_ENDPOINT") || DEFAULT_ENDPOINT),
    cache: expand(cache, env),
    token: token(env, home),
    offline: isTrue(env("HF_HUB_OFFLINE") || env("TRANSFORMERS_OFFLINE")),
  };
}

function cacheHome(env: ReadVariable): string {
  return env("XDG_CACHE_HOME") || `${env("HOME") || env("USERPROFILE") || "."}/.cache`;
}

/** A leading `~`, and `$NAME`, as Python expands them in these variables. */
function expand(path: string, env: ReadVariable): string {
  const home = env("HOME") || env("USERPROFILE") || "~";
  return path.replace(/^~(?=$|[/\\])/, () => home)
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced, bare) => env(braced ?? bare) ?? all);
}

function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

function endpoint(text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search) {
    // The value may hold a password.
    throw new HubError(
      `Cannot use HF_ENDPOINT: expected an http or https address without user name or query, such as ${DEFAULT_ENDPOINT}`,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function token(env: ReadVariable, home: string): string | undefined {
  if (isTrue(env("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return undefined;
  const given = env("HF_TOKEN") || env("HUGGING_FACE_HUB_TOKEN");
  const path = expand(env("HF_TOKEN_PATH") || `${home}/token`, env);
  const text = (given ?? readFile(path))?.trim();
  if (!text) return undefined;
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  const where = given === undefined ? `the token in "${path}"` : "HF_TOKEN";
  throw new HubError(`Cannot use ${where}: it has characters that no token has`);
}

function readFile(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    // Without a token, all that is public can still be had.
    return undefined;
  }
}
