// Is this SNP machine wanted? Judgement over verified claims, with the keys of the policies of `cloister-verify`.
//
// In the guest policy a bit allows something or demands something. What loosens protection (SMT, migration, debugging) is
// *allowed* by a policy; what tightens it (one socket, hidden ciphertexts) is *required*. The two must not be confused.

import { toHex } from '../bytes';
import type { Verified } from '../checks';
import {
  type Judgement,
  type Rules,
  flag,
  hexOf,
  judge,
  listOf,
  oneOf,
  planOf,
  rules,
  text,
  twoPart,
  upTo,
} from '../policy';
import { PRODUCTS, type Product } from '../roots';
import { type TcbFloor, UNREACHABLE, readFloor, readFloors } from './floor';
import { type SigningKey, atLeast } from './report';
import { type SnpClaims, spell } from './verify';

/** What is wanted. A key that is absent is not checked; an empty list accepts nothing. */
export interface SnpPolicy {
  readonly allow_debug?: boolean;
  readonly allow_migrate_ma?: boolean;
  readonly max_vmpl?: number;
  readonly allow_smt?: boolean;
  readonly require_single_socket?: boolean;
  readonly require_ciphertext_hiding?: boolean;
  readonly require_alias_check?: boolean;
  /** `major.minor`. */
  readonly min_policy_abi?: string;
  readonly allowed_signing_keys?: readonly SigningKey[];
  /** Providers whose VLEKs are accepted, as their certificates name them. */
  readonly allowed_csp_ids?: readonly string[];
  readonly allowed_products?: readonly Product[];
  readonly min_report_version?: number;
  readonly allow_provisional_firmware?: boolean;
  /** Of the firmware that runs, `major.minor`. */
  readonly min_firmware?: string;
  readonly min_reported_tcb?: TcbFloor;
  /** A product that is not in it is refused. */
  readonly min_reported_tcb_by_product?: Readonly<Partial<Record<Product, TcbFloor>>>;
  readonly min_committed_tcb?: TcbFloor;
  /** A mask in hex, `0x3`. */
  readonly required_launch_mitigations?: string;
  readonly require_crl?: boolean;
  /** Each in hex. */
  readonly measurements?: readonly string[];
  readonly id_key_digests?: readonly string[];
  readonly author_key_digests?: readonly string[];
  readonly chip_ids?: readonly string[];
  readonly denied_chip_ids?: readonly string[];
  readonly report_data?: string;
  readonly host_data?: string;
}

/**
 * What the page accepts unless it is told otherwise: the table [snp] of `policies/appraisal/default.toml`. Milan is not among it: the seed of its keys was extracted from a chip
 * (arXiv 2605.12990), so its reports no longer prove where they come from.
 */
export const DEFAULT_SNP_POLICY: SnpPolicy = {
  allow_debug: false,
  allow_migrate_ma: false,
  max_vmpl: 0,
  allowed_products: ['Genoa', 'Turin'],
  allowed_signing_keys: ['VCEK'],
  require_alias_check: true,
  allow_provisional_firmware: true,
  min_reported_tcb_by_product: {
    Genoa: { bootloader: 10, tee: 0, snp: 23, microcode: 27 },
    Turin: { fmc: 0, bootloader: 0, tee: 0, snp: 2, microcode: 71 },
  },
};

const bit = (bits: bigint, at: number) => ((bits >> BigInt(at)) & 1n) === 1n;
const MEASURED = 'pin the measurement of the release that you reviewed';
const UPDATE = 'update the firmware of the machine';

