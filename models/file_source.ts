/** A file as a {@link ByteSource}: ranged reads, never the whole. */

import { WeightsError } from "../engine/errors.ts";
import { type ByteSource, checkRange } from "../engine/weights/byte_source.ts";

/** An open file; whoever opened it closes it. */
export class FileSource implements ByteSource {
  /** The read in progress: a file has one position, so reads take turns. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(
    readonly name: string,
    readonly size: number,
    private readonly file: Deno.FsFile,
  ) {}

  /** Opens a file for reading; errors of the system pass through. */
  static async open(path: string, name: string): Promise<FileSource> {
    const file = await Deno.open(path);
    try {
      return new FileSource(name, (await file.stat()).size, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** See {@link ByteSource.read}. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const turn = this.#last.then(() => this.readNow(offset, length));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** See {@link ByteSource.readInto}. */
  readInto(offset: number, target: Uint8Array<ArrayBuffer>): Promise<void> {
    const turn = this.#last.then(() => this.fill(offset, target));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Closes the file; reads after it fail. Twice does nothing. */
  close(): void {
    if (!this.#closed) this.file.close();
    this.#closed = true;
  }

  private async readNow(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.name, this.size, offset, length);
    const bytes = this.allocate(length);
    await this.fill(offset, bytes);
    return bytes;
  }

  private async fill(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { length } = bytes;
    checkRange(this.name, this.size, offset, length);
    await this.file.seek(offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < length;) {
      const count = await this.file.read(bytes.subarray(filled));
      if (count === null) {
        throw new WeightsError(
          `Cannot read ${length} bytes at ${offset} of "${this.name}": the file ends after ${filled} of them ` +
            "(it shrank while it was read)",
        );
      }
      filled += count;
    }
  }

  /** A sparse file can claim more than the memory there is. */
  private allocate(length: number): Uint8Array<ArrayBuffer> {
    try {
      return new Uint8Array(length);
    } catch {
      throw new WeightsError(
        `Cannot read ${length} bytes of "${this.name}": there is not enough memory`,
      );
    }
  }
}
