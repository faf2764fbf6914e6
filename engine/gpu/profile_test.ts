import { assertEquals } from "@std/assert";
import { describeAdapter, type DeviceProfile, lanesOf, profileOf, registersOf } from "./profile.ts";

/**
 * [vendor, architecture, device, description] as Deno, Dawn or a browser gives them. Those of lavapipe and SwiftShader were read
 * here, the others put together from public reports.
 */
const ADAPTERS: Record<DeviceProfile, readonly (readonly [string, string, string, string])[]> = {
  software: [
    ["65541", "", "0", "llvmpipe (LLVM 15.0.6, 256 bits)"],
    ["6880", "", "49374", "SwiftShader Device (Subzero)"],
    ["google", "swiftshader", "swiftshader-device-subzero-", "SwiftShader driver 5.0.0"],
    ["5140", "", "140", "Microsoft Basic Render Driver"],
  ],
  discrete: [
    ["4318", "", "9009", "NVIDIA H100 80GB HBM3"],
    ["4318", "", "8708", "NVIDIA GeForce RTX 3090"],
    ["nvidia", "ampere", "nvidia-geforce-rtx-3090", "NVIDIA: 535.104.05 535.104.5.0"],
    ["nvidia", "ada", "", ""], // a browser
    ["5140", "", "0", "Microsoft Direct3D12 (NVIDIA GeForce RTX 3070)"],
    ["4098", "", "29772", "AMD Radeon RX 7900 XTX (RADV NAVI31)"],
    ["4098", "", "26559", "AMD Radeon RX 6600M"],
    ["4098", "", "29601", "AMD Instinct MI210 (RADV ALDEBARAN)"],
    ["4098", "", "26287", "AMD Radeon Pro 5500M"],
    ["amd", "rdna-3", "amd-radeon-rx-7900-xtx-radv-navi31-", "radv Mesa 24.0.5"],
    ["amd", "rdna-2", "", ""],
    ["32902", "", "22176", "Intel(R) Arc(tm) A770 Graphics (DG2)"],
    ["32902", "", "57867", "Intel(R) Arc(TM) B580 Graphics"],
    ["32902", "", "22162", "Intel(R) Arc(TM) A370M Graphics"],
    ["32902", "", "22167", "Intel(R) Arc(TM) Pro A40 Graphics"],
    ["32902", "", "22208", "Intel(R) Data Center GPU Flex 170"],
    ["intel", "gen-12hp", "intel-r-arc-tm-a770-graphics-dg2-", "Intel open-source Mesa driver"],
  ],
  integrated: [
    ["32902", "", "18086", "Intel(R) UHD Graphics 770 (ADL-S GT1)"],
    ["32902", "", "39497", "Intel(R) Iris(R) Xe Graphics (TGL GT2)"],
    ["32902", "", "32085", "Intel(R) Arc(tm) Graphics (MTL)"],
    ["32902", "", "25760", "Intel(R) Arc(TM) 140V GPU (16GB)"],
    ["intel", "gen-12lp", "intel-r-iris-r-xe-graphics-tgl-gt2-", "Intel open-source Mesa driver"],
    ["intel", "xe-2lpg", "", ""],
    ["4098", "", "5686", "AMD Radeon Graphics (RADV RENOIR)"],
    ["4098", "", "5567", "AMD Radeon 780M (RADV PHOENIX)"],
    ["4098", "", "5510", "AMD Radeon(TM) Graphics"],
    ["4098", "", "5597", "AMD Radeon(TM) Vega 8 Graphics"],
    ["4098", "", "5510", "AMD Radeon(TM) 8060S Graphics"],
    ["4098", "", "5695", "AMD Custom GPU 0405 (RADV VANGOGH)"],
    ["amd", "rdna-3", "amd-radeon-780m-radv-phoenix-", "radv Mesa 24.0.5"],
    ["4318", "", "0", "NVIDIA Tegra Orin (nvgpu)"],
    ["20803", "", "1124073472", "Adreno (TM) 740"],
    ["arm", "valhall", "mali-g715", "Mali-G715"],
    ["5045", "", "1", "Mali-G78"],
    ["", "", "", ""],
  ],
  apple: [
    ["0", "", "0", "Apple M1 Pro"], // Deno: Metal has no PCI ids
    ["4203", "", "0", "Apple M2 (Asahi)"],
    ["apple", "metal-3", "", ""],
    ["apple", "common-3", "apple-m3-max", "Metal driver on macOS Version 14.5"],
  ],
};

for (const [profile, adapters] of Object.entries(ADAPTERS)) {
  Deno.test(`adapters that are ${profile}`, () => {
    for (const [vendor, architecture, device, description] of adapters) {
      const info = { vendor, architecture, device, description } as GPUAdapterInfo;
      const found = profileOf(describeAdapter({ info }));
      assertEquals(found, profile, `${vendor} ${architecture} ${device} ${description}`);
    }
  });
}

Deno.test("an adapter that says it stands in for a real one computes in software, whatever its name", () => {
  const info = { vendor: "nvidia", isFallbackAdapter: true } as unknown as GPUAdapterInfo;
  assertEquals(profileOf(describeAdapter({ info })), "software");
});

Deno.test("registersOf() tells the GPUs of Nvidia and AMD from the others", () => {
  const registers = (profile: DeviceProfile) =>
    ADAPTERS[profile].map(([vendor, architecture, device, description]) => {
      const info = { vendor, architecture, device, description } as GPUAdapterInfo;
      return registersOf(describeAdapter({ info }));
    });
  assertEquals(registers("apple"), ADAPTERS.apple.map(() => 128));
  assertEquals(registers("software"), ADAPTERS.software.map(() => 255));
  const intel = ADAPTERS.discrete.map((words) => words.join().match(/intel/i) ? 128 : 255);
  assertEquals(registers("discrete"), intel);
});

Deno.test("lanesOf() reads the width of an adapter's vectors, where its words tell it", () => {
  const lanes = (device: string, description: string) =>
    lanesOf({ vendor: "", architecture: "", device, description, software: true });
  assertEquals(lanes("0", "llvmpipe (LLVM 15.0.6, 512 bits)"), 16);
  const dawn = "llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1";
  assertEquals(lanes("llvmpipe-llvm-15-0-6-512-bits-", dawn), 16);
  assertEquals(lanes("0", "llvmpipe (LLVM 15.0.6, 256 bits)"), 8);
  assertEquals(lanes("49374", "SwiftShader Device (Subzero)"), 8);
});
