/** As much of protobuf's wire format as an ONNX file takes (https://protobuf.dev/programming-guides/encoding). */

/** A float is written as a fixed 32-bit word. */
export class Float {
  constructor(readonly value: number) {}
}

/** A message: its fields in order, each with its number. Numbers are varints; texts, bytes and messages have a length. */
export type Message = readonly Field[];

/** One field. */
export type Field = readonly [number, number | Float | string | Uint8Array<ArrayBuffer> | Message];

/** The pieces of an encoded message; large bytes are not copied on the way. */
export function encode(message: Message): Uint8Array<ArrayBuffer>[] {
  return message.flatMap(([number, value]) => {
    if (value instanceof Float) {
      return [varint(number * 8 + 5), new Uint8Array(new Float32Array([value.value]).buffer)];
    }
    if (typeof value === "number") return [varint(number * 8), varint(value)];
    const body = bodyOf(value);
    const length = body.reduce((sum, part) => sum + part.length, 0);
    return [varint(number * 8 + 2), varint(length), ...body];
  });
}

function bodyOf(value: string | Uint8Array<ArrayBuffer> | Message): Uint8Array<ArrayBuffer>[] {
  if (typeof value === "string") return [new TextEncoder().encode(value)];
  return value instanceof Uint8Array ? [value] : encode(value);
}

/** Seven bits a byte, the lowest first; negative numbers as 64 bits. */
function varint(value: number): Uint8Array<ArrayBuffer> {
  let left = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(left & 127n) | (left > 127n ? 128 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Uint8Array.from(bytes);
}
