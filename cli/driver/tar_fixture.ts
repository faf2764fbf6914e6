/** Makes small ustar archives for tests. */

export interface FixtureFile {
  name: string;
  data: Uint8Array;
  /** ustar's type flag; "0" is a regular file, "2" a symbolic link. */
  type?: string;
}

export function makeTar(files: readonly FixtureFile[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const blocks: Uint8Array[] = [];
  for (const { name, data, type = "0" } of files) {
    const header = new Uint8Array(512);
    const put = (at: number, value: string) => header.set(encoder.encode(value), at);
    put(0, name);
    put(124, data.length.toString(8).padStart(11, "0"));
    put(148, " ".repeat(8));
    put(156, type);
    put(257, "ustar");
    const sum = header.reduce((total, byte) => total + byte, 0);
    put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
    const body = new Uint8Array(Math.ceil(data.length / 512) * 512);
    body.set(data);
    blocks.push(header, body);
  }
  blocks.push(new Uint8Array(1024));
  const archive = new Uint8Array(blocks.reduce((total, block) => total + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}
