/** Sequences that share a prefix, in groups that go through its keys together: for attention_prefix_texel.wgsl. */

import { GROUP_TOKENS } from "./ops/attention_each.ts";
import { KEY_CHUNK } from "./ops/grid.ts";

/** Fewer tokens than these are sooner done each by itself than in a group's places for eight. */
const LEAST_OF_GROUP = 3;

/** Groups `[count, 12]` of tokens, and how many keys, from the first on, each token's group goes through: `[tokens]`. */
export interface PrefixGroups {
  groups: Uint32Array<ArrayBuffer>;
  passed: Uint32Array<ArrayBuffer>;
}

/**
 * The groups of a batch that brings one token a sequence, or nothing where there are none.
 *
 * @param info token info, as attention.wgsl has it: `[tokens, 4]`
 */
export function prefixGroups(info: Uint32Array): PrefixGroups | undefined {
  const tokens = info.length / 4;
  const members = new Map<string, number[]>();
  for (let t = 0; t < tokens; t++) {
    const [start, length] = info.subarray(4 * t, 4 * t + 2);
    const keys = length - length % KEY_CHUNK;
    if (keys === 0) continue;
    const prefix = `${start} ${keys}`;
    members.set(prefix, [...members.get(prefix) ?? [], t]);
  }
  const groups: number[] = [];
  const passed = new Uint32Array(tokens);
  for (const all of members.values()) {
    const [start, length] = info.subarray(4 * all[0], 4 * all[0] + 2);
    const keys = length - length % KEY_CHUNK;
    for (let i = 0; i + LEAST_OF_GROUP <= all.length; i += GROUP_TOKENS) {
      const group = all.slice(i, i + GROUP_TOKENS);
      for (const t of group) passed[t] = keys;
      // Places that are left over work the last one out again.
      while (group.length < GROUP_TOKENS) group.push(group.at(-1)!);
      groups.push(...group, start, keys, 0, 0);
    }
  }
  return groups.length > 0 ? { groups: Uint32Array.from(groups), passed } : undefined;
}
