/** Kernels: a shader's source with its constants set, and the pipeline made of it. */

import { DeviceError } from "../errors.ts";
import type { Timings } from "./timings.ts";

/** One specialisation of one .wgsl file. Made once, then looked up by {@link KernelCache}. */
export interface Kernel {
  /** The .wgsl file without its ending, such as `matmul`. */
  readonly name: string;
  readonly code: string;
  /** Values of the shader's `override`s, and of such `const`s as {@link withConstants} writes in. */
  readonly constants: Readonly<Record<string, number>>;
  /** Small and unique per device; part of the bind-group keys. */
  readonly id: number;
  /** Resolves when compiled; all kernels that were asked for compile side by side. */
  readonly pipeline: Promise<GPUComputePipeline>;
}

/**
 * A shader's source with these values in the place of those of its `const`s, for what WGSL wants to know before it knows `override`s, and
 * the values that are left for those.
 */
export function withConstants(
  source: string,
  constants: Readonly<Record<string, number>>,
): { code: string; overrides: Record<string, number> } {
  const overrides: Record<string, number> = {};
  let code = source;
  for (const [name, value] of Object.entries(constants)) {
    const line = new RegExp(`\\bconst ${name} = \\d+u;`);
    if (line.test(code)) code = code.replace(line, `const ${name} = ${value}u;`);
    else overrides[name] = value;
  }
  return { code, overrides };
}

/** Compiles each specialisation once. */
export class KernelCache {
  #kernels = new Map<string, Kernel>();

  /** @param wait how something of the device is waited for */
  constructor(
    private readonly device: GPUDevice,
    private readonly timings?: Timings,
    private readonly wait: <T>(work: Promise<T>) => Promise<T> = (work) => work,
  ) {}

  /** The kernel of a shader with these constants; compilation starts at once. */
  get(name: string, code: string, constants: Record<string, number> = {}): Kernel {
    const key = `${name} ${JSON.stringify(constants)}`;
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      const compiled = this.wait(this.#compile(name, code, constants));
      const pipeline = this.timings?.during("compile", compiled) ?? compiled;
      pipeline.catch(() => {}); // whoever dispatches it gets the error
      kernel = { name, code, constants, id: this.#kernels.size, pipeline };
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  /** Every specialisation made so far. */
  list(): Kernel[] {
    return [...this.#kernels.values()];
  }

  async #compile(name: string, source: string, constants: Record<string, number>) {
    const { code, overrides } = withConstants(source, constants);
    // Dawn reports what it cannot parse to the device too, of which the kernel's name would not be told.
    this.device.pushErrorScope("validation");
    const module = this.device.createShaderModule({ label: name, code });
    this.device.popErrorScope().catch(() => {}); // the pipeline fails then
    try {
      return await this.device.createComputePipelineAsync({
        label: name,
        layout: "auto",
        compute: { module, entryPoint: "main", constants: overrides },
      });
    } catch (cause) {
      const info = await module.getCompilationInfo().catch(() => undefined);
      const messages = info?.messages.map((m) => `line ${m.lineNum}: ${m.message}`) ?? [];
      const reason = messages.join("; ") ||
        (cause instanceof Error ? cause.message : String(cause));
      throw new DeviceError(`Cannot compile kernel "${name}" on this adapter: ${reason}`, {
        cause,
      });
    }
  }
}
