// Which image is this? The named sets of launch measurements of a policy, `[[reference.measurement]]`, and whether the
// policy judges hardware of this kind at all. Ids and words are those of `cloister-policies`.

import { toHex } from './bytes';
import { Checklist, type Planned, optional, required } from './checks';
import { instant, wholeSeconds } from './der';
import type { HardwareEvidence } from './document';
import { hexOf } from './policy';

/** The launch measurements of one image, under a name, for a time. It is one set: parts of two images are none. */
export interface Image {
  readonly name: string;
  readonly tee: 'sev-snp' | 'tdx' | 'az-snp' | 'az-tdx';
  /** SEV-SNP: 96 hex digits. */
  readonly measurement?: string;
  /** TDX: all four, each 96 hex digits. */
  readonly mrtd?: string;
  readonly rtmr0?: string;
  readonly rtmr1?: string;
  readonly rtmr2?: string;
  /** `2026-05-01T12:00:00Z`; both ends are inside. */
  readonly not_before?: string;
  readonly not_after?: string;
}

const PLAN: readonly Planned[] = [
  required(
    'policy.table',
    'policy',
    'give the policy a table [snp] or [tdx] that says what is accepted of such hardware',
  ),
  optional(
    'policy.image',
    'policy',
    'run a release whose measurements you have pinned, or pin these after review ([[reference.measurement]])',
  ),
];

const REGISTERS = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2'] as const;
const KEYS = ['name', 'tee', 'measurement', ...REGISTERS, 'not_before', 'not_after'];
const measurement = hexOf(48);

/** Whether the policy has a table for this hardware, and which of its images runs: its name, or null. */
export function judgeImage(
  evidence: HardwareEvidence,
  table: unknown,
  images: readonly Image[] | undefined,
  nowMs: number,
): { list: Checklist; image: string | null } {
  const list = new Checklist(PLAN);
  const missing = `the policy has no table [${evidence.tee === 'tdx' ? 'tdx' : 'snp'}]`;
  list.expect('policy.table', table !== undefined, 'the policy judges hardware of this kind', missing);
  if (images === undefined) {
    list.notDone('policy.image', 'the policy names no image: any software is accepted');
    return { list, image: null };
  }
  const [image, reason] = find(evidence, images, nowMs);
  list.expect('policy.image', image !== null, reason, reason);
  return { list, image };
}

/** The name of the image, if it is one that is valid now, and what to say about it. */
function find(evidence: HardwareEvidence, images: readonly Image[], nowMs: number): [string | null, string] {
  if (!Array.isArray(images) || !images.every(isImage)) return [null, "the policy's list of images cannot be read"];
  if (images.length === 0) return [null, "the policy's list is empty, and an empty list accepts nothing"];
  const same = images.filter((image) => image.tee === evidence.tee && isOf(evidence, image));
  const valid = same.find((image) => isValidAt(image, nowMs));
  if (valid) return [valid.name, `this is ${valid.name}`];
  const [ended] = same;
  if (ended) return [null, `this is ${ended.name}, whose entry is not valid at this time`];
  return [null, 'the launch measurements are those of no entry'];
}

function isOf(evidence: HardwareEvidence, image: Image): boolean {
  if (evidence.tee === 'sev-snp') return measurement(image.measurement) === toHex(evidence.measurement);
  const found = [evidence.mrTd, ...evidence.rtmrs];
  return REGISTERS.every((key, index) => measurement(image[key]) === toHex(found[index] ?? new Uint8Array()));
}

function isValidAt({ not_before, not_after }: Image, nowMs: number): boolean {
  const now = wholeSeconds(nowMs);
  const [from, until] = [time(not_before) ?? 0, time(not_after) ?? Number.POSITIVE_INFINITY];
  return from <= now && now <= until;
}

/** An entry has all values of its kind and none of the other; one that has not is a mistake, and not skipped. */
function isImage(image: unknown): image is Image {
  if (image === null || typeof image !== 'object') return false;
  const entry = image as Record<string, unknown>;
  if (!Object.keys(entry).every((key) => KEYS.includes(key))) return false;
  const { name, tee } = entry;
  if (typeof name !== 'string' || name === '' || name.length > 200) return false;
  const snp = tee === 'sev-snp' || tee === 'az-snp';
  if (!snp && tee !== 'tdx' && tee !== 'az-tdx') return false;
  const [own, foreign] = snp ? [['measurement'], REGISTERS] : [REGISTERS, ['measurement']];
  const whole = own.every((key) => measurement(entry[key]) !== null);
  if (!whole || foreign.some((key) => entry[key] !== undefined)) return false;
  const times = [entry.not_before, entry.not_after];
  if (times.some((each) => each !== undefined && time(each) === null)) return false;
  const [from, until] = times.map(time);
  return from == null || until == null || from <= until;
}

function time(text: unknown): number | null {
  try {
    return typeof text === 'string' ? instant(text) : null;
  } catch {
    return null;
  }
}
