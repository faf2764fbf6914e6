/** Sequences that share a prefix, in groups that go through its keys together: for attention_prefix_texel.wgsl. */

import type { Recorder } from "./gpu/recorder.ts";
import { GROUP_TOKENS, type SharedPrefixes } from "./ops/attention_each.ts";
import { KEY_CHUNK } from "./ops/grid.ts";

/** Fewer tokens than these are sooner done each by itself than in a group's places for eight. */
const LEAST_OF_GROUP = 3;

/** Numbers of a group, as the shader reads it: its tokens, then the prefix. */
const GROUP_NUMBERS = GROUP_TOKENS + 4;

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
  const passed = new Uint32Array(info.length / 4);
  const prefixes = new Map<string, { start: number; keys: number; tokens: number[] }>();
  for (let t = 0; t < passed.length; t++) {
    const [start, length] = info.subarray(4 * t, 4 * t + 2);
    const keys = length - length % KEY_CHUNK;
    if (keys === 0) continue;
    const name = `${start} ${keys}`;
    const prefix = prefixes.get(name);
    if (prefix) prefix.tokens.push(t);
    else prefixes.set(name, { start, keys, tokens: [t] });
  }
  const groups: number[] = [];
  for (const { start, keys, tokens } of prefixes.values()) {
    for (let i = 0; i + LEAST_OF_GROUP <= tokens.length; i += GROUP_TOKENS) {
      const group = tokens.slice(i, i + GROUP_TOKENS);
      for (const t of group) passed[t] = keys;
      // Places that are left over work the last one out again.
      while (group.length < GROUP_TOKENS) group.push(group.at(-1)!);
      groups.push(...group, start, keys, 0, 0);
    }
  }
  return groups.length > 0 ? { groups: Uint32Array.from(groups), passed } : undefined;
}

/** What the tokens with this info share, on the device until the recorder submits; nothing where {@link prefixGroups} finds nothing. */
export function sharedPrefixes(recorder: Recorder, info: Uint32Array): SharedPrefixes | undefined {
  const found = prefixGroups(info);
  if (!found) return undefined;
  const { groups, passed } = found;
  return {
    groups: recorder.upload(groups),
    count: groups.length / GROUP_NUMBERS,
    passed: recorder.upload(passed),
  };
}
