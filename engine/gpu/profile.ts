/** What class of adapter this is. Kernels come in variants, and the class chooses among them. */

/** `software`: WebGPU on CPU cores. `gpu`: a real GPU, which wants shared memory and wide workgroups. */
export type DeviceProfile = "software" | "gpu";

/** Describes the adapter in words, for manifests and tables. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  software: boolean;
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render|cpu/i;

/** Reads the adapter's own words; a missing field is an empty string. */
export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const info = adapter.info as Partial<GPUAdapterInfo> & { isFallbackAdapter?: boolean };
  const words = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return {
    vendor: info.vendor ?? "",
    architecture: info.architecture ?? "",
    device: info.device ?? "",
    description: info.description ?? "",
    software: info.isFallbackAdapter === true || SOFTWARE.test(words),
  };
}

/** One name for a person: the description, or what else the adapter tells. */
export function adapterName(info: AdapterDescription): string {
  return info.description ||
    [info.vendor, info.architecture, info.device].filter(Boolean).join(" ");
}
