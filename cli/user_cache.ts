/** The user's cache, where what can be made again is kept. */

import { DeviceError } from "../engine/errors.ts";

/**
 * A path in the user's cache, `palimpsest/NAME`.
 *
 * @param what for the message: what would be kept there
 * @throws {DeviceError} when the environment does not say where the cache is
 */
export function userCache(
  name: string,
  what: string,
  env: (name: string) => string | undefined = Deno.env.get,
): string {
  const xdg = env("XDG_CACHE_HOME");
  const home = env("HOME");
  // The XDG specification: a relative path counts as not set.
  const cache = xdg?.startsWith("/") ? xdg : home ? `${home}/.cache` : undefined;
  if (cache) return `${cache}/palimpsest/${name}`;
  throw new DeviceError(
    `Cannot keep ${what}: neither HOME nor XDG_CACHE_HOME says where the user's cache is`,
  );
}
