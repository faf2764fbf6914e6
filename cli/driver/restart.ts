/** Replaces this process by another program, or by itself under other environment variables. */

import { DeviceError } from "../../engine/errors.ts";

function libc(): string {
  return Deno.build.os === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
}

function terminated(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length + 1);
  out.set(bytes);
  return out;
}

/**
 * Runs `program` in place of this process, as the shell's `exec` does: the process id stays, so signals, the terminal and
 * the exit code need no passing on.
 *
 * @param args The arguments after the program's name, without zero bytes; bytes, as they need not be UTF-8.
 * @param variables Environment variables to set beside those that stand.
 * @throws {DeviceError} when the system refuses.
 */
export function replaceProcess(
  program: string,
  args: readonly Uint8Array[],
  variables: Readonly<Record<string, string>> = {},
): never {
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  const path = terminated(new TextEncoder().encode(program));
  const strings = [path, ...args.map(terminated)];
  // A null pointer ends the vector.
  const vector = new BigUint64Array(strings.length + 1);
  strings.forEach((bytes, i) => {
    vector[i] = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  });
  const library = Deno.dlopen(libc(), {
    execv: { parameters: ["buffer", "buffer"], result: "i32" },
  });
  // Returns only on failure.
  library.symbols.execv(path, vector);
  library.close();
  throw new DeviceError(`Cannot start "${program}" in place of this process: execv failed`);
}

/** The bytes between zero bytes. */
function splitAtZeros(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const zero = bytes.indexOf(0, start);
    const end = zero < 0 ? bytes.length : zero;
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

/** Starts this very command line anew under `variables`. Linux only: elsewhere a process cannot read its own flags. */
export function restartSelf(variables: Readonly<Record<string, string>>): never {
  const [, ...args] = splitAtZeros(Deno.readFileSync("/proc/self/cmdline"));
  return replaceProcess(Deno.execPath(), args, variables);
}
