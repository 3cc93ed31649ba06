// The attestation report of SEV-SNP (AMD publication 56860, table "ATTESTATION_REPORT"): 1184 bytes, little-endian,
// versions 2 to 5. Reading it says nothing about whether it is true: `UnverifiedReport` is what someone claims.

import { type Bytes, isZero, u16, u32, u64 } from '../bytes';
import type { Checklist } from '../checks';
import type { Product } from '../roots';

/** The size of a report in bytes. */
export const REPORT_BYTES = 1184;
/** How much of it the signature covers. */
const SIGNED_BYTES = 0x2a0;

/** Which key signed: the machine's own, or one per provider. */
export type SigningKey = 'VCEK' | 'VLEK';

/** Version of the firmware's parts; parts that a product lacks are null. */
export interface Tcb {
  readonly fmc: number | null;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

/** A report that could be read, and that nobody vouches for yet. */
export interface UnverifiedReport {
  readonly version: number;
  readonly guestSvn: number;
  /** The guest policy, all 64 bits of it. */
  readonly policy: bigint;
  readonly familyId: Bytes;
  readonly imageId: Bytes;
  /** Privilege level; 0xffffffff when the host asked. */
  readonly vmpl: number;
  readonly platformInfo: bigint;
  /** Author key, masked chip key and the kind of the signing key. */
  readonly flags: number;
  readonly reportData: Bytes;
  readonly measurement: Bytes;
  readonly hostData: Bytes;
  readonly idKeyDigest: Bytes;
  readonly authorKeyDigest: Bytes;
  readonly reportId: Bytes;
  readonly reportIdMa: Bytes;
  /** TCB versions as they stand in the report; what the bytes mean depends on the product. */
  readonly tcb: {
    readonly current: Bytes;
    readonly reported: Bytes;
    readonly committed: Bytes;
    readonly launch: Bytes;
  };
  /** Family and model of the processor; version 2 does not say. */
  readonly cpu: { readonly family: number; readonly model: number; readonly stepping: number } | null;
  readonly chipId: Bytes;
  readonly currentFirmware: Firmware;
  readonly committedFirmware: Firmware;
  /** Mitigation vectors; from version 5. */
  readonly launchMitigations: bigint | null;
  readonly currentMitigations: bigint | null;
  readonly signed: Bytes;
  /** r ‖ s, big-endian, or null where a number has more than 384 bits. */
  readonly signature: Bytes | null;
  /** Whether every byte that the signature covers and no field uses is zero. */
  readonly reservedZero: boolean;
}

/** Version of the platform's firmware. */
export interface Firmware {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

/** Reads a report. */
export function parseReport(list: Checklist, report: Bytes): UnverifiedReport {
  const size = `${report.length} bytes, ${REPORT_BYTES} are wanted`;
  list.demand('snp.report.size', report.length === REPORT_BYTES, 'REPORT_SIZE', size);
  list.pass('snp.report.size', `${REPORT_BYTES} bytes`);

  const version = u32(report, 0);
  list.demand('snp.report.version', version >= 2 && version <= 5, 'REPORT_VERSION', `version ${version} is not known`);
  list.pass('snp.report.version', `version ${version}`);

  const algorithm = u32(report, 0x34);
  list.demand(
    'snp.report.signature_algo',
    algorithm === 1,
    'SIGNATURE_ALGO',
    `signature algorithm ${algorithm} is not known`,
  );
  list.pass('snp.report.signature_algo', 'ECDSA P-384 with SHA-384');

  const unsigned = isZero(report.subarray(0x330));
  list.demand('snp.report.unsigned', unsigned, 'RESERVED_NONZERO', 'bytes that no signature covers are not zero');
  list.pass('snp.report.unsigned', 'all zero');
  return fields(report, version);
}

function fields(report: Bytes, version: number): UnverifiedReport {
  const bytes = (at: number, length: number) => report.slice(at, at + length);
  const mitigations = version >= 5;
  return {
    version,
    guestSvn: u32(report, 4),
    policy: u64(report, 8),
    familyId: bytes(0x10, 16),
    imageId: bytes(0x20, 16),
    vmpl: u32(report, 0x30),
    platformInfo: u64(report, 0x40),
    flags: u32(report, 0x48),
    reportData: bytes(0x50, 64),
    measurement: bytes(0x90, 48),
    hostData: bytes(0xc0, 32),
    idKeyDigest: bytes(0xe0, 48),
    authorKeyDigest: bytes(0x110, 48),
    reportId: bytes(0x140, 32),
    reportIdMa: bytes(0x160, 32),
    tcb: {
      current: bytes(0x38, 8),
      reported: bytes(0x180, 8),
      committed: bytes(0x1e0, 8),
      launch: bytes(0x1f0, 8),
    },
    cpu: version >= 3 ? { family: report[0x188] ?? 0, model: report[0x189] ?? 0, stepping: report[0x18a] ?? 0 } : null,
    chipId: bytes(0x1a0, 64),
    currentFirmware: firmware(report, 0x1e8),
    committedFirmware: firmware(report, 0x1ec),
    launchMitigations: mitigations ? u64(report, 0x1f8) : null,
    currentMitigations: mitigations ? u64(report, 0x200) : null,
    signed: bytes(0, SIGNED_BYTES),
    signature: signature(report),
    reservedZero:
      reserved(version).every(([from, to]) => isZero(report.subarray(from, to))) && u32(report, 0x48) < 0x20,
  };
}

/** Ranges under the signature that no field of this version uses. */
function reserved(version: number): [number, number][] {
  const always: [number, number][] = [
    [0x4c, 0x50],
    [0x18b, 0x1a0],
    [0x1eb, 0x1ec],
    [0x1ef, 0x1f0],
    [0x208, SIGNED_BYTES],
  ];
  if (version < 5) always.push([0x1f8, 0x208]);
  if (version < 3) always.push([0x188, 0x18b]);
  return always;
}

function firmware(report: Bytes, at: number): Firmware {
  return { build: report[at] ?? 0, minor: report[at + 1] ?? 0, major: report[at + 2] ?? 0 };
}

/** Both numbers stand little-endian in 72 bytes each, of which 48 may be used. */
function signature(report: Bytes): Bytes | null {
  const numbers = new Uint8Array(96);
  for (const [from, to] of [
    [0x2a0, 0],
    [0x2e8, 48],
  ] as const) {
    if (!isZero(report.subarray(from + 48, from + 72))) return null;
    numbers.set(report.slice(from, from + 48).reverse(), to);
  }
  return numbers;
}

/** The processor that made a report, null where it has no root, by family and model (attestation of versions 3 and up). */
export function productOf({ family, model }: { family: number; model: number }): Product | null {
  if (family === 0x19 && model <= 0x0f) return 'Milan';
  // 0xa0 and up are the dense Zen 4c parts: Bergamo and Siena.
  if (family === 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf))) return 'Genoa';
  if (family === 0x1a && model <= 0x11) return 'Turin';
  return null;
}

/** The parts of a TCB version, whose places depend on the product. */
export function tcbOf(product: Product, bytes: Bytes): Tcb {
  const at = (index: number) => u16(bytes, index) & 0xff;
  return product === 'Turin'
    ? { fmc: at(0), bootloader: at(1), tee: at(2), snp: at(3), microcode: at(7) }
    : { fmc: null, bootloader: at(0), tee: at(1), snp: at(6), microcode: at(7) };
}

/** The parts of a TCB by name, in the order in which they start. */
export const TCB_PARTS = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

/** Whether bytes of a TCB version that this product does not use are zero. */
export function tcbReservedZero(product: Product, bytes: Bytes): boolean {
  return isZero(product === 'Turin' ? bytes.subarray(4, 7) : bytes.subarray(2, 6));
}

/** Whether every part of `tcb` is at least that of `floor`. A floor for a part that the product lacks is not reached. */
export function atLeast(tcb: Tcb, floor: Partial<Tcb>): boolean {
  return TCB_PARTS.every((part) => (tcb[part] ?? 0) >= (floor[part] ?? 0));
}
