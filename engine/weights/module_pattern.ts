/**
 * Patterns of module paths, as PEFT's `rank_pattern` and `alpha_pattern` have them.
 *
 * PEFT (`get_pattern_key`) matches `(.*\.)?(KEY)$` from the start of the path, and KEY is a Python regular expression out of
 * the adapter's config. An expression from a stranger can keep a backtracking engine busy for years, so none is given to
 * `RegExp`: literals, `.`, `\d`, `\w`, classes, groups, `|`, `*`, `+`, `?`, `^` and `$` are read here and run as a
 * non-deterministic automaton (Thompson 1968), in time proportional to pattern × path. Any other syntax is refused.
 */

/** A state of the automaton: it consumes a character that passes `test`, or holds at an anchor, or is free; then goes `to`. */
interface State {
  test?: (character: string) => boolean;
  anchor?: "start" | "end";
  to: State[];
}

/** A piece of the automaton, given what follows it. */
type Fragment = (next: State) => State;

const single = (test: State["test"]): Fragment => (next) => ({ test, to: [next] });
const anchor = (kind: State["anchor"]): Fragment => (next) => ({ anchor: kind, to: [next] });
const sequence = (parts: Fragment[]): Fragment => (next) =>
  parts.reduceRight((following, part) => part(following), next);
const either = (options: Fragment[]): Fragment => (next) => ({
  to: options.map((option) => option(next)),
});
const optional = (body: Fragment): Fragment => (next) => ({ to: [body(next), next] });
const repeated = (body: Fragment, atLeastOnce: boolean): Fragment => (next) => {
  const loop: State = { to: [next] };
  const entry = body(loop);
  loop.to.push(entry);
  return atLeastOnce ? entry : loop;
};

const ANY = () => true;
const isDigit = (character: string) => /^[0-9]$/.test(character);
const isWord = (character: string) => /^[A-Za-z0-9_]$/.test(character);

/** Longest pattern with operators: a path has about 40 characters. */
const MAX_LENGTH = 200;

/**
 * Compiles a key into a predicate over module paths such as `model.layers.0.self_attn.q_proj`.
 *
 * @throws {SyntaxError} if the key uses syntax that is not supported
 */
export function modulePattern(key: string): (path: string) => boolean {
  if (/^[\w.-]+$/.test(key)) return (path) => endsWithPlain(path, key);
  if (key.length > MAX_LENGTH) throw new SyntaxError(`is longer than ${MAX_LENGTH} characters`);
  const accept: State = { to: [] };
  const prefix = optional(sequence([repeated(single(ANY), false), single((c) => c === ".")]));
  const start = sequence([prefix, new PatternParser(key).parse(), anchor("end")])(accept);
  return (path) => matches(start, accept, path);
}

/** The rule for a key without operators, which thousands of modules may have: `.` stands for any character. */
function endsWithPlain(path: string, key: string): boolean {
  const start = path.length - key.length;
  if (start < 0 || (start > 0 && path[start - 1] !== ".")) return false;
  for (let i = 0; i < key.length; i++) {
    if (key[i] !== "." && key[i] !== path[start + i]) return false;
  }
  return true;
}

function matches(start: State, accept: State, path: string): boolean {
  let states = closure([start], 0, path.length);
  for (let i = 0; i < path.length && states.size > 0; i++) {
    const next = [...states].filter((state) => state.test?.(path[i])).flatMap((state) => state.to);
    states = closure(next, i + 1, path.length);
  }
  return states.has(accept);
}

/** The states reached from some without consuming a character. */
function closure(from: State[], position: number, length: number): Set<State> {
  const reached = new Set<State>();
  const pending = [...from];
  for (let state = pending.pop(); state; state = pending.pop()) {
    if (reached.has(state)) continue;
    reached.add(state);
    const blocked = state.test || (state.anchor === "start" && position > 0) ||
      (state.anchor === "end" && position < length);
    if (!blocked) pending.push(...state.to);
  }
  return reached;
}

/** Recursive descent over the key. */
class PatternParser {
  private at = 0;

  constructor(private readonly key: string) {}

  parse(): Fragment {
    const whole = this.alternatives();
    if (this.at < this.key.length) throw this.unsupported();
    return whole;
  }

  private alternatives(): Fragment {
    const options = [this.branch()];
    while (this.take("|")) options.push(this.branch());
    return either(options);
  }

  private branch(): Fragment {
    const parts: Fragment[] = [];
    while (this.at < this.key.length && !"|)".includes(this.key[this.at])) {
      parts.push(this.quantified(this.atom()));
    }
    return sequence(parts);
  }

  private quantified(body: Fragment): Fragment {
    const operator = "*+?".includes(this.key[this.at] ?? " ") ? this.key[this.at++] : "";
    if (!operator) return body;
    this.take("?"); // lazy: whether there is a match does not depend on it
    if ("*+?{".includes(this.key[this.at] ?? " ")) throw this.unsupported();
    return operator === "?" ? optional(body) : repeated(body, operator === "+");
  }

  private atom(): Fragment {
    const character = this.key[this.at++];
    if (character === "(") return this.group();
    if (character === "[") return single(this.characterClass());
    if (character === "\\") return single(this.escaped());
    if (character === ".") return single(ANY);
    if (character === "^") return anchor("start");
    if (character === "$") return anchor("end");
    if (!/[\w-]/.test(character)) throw this.unsupported(-1);
    return single((c) => c === character);
  }

  private group(): Fragment {
    if (this.take("?") && !this.take(":")) throw this.unsupported();
    const body = this.alternatives();
    if (!this.take(")")) throw this.unsupported();
    return body;
  }

  private characterClass(): (c: string) => boolean {
    const negated = this.take("^");
    const members: ((c: string) => boolean)[] = [];
    while (!this.take("]")) {
      const low = this.key[this.at++];
      if (low === undefined || low === "[") throw this.unsupported(-1);
      if (low === "\\") members.push(this.escaped());
      else if (this.key[this.at] === "-" && /[\w]/.test(this.key[this.at + 1] ?? "")) {
        const high = this.key[this.at + 1];
        this.at += 2;
        members.push((c) => low <= c && c <= high);
      } else members.push((c) => c === low);
    }
    if (members.length === 0) throw this.unsupported(-1);
    return (c) => members.some((member) => member(c)) !== negated;
  }

  private escaped(): (c: string) => boolean {
    const character = this.key[this.at++];
    if (character === "d") return isDigit;
    if (character === "w") return isWord;
    if (character === undefined || isWord(character)) throw this.unsupported(-1);
    return (c) => c === character;
  }

  private take(character: string): boolean {
    if (this.key[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private unsupported(shift = 0): SyntaxError {
    return new SyntaxError(`has unsupported syntax at character ${this.at + shift + 1}`);
  }
}
