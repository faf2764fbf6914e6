/** Ordered keys, as kth_largest.wgsl defines them, on the host. */

/** Unsigned integers in the order of the floats. */
export function orderedKey(value: number): number {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer);
  return (bits >>> 31 ? ~bits : bits | 0x80000000) >>> 0;
}

/** The float that a key stands for. */
export function keyValue(key: number): number {
  const bits = key >>> 31 ? key ^ 0x80000000 : ~key;
  return new Float32Array(Uint32Array.of(bits >>> 0).buffer)[0];
}
