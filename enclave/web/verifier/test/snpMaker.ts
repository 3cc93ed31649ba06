// SNP evidence under a root of our own, true but for what a test changes. Tests only.

import { type Bytes, utf8 } from '../src/bytes';
import { type SnpEvidence, type SnpRoots, insecureSnpRoots } from '../src';
import {
  type Content,
  type Extension,
  authority,
  certificate,
  ecSigner,
  hex,
  integer,
  octets,
  pssSigner,
  tlv,
} from './der';

const arc = (suffix: string) => `2b060104019c7801${suffix}`;
const CHIP = Uint8Array.from({ length: 64 }, (_, index) => index + 1);

/** The extensions of a VCEK for Genoa, by their suffixes. */
const EXTENSIONS: Readonly<Record<string, Uint8Array>> = {
  '01': integer(0),
  '02': tlv(0x16, utf8('Genoa')),
  '0301': integer(10),
  '0302': integer(0),
  '0303': integer(24),
  '0308': integer(84),
  '04': CHIP,
};

/** What a test changes. */
export interface SnpChange {
  /** Bytes of the report, by their offset; before it is signed. */
  readonly report?: Readonly<Record<number, readonly number[]>>;
  /** Extensions of the VEK, by suffix; null leaves one out. */
  readonly extensions?: Readonly<Record<string, Uint8Array | null>>;
  readonly extra?: readonly Extension[];
  readonly vek?: Partial<Content>;
  readonly ask?: Partial<Content>;
  readonly reportData?: Bytes;
}

const [arkKey, askKey, vekKey, p256, shortSalt] = await Promise.all([
  pssSigner(),
  pssSigner(),
  ecSigner('P-384'),
  ecSigner('P-256'),
  pssSigner(32),
]);

/** Keys for certificates that have the wrong one. */
export const wrongKeys = { p256, shortSalt };

export const arkSigner = arkKey;

/** Evidence with its root. */
export async function snp(change: SnpChange = {}): Promise<{ evidence: SnpEvidence; roots: SnpRoots }> {
  const rootName = { subject: 'ARK-Genoa', issuer: 'ARK-Genoa', key: arkKey, by: arkKey };
  const ark = await certificate({ ...rootName, serial: 1, extensions: authority(1) });
  const askName = { subject: 'SEV-Genoa', issuer: 'ARK-Genoa', key: askKey, by: arkKey };
  const ask = await certificate({ ...askName, serial: 2, extensions: authority(0), ...change.ask });
  const all = Object.entries({ ...EXTENSIONS, ...change.extensions });
  const present = all.filter((entry): entry is [string, Uint8Array] => entry[1] !== null);
  const own = present.map(([suffix, value]): Extension => [arc(suffix), value]);
  const extensions = [...own, ...(change.extra ?? [])];
  const vekName = { subject: 'SEV-VCEK', issuer: 'SEV-Genoa', key: vekKey, by: askKey };
  const vek = await certificate({ ...vekName, serial: 0, extensions, ...change.vek });
  const roots = insecureSnpRoots(ark);
  if (!roots) throw new Error('the root cannot be read');
  return { evidence: { report: await report(change), vek, ask, ark }, roots };
}

async function report(change: SnpChange): Promise<Bytes> {
  const bytes = new Uint8Array(1184);
  const set = (at: number, ...values: number[]) => bytes.set(values, at);
  set(0x00, 5);
  set(0x08, 0, 0, 3);
  set(0x34, 1);
  // Memory was checked for aliases.
  set(0x40, 0x20);
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) set(at, 10, 0, 0, 0, 0, 0, 24, 84);
  bytes.set(change.reportData ?? new Uint8Array(64).fill(0x33), 0x50);
  bytes.fill(0x44, 0x90, 0xc0);
  set(0x188, 0x19, 0x11, 1);
  bytes.set(CHIP, 0x1a0);
  for (const [at, values] of Object.entries(change.report ?? {})) bytes.set(values, Number(at));
  const signature = await vekKey.raw(bytes.slice(0, 0x2a0));
  bytes.set(signature.slice(0, 48).reverse(), 0x2a0);
  bytes.set(signature.slice(48).reverse(), 0x2e8);
  return bytes;
}

/** An extension that nobody understands and nobody may ignore. */
export const UNKNOWN_CRITICAL: Extension = ['551d63', octets(hex('00')), true];
