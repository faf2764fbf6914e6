/** Queries of sequences that share a prefix, in groups that go through its keys together: for attention_prefix_texel.wgsl. */

import type { Recorder } from "./gpu/recorder.ts";
import { GROUP_QUERIES, type SharedPrefixes } from "./ops/attention_each.ts";
import { KEY_CHUNK } from "./ops/grid.ts";

/** Fewer queries than these are sooner done each by itself than in a group's places for twelve. */
const LEAST_OF_GROUP = 5;

/** Numbers of a group, as the shader reads it: its queries, then the prefix. */
const GROUP_NUMBERS = GROUP_QUERIES + 4;

/** Groups `[count, 16]` of queries, and how many keys, from the first on, each token's groups go through: `[tokens]`. */
export interface PrefixGroups {
  groups: Uint32Array<ArrayBuffer>;
  passed: Uint32Array<ArrayBuffer>;
}

/**
 * The groups of a batch that brings one token a sequence, or nothing where there are none.
 *
 * @param info token info, as attention.wgsl has it: `[tokens, 4]`
 * @param share heads that read the keys of one key head
 */
export function prefixGroups(info: Uint32Array, share: number): PrefixGroups | undefined {
  const passed = new Uint32Array(info.length / 4);
  const prefixes = new Map<string, { start: number; keys: number; tokens: number[] }>();
  for (let t = 0; t < passed.length; t++) {
    const [start, length] = [info[4 * t], info[4 * t + 1]];
    const keys = length - length % KEY_CHUNK;
    if (keys === 0) continue;
    const name = `${start} ${keys}`;
    const prefix = prefixes.get(name);
    if (prefix) prefix.tokens.push(t);
    else prefixes.set(name, { start, keys, tokens: [t] });
  }
  const groups: number[] = [];
  for (const { start, keys, tokens } of prefixes.values()) {
    const grouped = tokens.slice(0, groupedTokens(tokens.length, share));
    for (const t of grouped) passed[t] = keys;
    const queries = grouped.flatMap((t) => Array.from({ length: share }, (_, i) => share * t + i));
    for (let i = 0; i < queries.length; i += GROUP_QUERIES) {
      const group = queries.slice(i, i + GROUP_QUERIES);
      // Places that are left over work the last one out again.
      while (group.length < GROUP_QUERIES) group.push(group.at(-1)!);
      groups.push(...group, start, keys, 0, 0);
    }
  }
  return groups.length > 0 ? { groups: Uint32Array.from(groups), passed } : undefined;
}

/** How many of so many tokens with one prefix are in groups: all, or but for the last ones, where they would have a group to themselves. */
function groupedTokens(tokens: number, share: number): number {
  const rest = tokens * share % GROUP_QUERIES;
  return rest < LEAST_OF_GROUP && rest % share === 0 ? tokens - rest / share : tokens;
}

/**
 * What the tokens with this info share, on the device until the recorder submits; nothing where {@link prefixGroups} finds nothing.
 *
 * @param share heads that read the keys of one key head
 * @param owner see Recorder.uploadOnce: steps of the same sequences share the same
 */
export function sharedPrefixes(
  recorder: Recorder,
  info: Uint32Array,
  share: number,
  owner: object = info,
): SharedPrefixes | undefined {
  const found = prefixGroups(info, share);
  if (!found) return undefined;
  const { groups, passed } = found;
  return {
    groups: recorder.uploadOnce(owner, groups),
    count: groups.length / GROUP_NUMBERS,
    passed: recorder.uploadOnce(owner, passed),
  };
}