const TABLE: Rules<SnpClaims> = rules((rule) => {
  rule('allow_debug', {
    id: 'policy.snp.debug',
    code: 'DEBUG',
    fix: 'start the guest without debugging: with it, the host reads everything',
    read: flag,
    holds: ({ policy }, allowed) => allowed || !bit(policy, 19),
    found: ({ policy }) => (bit(policy, 19) ? 'the host may debug the guest and read its memory' : 'no debugging'),
  });
  rule('allow_migrate_ma', {
    id: 'policy.snp.migration',
    code: 'MIGRATE_MA',
    fix: 'start the guest without a migration agent',
    read: flag,
    holds: ({ policy }, allowed) => allowed || !bit(policy, 18),
    found: ({ policy }) => (bit(policy, 18) ? 'a migration agent may take the guest away' : 'no migration'),
  });
  rule('max_vmpl', {
    id: 'policy.snp.vmpl',
    code: 'VMPL',
    fix: 'ask for the report from inside the guest, at the privilege level that you trust',
    read: upTo(0xffff_ffff),
    holds: ({ vmpl }, most) => vmpl <= most,
    found: ({ vmpl }) => (vmpl > 3 ? 'asked for by the host' : `asked for at privilege level ${vmpl}`),
  });
  rule('allow_smt', {
    id: 'policy.snp.smt',
    code: 'SMT',
    fix: 'start the guest with a policy that forbids simultaneous multithreading',
    read: flag,
    holds: ({ policy }, allowed) => allowed || !bit(policy, 16),
    found: ({ policy }) => `simultaneous multithreading is ${bit(policy, 16) ? 'allowed' : 'forbidden'}`,
  });
  rule('require_single_socket', {
    id: 'policy.snp.single_socket',
    code: 'SINGLE_SOCKET',
    fix: 'start the guest with a policy that keeps it on one socket',
    read: flag,
    asks: (_, wanted) => wanted,
    holds: ({ policy }) => bit(policy, 20),
    found: ({ policy }) => (bit(policy, 20) ? 'kept on one socket' : 'may span sockets'),
  });
  rule('require_ciphertext_hiding', {
    id: 'policy.snp.ciphertext_hiding',
    code: 'GUEST_POLICY',
    fix: 'start the guest with a policy that hides ciphertexts from the host',
    read: flag,
    asks: (_, wanted) => wanted,
    holds: ({ policy }) => bit(policy, 24),
    found: ({ policy }) => `the host ${bit(policy, 24) ? 'cannot' : 'can'} see the ciphertexts of memory`,
  });
  rule('require_alias_check', {
    id: 'policy.snp.alias_check',
    code: 'PLATFORM_INFO',
    fix: 'update the firmware, which then checks memory modules for aliases (BadRAM)',
    read: flag,
    asks: (_, wanted) => wanted,
    holds: ({ platformInfo }) => bit(platformInfo, 5),
    found: ({ platformInfo }) => `memory was ${bit(platformInfo, 5) ? '' : 'not '}checked for aliases`,
  });
  rule('min_policy_abi', {
    id: 'policy.snp.abi',
    code: 'ABI_VERSION',
    fix: 'start the guest with a policy that demands newer firmware',
    read: twoPart,
    holds: ({ policy }, least) => Number(policy & 0xffffn) >= least,
    found: ({ policy }) => `demands at least ABI ${(policy >> 8n) & 0xffn}.${policy & 0xffn}`,
  });
  rule('allowed_signing_keys', {
    id: 'policy.snp.signing_key',
    code: 'SIGNING_KEY',
    fix: 'let the machine sign with the key of its chip',
    read: listOf<SigningKey>(oneOf(['VCEK', 'VLEK'] as const)),
    holds: ({ signingKey }, allowed) => allowed.includes(signingKey),
    found: ({ signingKey }) => `signed by a ${signingKey}`,
  });
  rule('allowed_csp_ids', {
    id: 'policy.snp.signing_key',
    code: 'CSP_ID',
    fix: 'run the appliance at a provider that you accept',
    read: listOf<string>(text),
    asks: ({ cspId }) => cspId !== null,
    holds: ({ cspId }, allowed) => cspId !== null && allowed.includes(cspId),
    found: ({ cspId }) => `signed by the VLEK of ${cspId}`,
  });
  rule('allowed_products', {
    id: 'policy.snp.product',
    code: 'PRODUCT',
    fix: 'run the appliance on a newer processor; Milan no longer proves where its reports come from',
    read: listOf<Product>(oneOf(PRODUCTS)),
    holds: ({ product }, allowed) => allowed.includes(product),
    found: ({ product }) => `AMD EPYC ${product}`,
  });
  rule('min_report_version', {
    id: 'policy.snp.report_version',
    code: 'REPORT_VERSION',
    fix: UPDATE,
    read: upTo(0xffff_ffff),
    holds: ({ version }, least) => version >= least,
    found: ({ version }) => `a report of version ${version}`,
  });
  rule('allow_provisional_firmware', {
    id: 'policy.snp.provisional',
    code: 'PROVISIONAL_FIRMWARE',
    fix: 'commit the firmware of the machine, so that it cannot be rolled back',
    read: flag,
    holds: ({ tcb }, allowed) => allowed || atLeast(tcb.committed, tcb.current),
    found: ({ tcb }) => `the firmware can${atLeast(tcb.committed, tcb.current) ? 'not' : ''} be rolled back`,
  });
  rule('min_firmware', {
    id: 'policy.snp.firmware',
    code: 'FIRMWARE_VERSION',
    fix: UPDATE,
    read: twoPart,
    holds: ({ currentFirmware: { major, minor } }, least) => major * 256 + minor >= least,
    found: ({ currentFirmware: { major, minor, build } }) => `firmware ${major}.${minor}, build ${build}`,
  });
  rule('min_reported_tcb', floor('reported'));
  rule('min_reported_tcb_by_product', {
    ...floor('reported'),
    read: readFloors,
    holds: ({ product, tcb }, floors) => atLeast(tcb.reported, floors.get(product) ?? UNREACHABLE),
    found: ({ tcb }) => spell(tcb.reported),
  });
  rule('min_committed_tcb', floor('committed'));
  rule('required_launch_mitigations', {
    id: 'policy.snp.launch_mitigations',
    code: 'MITIGATION_VECTOR',
    fix: UPDATE,
    read: (value) => (typeof value === 'string' && /^0x[0-9a-fA-F]{1,16}$/.test(value) ? BigInt(value) : null),
    holds: ({ launchMitigations }, mask) => launchMitigations !== null && (launchMitigations & mask) === mask,
    found: ({ launchMitigations }) =>
      launchMitigations === null ? 'the report does not say' : `launched with 0x${launchMitigations.toString(16)}`,
  });
  rule('require_crl', {
    id: 'policy.snp.crl',
    code: 'CRL_MISSING',
    fix: 'let the appliance send the revocation list of AMD',
    read: flag,
    asks: (_, wanted) => wanted,
    holds: ({ crlChecked }) => crlChecked,
    found: ({ crlChecked }) => `a revocation list was ${crlChecked ? '' : 'not '}looked at`,
  });
  rule('measurements', {
    id: 'policy.snp.measurement',
    code: 'MEASUREMENT',
    fix: MEASURED,
    read: listOf<string>(hexOf(48)),
    holds: ({ measurement }, known) => known.includes(toHex(measurement)),
    found: ({ measurement }) => `launched ${toHex(measurement)}`,
  });
  rule('id_key_digests', {
    id: 'policy.snp.id_key',
    code: 'ID_KEY_DIGEST',
    fix: 'start the guest with an identity block that is signed by the key that you know',
    read: listOf<string>(hexOf(48)),
    holds: ({ idKeyDigest }, known) => known.includes(toHex(idKeyDigest)),
    found: ({ idKeyDigest }) => `identity key ${toHex(idKeyDigest)}`,
  });
  rule('author_key_digests', {
    id: 'policy.snp.author_key',
    code: 'AUTHOR_KEY_DIGEST',
    fix: 'start the guest with an identity key that is certified by the author that you know',
    read: listOf<string>(hexOf(48)),
    // Without the flag the digest means nothing, whatever it is.
    holds: (claims, known) => claims.authorKeyEnabled && known.includes(toHex(claims.authorKeyDigest)),
    found: (claims) => (claims.authorKeyEnabled ? `author key ${toHex(claims.authorKeyDigest)}` : 'no author key'),
  });
  rule('chip_ids', {
    id: 'policy.snp.chip',
    code: 'CHIP_ID',
    fix: 'use a machine that you know',
    read: listOf<string>(hexOf(64)),
    holds: ({ chipId }, known) => known.includes(toHex(chipId)),
    found: ({ chipId }) => `chip ${toHex(chipId)}`,
  });
  rule('denied_chip_ids', {
    id: 'policy.snp.chip',
    code: 'CHIP_ID',
    fix: 'use another machine: this one is known to be compromised',
    read: listOf<string>(hexOf(64)),
    holds: ({ chipId }, denied) => !denied.includes(toHex(chipId)),
    found: ({ chipId }) => `chip ${toHex(chipId)}`,
  });
  rule('report_data', {
    id: 'policy.snp.report_data',
    code: 'REPORT_DATA',
    fix: 'ask for evidence about what you expect',
    read: hexOf(64),
    holds: ({ reportData }, wanted) => toHex(reportData) === wanted,
    found: ({ reportData }) => `speaks of ${toHex(reportData)}`,
  });
  rule('host_data', {
    id: 'policy.snp.host_data',
    code: 'HOST_DATA',
    fix: 'let the host start the guest with the data that you expect',
    read: hexOf(32),
    holds: ({ hostData }, wanted) => toHex(hostData) === wanted,
    found: ({ hostData }) => `the host set ${toHex(hostData)}`,
  });
});

function floor(which: 'reported' | 'committed') {
  return {
    id: `policy.snp.${which}_tcb`,
    code: 'TCB_BELOW_MINIMUM' as const,
    fix: UPDATE,
    read: readFloor,
    holds: ({ tcb }: SnpClaims, least: TcbFloor) => atLeast(tcb[which], least),
    found: ({ tcb }: SnpClaims) => spell(tcb[which]),
  };
}

const FORMAT = 'policy.snp.format';

/** The checks of a policy in their order. */
export const SNP_POLICY_PLAN = planOf(TABLE, FORMAT);

/** Judges a verified report. The policy may come from anywhere: what is wrong with it is part of the judgement. */
export function judgeSnp(claims: Verified<SnpClaims>, policy: SnpPolicy | unknown): Judgement {
  return judge(TABLE, FORMAT, claims, policy);
}
