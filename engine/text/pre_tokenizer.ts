/**
 * Pre-tokenizers that the library reads otherwise than Hugging Face does, written so that it reads them right:
 *
 * - `Split` in the library knows the behaviours Isolated and Removed. The others (a piece with the separators before or behind
 *   it, separators in a row as one piece) are Isolated with a longer pattern.
 * - `Metaspace` with `split` cuts before each mark; in the library it does not cut.
 * - `Digits` in the library are 0 to 9; in Hugging Face's, every number of Unicode.
 * - `ByteLevel` with `use_regex` uses JavaScript's `\s`, which has U+FEFF and lacks U+0085; the library's `Split` has Unicode's.
 */

interface Config {
  type?: string;
  pretokenizers?: unknown[];
  pattern?: { String?: string; Regex?: string };
  behavior?: string;
  invert?: boolean;
  individual_digits?: boolean;
  split?: boolean;
  replacement?: string;
  add_prefix_space?: boolean;
  use_regex?: boolean;
}

/** GPT-2's pattern, which `use_regex` stands for. */
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** `pre_tokenizer` of a `tokenizer.json` as the library should see it; what it reads right stays as it is. */
export function portablePreTokenizer(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const config = value as Config;
  if (config.type === "Sequence" && Array.isArray(config.pretokenizers)) {
    return { ...config, pretokenizers: config.pretokenizers.map(portablePreTokenizer) };
  }
  if (config.type === "Split") return portableSplit(config);
  if (config.type === "Metaspace" && config.split !== false) {
    const mark = escape(config.replacement ?? "\u2581");
    return sequence(config, isolated(`${mark}(?:(?!${mark})[\\s\\S])*`));
  }
  if (config.type === "Digits") return isolated(config.individual_digits ? "\\p{N}" : "\\p{N}+");
  const bare = config.type === "ByteLevel" && config.add_prefix_space !== true;
  if (bare && config.use_regex !== false) {
    return sequence(isolated(WORDS), { ...config, use_regex: false });
  }
  return value;
}

function portableSplit(config: Config): Config {
  const { String: text, Regex } = config.pattern ?? {};
  const pattern = Regex ?? (text === undefined ? undefined : escape(text));
  if (pattern === undefined) return config;
  if (config.behavior === "MergedWithPrevious") {
    // That the end of the text ends a piece too saves looking for the pattern anew from every place behind the last one.
    return isolated(`[\\s\\S]*?(?:${pattern}|(?![\\s\\S]))`);
  }
  if (config.behavior === "MergedWithNext") {
    return isolated(`(?:${pattern})(?:(?!${pattern})[\\s\\S])*`);
  }
  if (config.behavior === "Contiguous") return isolated(`(?:${pattern})+`);
  // The library would keep the separators, if they are given as a text.
  if (config.behavior === "Removed") return { ...config, pattern: { Regex: pattern } };
  // Matches and the text between them are pieces alike, so it does not matter which is which.
  return config.behavior === "Isolated" ? { ...config, invert: false } : config;
}

function isolated(pattern: string): Config {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

function sequence(...pretokenizers: unknown[]): Config {
  return { type: "Sequence", pretokenizers };
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
