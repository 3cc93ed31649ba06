// How a policy is read and applied. A policy is data, with the same keys for `cloister-verify` and for this package; a key
// that is absent is not checked, and the check says so. An unknown key or a value of the wrong form makes the whole policy
// invalid: a rule that is spelt wrongly must not be a rule that is skipped.

import { fromAnyHex, toHex } from './bytes';
import { type Check, Checklist, type Planned, type Refusal, type Stage, type Verified } from './checks';
import type { Reason } from './reasons';

/** One key of a policy. Several may belong to one check: it fails if one of them does. */
export interface Rule<C, V> {
  readonly id: string;
  readonly code: Reason;
  /** What to do when it does not hold. */
  readonly fix: string;
  readonly stage?: Stage;
  /** What is wanted where the policy has no such key, for checks that are always made. */
  readonly absent?: V;
  /** The value in its own type, or null where it has another form. */
  read(value: unknown): V | null;
  /** Whether this value demands anything of this evidence. */
  asks?(claims: C, wanted: V): boolean;
  holds(claims: C, wanted: V, all: Values): boolean;
  /** What was found, in words. */
  found(claims: C, wanted: V): string;
}

/** The values of a policy, by their keys. */
export type Values = ReadonlyMap<string, unknown>;

/** The rules by their keys, in the order in which they are reported; a reader alone is a parameter of other rules. */
export type Rules<C> = ReadonlyMap<string, Rule<C, never> | Rule<C, never>['read']>;

/** Whether verified evidence is wanted. */
export interface Judgement {
  readonly accepted: boolean;
  /** The first rule that did not hold. */
  readonly refusal: Refusal | null;
  /** All rules: those that the policy does not have are not done. */
  readonly checks: readonly Check[];
}

/** Makes a table of rules, each typed by its own reader. */
export function rules<C>(
  make: (rule: <V>(key: string, rule: Rule<C, V> | Rule<C, V>['read']) => void) => void,
): Rules<C> {
  const table = new Map<string, Rule<C, never>>();
  make((key, rule) => table.set(key, rule as Rule<C, never>));
  return table;
}

/** The check that the policy itself can be read, and then those of the rules. */
export function planOf<C>(table: Rules<C>, format: string): Planned[] {
  const plan = new Map<string, Planned>();
  plan.set(format, { id: format, stage: 'policy', required: true, fix: 'correct the policy' });
  for (const rule of table.values()) {
    if (typeof rule === 'function' || plan.has(rule.id)) continue;
    const { id, stage = 'policy', fix, absent } = rule;
    plan.set(id, { id, stage, required: absent !== undefined, fix });
  }
  return [...plan.values()];
}

/** Applies a policy. All rules are looked at, so that a report lists everything that is wrong. */
export function judge<C>(table: Rules<C>, format: string, claims: Verified<C>, policy: unknown): Judgement {
  const list = new Checklist(planOf(table, format));
  const wanted = read(table, policy);
  if (typeof wanted === 'string') {
    list.expect(format, false, '', wanted);
    return { accepted: false, refusal: refusal(list, format, 'POLICY_MALFORMED'), checks: list.checks };
  }
  list.pass(format, 'the policy can be read');
  const failed = new Map<string, Reason>();
  for (const { id } of list.checks) if (id !== format) list.notDone(id, 'the policy says nothing about it');
  for (const [key, rule] of table) {
    if (typeof rule === 'function') continue;
    const value = (wanted.get(key) ?? rule.absent) as never | undefined;
    if (value === undefined || failed.has(rule.id) || rule.asks?.(claims, value) === false) continue;
    const found = rule.found(claims, value);
    if (!list.expect(rule.id, rule.holds(claims, value, wanted), found, found)) failed.set(rule.id, rule.code);
  }
  const first = list.checks.find(({ id }) => failed.has(id));
  const code = first && failed.get(first.id);
  return { accepted: !code, refusal: code ? refusal(list, first.id, code) : null, checks: list.checks };
}

function refusal(list: Checklist, id: string, code: Reason): Refusal {
  const check = list.checks.find((check) => check.id === id);
  return { code, check: id, stage: check?.stage ?? 'policy', reason: check?.reason ?? '' };
}

/** The values by their keys, or what is wrong with them. */
function read<C>(table: Rules<C>, policy: unknown): Values | string {
  if (policy === null || typeof policy !== 'object' || Array.isArray(policy)) return 'the policy is not an object';
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(policy)) {
    const rule = table.get(key);
    if (!rule) return `the policy has a key that is not known: ${key.slice(0, 60)}`;
    const wanted = typeof rule === 'function' ? rule(value) : rule.read(value);
    if (wanted === null) return `the policy's ${key} has the wrong form`;
    values.set(key, wanted);
  }
  return values;
}

/** A boolean. */
export function flag(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null;
}

/** An integer from 0 to `max`. */
export function upTo(max: number): (value: unknown) => number | null {
  return (value) => (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max ? value : null);
}

/** A text. */
export function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** `major.minor`, as major × 256 + minor. */
export function twoPart(value: unknown): number | null {
  const parts = typeof value === 'string' ? /^(\d{1,3})\.(\d{1,3})$/.exec(value) : null;
  const [major, minor] = [Number(parts?.[1]), Number(parts?.[2])];
  return major <= 255 && minor <= 255 ? major * 256 + minor : null;
}

/** Hex of this many bytes, in lower case. */
export function hexOf(length: number): (value: unknown) => string | null {
  return (value) => {
    const bytes = fromAnyHex(value, length);
    return bytes && toHex(bytes);
  };
}

/** A list of at most 1000 values. */
export function listOf<V>(item: (value: unknown) => V | null): (value: unknown) => V[] | null {
  return (value) => {
    if (!Array.isArray(value) || value.length > 1000) return null;
    const items = value.map(item);
    return items.includes(null) ? null : (items as V[]);
  };
}

/** One of these words. */
export function oneOf<W extends string>(words: readonly W[]): (value: unknown) => W | null {
  return (value) => words.find((word) => word === value) ?? null;
}
