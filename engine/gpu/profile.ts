/** What class of adapter this is. Kernels come in variants, and the class chooses among them; whatever it is, the bits are the same. */

/**
 * - `software`: WebGPU on CPU cores, which wants neither workgroup memory nor barriers
 * - `integrated`: a GPU that shares the machine's memory, with few and narrow cores
 * - `discrete`: a GPU with a memory of its own
 * - `apple`: Apple's, which share the machine's memory and are as wide as the discrete ones
 */
export const DEVICE_PROFILES = ["software", "integrated", "discrete", "apple"] as const;

/** One of {@link DEVICE_PROFILES}. */
export type DeviceProfile = typeof DEVICE_PROFILES[number];

/** Describes the adapter in words, for manifests and tables. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  software: boolean;
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|basic render|\bcpu\b/i;

/** Reads the adapter's own words; a missing field is an empty string. */
export function describeAdapter(adapter: Pick<GPUAdapter, "info">): AdapterDescription {
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

/**
 * The lanes of the vectors that an adapter computes with on CPU cores, as far as kernels go by it: 16 where its words tell of 512 bits
 * (llvmpipe's do), else 8.
 */
export function lanesOf({ device, description }: AdapterDescription): 8 | 16 {
  return /\b512[ -]bits\b/.test(`${device} ${description}`) ? 16 : 8;
}

/**
 * Registers of 32 bits that a thread may have before some of them go to memory: 255 on Nvidia's and 256 on AMD's GPUs, 128 on Apple's and,
 * with eight lanes a thread, on Intel's, as far as is published. CPU cores have what is left over in their caches.
 */
export function registersOf(adapter: AdapterDescription): 128 | 255 {
  if (adapter.software) return 255;
  const words = wordsOf(adapter);
  return /\b(nvidia|amd|radeon)\b/.test(words) ? 255 : 128;
}

/** PCI ids of vendors, by which Deno names them, as decimal numbers. Apple has none there: its adapters are known by their names. */
const VENDORS: Record<string, string> = {
  "4098": "amd",
  "4203": "apple",
  "4318": "nvidia",
  "32902": "intel",
};

/** Nvidia's systems on a chip. */
const TEGRA = /\b(tegra|xavier|orin|jetson)\b/;

/** Intel's cards: Arc with a letter and a number (Arc alone, and Arc 130V, are in processors), by codename, or for servers. */
const INTEL_CARD =
  /\barc (tm )?(pro )?[ab]\d{2,3}[a-z]?\b|\b(dg1|dg2|bmg|gen 12hp|xe 2hpg)\b|\bdata center gpu\b/;

/** AMD's graphics in processors, by the forms of their names and by the codenames that Mesa adds. */
const AMD_PROCESSOR = new RegExp(
  "\\bradeon (tm )?(r\\d )?graphics\\b|\\bradeon (tm )?\\d{3}m\\b|\\b80[456]0s\\b|\\bvega \\d{1,2} graphics\\b|\\bcustom gpu\\b|" +
    "\\b(raven|picasso|renoir|lucienne|cezanne|barcelo|vangogh|rembrandt|mendocino|raphael|phoenix|hawk|strix)",
);

/**
 * The class of an adapter. WebGPU does not tell it, so it is read from the names: Deno gives the vendor's PCI id and the driver's name of the
 * device as the description, Dawn the vendor's name, the architecture, and the device's name in lower case with dashes.
 * What is not known is taken for `integrated`, whose variants ask for the least.
 */
export function profileOf(adapter: AdapterDescription): DeviceProfile {
  if (adapter.software) return "software";
  const words = wordsOf(adapter);
  const has = (word: string) => ` ${words} `.includes(` ${word} `);
  if (has("apple")) return "apple";
  if (has("nvidia")) return TEGRA.test(words) ? "integrated" : "discrete";
  if (has("intel")) return INTEL_CARD.test(words) ? "discrete" : "integrated";
  if (has("amd") || has("radeon")) return AMD_PROCESSOR.test(words) ? "integrated" : "discrete";
  return "integrated";
}

/** What an adapter says of itself, in lower case, with a space between two words. */
function wordsOf({ vendor, architecture, device, description }: AdapterDescription): string {
  return [VENDORS[vendor] ?? vendor, architecture, device, description].join(" ")
    .toLowerCase().replace(/[^a-z0-9]+/g, " ");
}
