/** The weights of one model or adapter: one safetensors file, or several seen as one. */

import { WeightsError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { brief, quote } from "./names.ts";
import {
  missingTensor,
  openSafetensors,
  type SafetensorsFile,
  type TensorInfo,
} from "./safetensors.ts";

/** Over the size of any file, and small enough for positions in thousands of them to be exact. */
const MAX_FILE_BYTES = 2 ** 42;

/** Tensors by name, whichever file each lies in. */
export class Checkpoint {
  /** Each once, by name: shards are numbered. */
  private readonly files: readonly SafetensorsFile[];

  private constructor(
    /** For messages: the file, or the index. */
    readonly name: string,
    private readonly fileOf: ReadonlyMap<string, SafetensorsFile>,
  ) {
    this.files = [...new Set(fileOf.values())].sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /**
   * A checkpoint of one file.
   *
   * @throws {WeightsError} if the file is malformed
   */
  static async open(source: ByteSource): Promise<Checkpoint> {
    const file = await openOrClose(source);
    return new Checkpoint(file.name, new Map([...file.tensors.keys()].map((name) => [name, file])));
  }

  /**
   * A checkpoint in shards: `{"weight_map": {tensor: file, …}}`, Hugging Face's `model.safetensors.index.json`.
   *
   * @param index the parsed index
   * @param name the index's name, for messages
   * @param open opens a file beside the index; only asked for plain file names
   * @throws {WeightsError} if the index or a shard is malformed, or a shard lacks a tensor that the index lists
   */
  static async openSharded(
    index: unknown,
    name: string,
    open: (file: string) => Promise<ByteSource>,
  ): Promise<Checkpoint> {
    const weightMap = parseWeightMap(index, name);
    const shards = new Map<string, SafetensorsFile>();
    const fileOf = new Map<string, SafetensorsFile>();
    try {
      for (const [tensor, fileName] of weightMap) {
        let shard = shards.get(fileName);
        if (!shard) shards.set(fileName, shard = await openOrClose(await open(fileName)));
        if (!shard.tensors.has(tensor)) {
          throw new WeightsError(
            `Cannot read "${name}": it places tensor ${
              quote(tensor)
            } in "${fileName}", which does not have it`,
          );
        }
        fileOf.set(tensor, shard);
      }
    } catch (error) {
      for (const shard of shards.values()) shard.close();
      throw error;
    }
    return new Checkpoint(name, fileOf);
  }

  /** Names of all tensors. */
  names(): Iterable<string> {
    return this.fileOf.keys();
  }

  /** Whether there is a tensor of that name. */
  has(name: string): boolean {
    return this.fileOf.has(name);
  }

  /** What is known of a tensor; throws a {@link WeightsError} if there is none, as all that follow. */
  info(name: string): TensorInfo {
    return this.fileWith(name).info(name);
  }

  /** The bytes of a tensor as stored; see {@link SafetensorsFile.read}. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.fileWith(name).read(name);
  }

  /** The bytes of some rows of a 2-D tensor; see {@link SafetensorsFile.readRows}. */
  async readRows(name: string, firstRow: number, rows: number): Promise<Uint8Array<ArrayBuffer>> {
    return await this.fileWith(name).readRows(name, firstRow, rows);
  }

  /** The same into `target`; see {@link SafetensorsFile.readRowsInto}. */
  async readRowsInto(
    name: string,
    firstRow: number,
    rows: number,
    target: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    await this.fileWith(name).readRowsInto(name, firstRow, rows, target);
  }

  /** A place in the order in which tensors are read fastest: file after file, from the beginning of each. */
  position(name: string): number {
    const file = this.fileWith(name);
    return this.files.indexOf(file) * MAX_FILE_BYTES + file.position(name);
  }

  /** Closes the files; reads after it fail. */
  close(): void {
    for (const file of this.files) file.close();
  }

  /** A floating-point tensor, widened exactly; see {@link SafetensorsFile.readFloat32}. */
  async readFloat32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return await this.fileWith(name).readFloat32(name);
  }

  /**
   * A tensor's info, if it has the shape that the model gives it. Call it before any memory is allocated.
   *
   * @throws {WeightsError} if the tensor is missing or has another shape
   */
  expectShape(name: string, shape: readonly number[]): TensorInfo {
    const file = this.fileWith(name);
    const info = file.info(name);
    const same = info.shape.length === shape.length && info.shape.every((n, i) => n === shape[i]);
    if (!same) {
      throw new WeightsError(
        `Tensor ${quote(name)} has shape [${info.shape.join(", ")}], expected [${
          shape.join(", ")
        }] (in "${file.name}": do the weights belong to this config.json?)`,
      );
    }
    return info;
  }

  private fileWith(name: string): SafetensorsFile {
    const file = this.fileOf.get(name);
    if (file) return file;
    throw missingTensor(name, this.name, this.names());
  }
}

/** {@link openSafetensors}; a file that is malformed does not stay open. */
async function openOrClose(source: ByteSource): Promise<SafetensorsFile> {
  try {
    return await openSafetensors(source);
  } catch (error) {
    source.close?.();
    throw error;
  }
}

/** The pairs of tensor and file in an index. */
function parseWeightMap(index: unknown, name: string): [string, string][] {
  const weightMap = (index as { weight_map?: unknown } | null)?.weight_map;
  const isMap = typeof weightMap === "object" && weightMap !== null && !Array.isArray(weightMap);
  const entries: [string, unknown][] = isMap ? Object.entries(weightMap) : [];
  if (entries.length === 0) {
    throw new WeightsError(`Cannot read "${name}": it has no "weight_map" of tensors to files`);
  }
  return entries.map(([tensor, file]) => {
    if (typeof file !== "string" || !isPlainFileName(file)) {
      throw new WeightsError(
        `Cannot read "${name}": the file of tensor ${quote(tensor)} is ${
          brief(file)
        }, not the plain name of a file beside it`,
      );
    }
    return [tensor, file];
  });
}

/** Whether a name stays in its folder: no separators, no `..`, nothing that a platform reads as more than a name. */
export function isPlainFileName(name: string): boolean {
  // deno-lint-ignore no-control-regex
  return name.length > 0 && name.length <= 255 && !/[/\\:\x00-\x1f]|^\.\.?$/.test(name);
}
