// Strict JSON in, canonical JSON (JCS, RFC 8785) out.
//
// `JSON.parse` lets two things pass that a verifier must not: a name that occurs twice (readers disagree which
// counts) and a number that the platform cannot hold. The scanner below refuses both and leaves the rest to it.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const MAX_DEPTH = 32;

/** Parses JSON; throws on duplicate names, unsafe integers, lone surrogates and deep nesting. */
export function parseStrict(text: string): Json {
  const value = JSON.parse(text) as Json;
  refuseDuplicates(text);
  refuseUnsafe(value, 0);
  return value;
}

/** RFC 8785: names sorted by UTF-16 code units, no spaces, numbers and strings as ECMAScript writes them. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.keys(value)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${canonical(value[name] ?? null)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value);
}

/** Whether a value is a JSON object. */
export function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function refuseUnsafe(value: Json, depth: number): void {
  if (depth > MAX_DEPTH) throw new SyntaxError('nested too deeply');
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new SyntaxError('a number is not a safe integer');
  if (typeof value === 'string' && !value.isWellFormed()) throw new SyntaxError('a lone surrogate');
  if (Array.isArray(value)) for (const item of value) refuseUnsafe(item, depth + 1);
  else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      if (name === '__proto__' || !name.isWellFormed()) throw new SyntaxError('a name that is not allowed');
      refuseUnsafe(item, depth + 1);
    }
  }
}

/** Walks over text that `JSON.parse` accepted, so a string after `{`, or after `,` in an object, is a name. */
function refuseDuplicates(text: string): void {
  const scopes: (Set<string> | null)[] = [];
  let nameNext = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '{') {
      scopes.push(new Set());
      nameNext = true;
    } else if (character === '[') scopes.push(null);
    else if (character === '}' || character === ']') scopes.pop();
    else if (character === ',') nameNext = scopes.at(-1) instanceof Set;
    else if (character === '"') {
      const end = endOfString(text, at);
      const names = scopes.at(-1);
      if (nameNext && names) {
        const name = JSON.parse(text.slice(at, end + 1)) as string;
        if (names.has(name)) throw new SyntaxError('a name occurs twice');
        names.add(name);
        nameNext = false;
      }
      at = end;
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}
