/** Where audits are kept: those that ship with the program, and those that were made on this machine. */

/** The folder of the shipped ones. */
export const SHIPPED_AUDITS = `${import.meta.dirname}/../docs/audit`;

/** The folder of the user's own, or undefined where nothing says where the user's cache is. */
export function ownAudits(
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): string | undefined {
  const xdg = env("XDG_CACHE_HOME");
  const home = env("HOME");
  // The XDG specification: a relative path counts as not set.
  const cache = xdg?.startsWith("/") ? xdg : home ? `${home}/.cache` : undefined;
  return cache && `${cache}/palimpsest/audits`;
}
