/** The header of a safetensors file, checked before anything in it is believed; see `safetensors.ts` for the format. */

import { WeightsError } from "../errors.ts";
import { type Dtype, DTYPE_BYTES, isDtype } from "./dtype.ts";
import { brief, quote } from "./names.ts";
import { parseStrictJson } from "./strict_json.ts";

/** No real tensor has more than eight dimensions; a list of a million would only slow what follows. */
const MAX_DIMENSIONS = 16;

/** A tensor in a file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file's data. */
  readonly begin: number;
  /** One past the last byte. */
  readonly end: number;
}

/** A checked header. */
export interface SafetensorsHeader {
  tensors: Map<string, TensorInfo>;
  metadata: Record<string, string>;
}

/**
 * Parses a header and checks every entry: known dtype, shape of safe integers whose bytes are exactly those between its
 * offsets, and tensors that cover the data from first to last byte.
 *
 * @param bytes the JSON, possibly padded with spaces
 * @param dataBytes length of the data after the header
 * @param file for messages
 * @throws {WeightsError} naming the tensor and what is wrong with it
 */
export function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  file: string,
): SafetensorsHeader {
  const json = parseObject(bytes, file);
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(json)) {
    if (name !== "__metadata__") tensors.set(name, parseEntry(name, entry, dataBytes, file));
  }
  checkCoverage([...tensors.values()], dataBytes, file);
  return { tensors, metadata: parseMetadata(json.__metadata__, file) };
}

function parseObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  let json: unknown;
  try {
    // A byte order mark stays in the text, and so is refused: the format starts with "{".
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    json = parseStrictJson(text, 3);
  } catch (error) {
    const why = (error as Error).message;
    throw new WeightsError(`Cannot read "${file}" as safetensors: its header is not valid: ${why}`);
  }
  if (!isObject(json)) {
    throw new WeightsError(`Cannot read "${file}" as safetensors: its header is not a JSON object`);
  }
  return json;
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== "string")) {
    throw new WeightsError(
      `Cannot read "${file}" as safetensors: "__metadata__" is not an object of texts`,
    );
  }
  return value as Record<string, string>;
}

function parseEntry(name: string, entry: unknown, dataBytes: number, file: string): TensorInfo {
  const fail = (what: string): never => {
    throw new WeightsError(`Cannot read tensor ${quote(name)} of "${file}": ${what}`);
  };
  if (!isObject(entry)) return fail("its header entry is not an object");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    const known = Object.keys(DTYPE_BYTES).join(", ");
    return fail(`its dtype is ${brief(dtype)} (supported: ${known})`);
  }
  if (!isSizes(shape) || shape.length > MAX_DIMENSIONS) {
    return fail(`its shape is ${brief(shape)}, not a list of up to ${MAX_DIMENSIONS} whole sizes`);
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    return fail(`its offsets are ${brief(offsets)}, not a pair of whole numbers`);
  }
  const [begin, end] = offsets;
  if (begin > end) return fail(`its offsets [${begin}, ${end}] run backwards`);
  if (end > dataBytes) {
    return fail(
      `its offsets [${begin}, ${end}] run past the end of the data (${dataBytes} bytes; the file may be truncated)`,
    );
  }
  // In BigInt, because a product of safe integers need not be one.
  const expected = shape.reduce((n, size) => n * BigInt(size), BigInt(DTYPE_BYTES[dtype]));
  if (expected !== BigInt(end - begin)) {
    return fail(
      `its shape [${
        shape.join(", ")
      }] of ${dtype} takes ${expected} bytes, its offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Makes sure that the tensors, in the order of their offsets, follow each other from byte 0 to the last. */
function checkCoverage(tensors: TensorInfo[], dataBytes: number, file: string): void {
  let covered = 0;
  let previous = "";
  for (const { name, begin, end } of tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered) {
      throw new WeightsError(
        `Cannot read "${file}" as safetensors: tensors ${quote(previous)} and ${quote(name)} ` +
          `overlap at bytes ${begin} to ${Math.min(covered, end)} of the data`,
      );
    }
    if (begin > covered) {
      throw new WeightsError(
        `Cannot read "${file}" as safetensors: bytes ${covered} to ${begin} of the data, before ${
          quote(name)
        }, belong to no tensor`,
      );
    }
    covered = end;
    previous = name;
  }
  if (covered < dataBytes) {
    throw new WeightsError(
      `Cannot read "${file}" as safetensors: ${dataBytes - covered} bytes follow the last tensor`,
    );
  }
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
