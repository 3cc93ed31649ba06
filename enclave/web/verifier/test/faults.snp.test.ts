// SNP: one fault at a time, each refused by the check that is there for it. What the published cases do not have.

import { describe, expect, it } from 'vitest';
import { utf8 } from '../src/bytes';
import { type SnpEvidence, type SnpRoots, judgeSnp, verifySnp } from '../src';
import { NOW, authority, hex, integer, revocationList, tlv } from './der';
import { type SnpChange, UNKNOWN_CRITICAL, arkSigner, snp, wrongKeys } from './snpMaker';

async function refusal(evidence: SnpEvidence, roots: SnpRoots, now = NOW): Promise<string | null> {
  const { verified, refusal } = await verifySnp(evidence, roots, now);
  expect(verified === null).toBe(refusal !== null);
  return refusal && `${refusal.stage} ${refusal.check} ${refusal.code}`;
}

const FAULTS: [string, SnpChange, string][] = [
  [
    'a bit of the guest policy that has no meaning',
    { report: { 0x0b: [4] } },
    'policy snp.policy.reserved POLICY_RESERVED',
  ],
  ['a report that the host asked for', { report: { 0x30: [255, 255, 255, 255] } }, 'policy snp.report.guest VMPL'],
  ['a processor of another product', { report: { 0x188: [0x1a, 2] } }, 'chain snp.report.product PRODUCT_MISMATCH'],
  ['a processor without a root', { report: { 0x188: [0x1a, 0x50] } }, 'chain snp.report.product PRODUCT_UNKNOWN'],
  ['a flag without a meaning', { report: { 0x48: [0x20] } }, 'parse snp.report.reserved RESERVED_NONZERO'],
  ['a byte between fields', { report: { 0x1eb: [1] } }, 'parse snp.report.reserved RESERVED_NONZERO'],
  ['a byte of a TCB that Genoa has not', { report: { 0x1f2: [1] } }, 'parse snp.report.reserved RESERVED_NONZERO'],
  ['a committed TCB above the current one', { report: { 0x1e6: [25] } }, 'policy snp.tcb.order TCB_INCONSISTENT'],
  ['a chip id of another chip', { report: { 0x1df: [0] } }, 'chain snp.vek.chip HWID_MISMATCH'],
  ['a chip id of zeros', { report: { 0x1a0: Array(64).fill(0) } }, 'chain snp.vek.chip HWID_MISMATCH'],
  [
    'a version of two bytes whose last one fits',
    { extensions: { '0308': hex('02020154') } },
    'chain snp.vek.extensions VEK_EXT_MALFORMED',
  ],
  [
    'a version that is not minimal',
    { extensions: { '0308': hex('02020054') } },
    'chain snp.vek.extensions VEK_EXT_MALFORMED',
  ],
  ['a negative version', { extensions: { '0308': hex('020184') } }, 'chain snp.vek.extensions VEK_EXT_MALFORMED'],
  ['a chip of 63 bytes', { extensions: { '04': new Uint8Array(63) } }, 'chain snp.vek.extensions VEK_EXT_MALFORMED'],
  ['a layout of Turin', { extensions: { '01': integer(1) } }, 'chain snp.vek.extensions VEK_EXT_MALFORMED'],
  [
    'a chip with a provider',
    { extensions: { '05': tlv(0x16, utf8('CN=x')) } },
    'chain snp.vek.extensions VEK_EXT_MALFORMED',
  ],
  ...['01', '02', '0301', '0302', '0303', '0308', '04'].map((suffix): [string, SnpChange, string] => [
    `no extension ${suffix}`,
    { extensions: { [suffix]: null } },
    'chain snp.vek.extensions VEK_EXT_MISSING',
  ]),
  [
    'a name that only begins like it',
    { extensions: { '02': tlv(0x16, utf8('Genoa2')) } },
    'chain snp.vek.product PRODUCT_NAME',
  ],
  ['an unknown critical extension', { extra: [UNKNOWN_CRITICAL] }, 'chain snp.vek.format VEK_MALFORMED'],
  ['an extension twice', { extra: [['2b060104019c780104', new Uint8Array(64)]] }, 'chain snp.vek.format VEK_MALFORMED'],
  ['a leaf of another name', { vek: { subject: 'SEV-Genoa' } }, 'chain snp.vek.kind VEK_MALFORMED'],
  ['a VLEK under the key for chips', { vek: { subject: 'SEV-VLEK' } }, 'chain snp.vek.kind SIGNING_KEY_MISMATCH'],
  ['a chip under the key for providers', under('SEV-VLEK-Genoa'), 'chain snp.vek.kind SIGNING_KEY_MISMATCH'],
  ['a key on another curve', { vek: { key: wrongKeys.p256 } }, 'chain snp.vek.key VEK_KEY_TYPE'],
  ['another salt', { vek: { by: wrongKeys.shortSalt } }, 'chain snp.chain.vek VEK_CHAIN_SIGNATURE'],
  ['an intermediate of another product', under('SEV-Milan'), 'chain snp.chain.ask ASK_SIGNATURE'],
  [
    'an intermediate that is signed in another way',
    { ask: { by: wrongKeys.p256 } },
    'chain snp.ask.format CERT_SIG_ALG',
  ],
  ['an intermediate that names another root', { ask: { issuer: 'ARK-Milan' } }, 'chain snp.chain.ask ASK_SIGNATURE'],
  [
    'a key that names another intermediate',
    { vek: { issuer: 'SEV-Milan' } },
    'chain snp.chain.vek VEK_CHAIN_SIGNATURE',
  ],
  ['an intermediate that is no authority', { ask: { extensions: [] } }, 'chain snp.chain.ask ASK_SIGNATURE'],
  [
    'an intermediate that may not certify',
    { ask: { extensions: [authority(0)[0] ?? UNKNOWN_CRITICAL] } },
    'chain snp.chain.ask ASK_SIGNATURE',
  ],
  ['an intermediate that has expired', { ask: { until: NOW - 1000 } }, 'chain snp.chain.validity ASK_EXPIRED'],
  ['an intermediate of tomorrow', { ask: { from: NOW + 1000 } }, 'chain snp.chain.validity ASK_NOT_YET_VALID'],
];

/** Both certificates name this intermediate. */
function under(subject: string): SnpChange {
  return { ask: { subject }, vek: { issuer: subject } };
}

describe('SNP evidence with one fault', () => {
  it('is accepted without one', async () => {
    const { evidence, roots } = await snp();
    expect(await refusal(evidence, roots)).toBeNull();
  });

  it.each(FAULTS)('%s', async (_, change, expected) => {
    const { evidence, roots } = await snp(change);
    expect(await refusal(evidence, roots)).toBe(expected);
  });

  it('is good in the last second of its certificate, and not in the next', async () => {
    const until = NOW + 10_000;
    const { evidence, roots } = await snp({ vek: { until } });
    expect(await refusal(evidence, roots, until + 999)).toBeNull();
    expect(await refusal(evidence, roots, until + 1000)).toBe('chain snp.chain.validity VEK_EXPIRED');
  });

  it('is refused without an intermediate where none is compiled in', async () => {
    const { evidence, roots } = await snp();
    expect(await refusal({ ...evidence, ask: null }, roots)).toBe('chain snp.ask.format NO_ENDORSEMENT_KEY');
  });
});

describe('a revocation list', () => {
  const lists: [string, Parameters<typeof revocationList>, string | null][] = [
    ['of others', [arkSigner, 'ARK-Genoa', [9]], null],
    ['of nobody', [arkSigner, 'ARK-Genoa', []], null],
    ['that names the intermediate', [arkSigner, 'ARK-Genoa', [9, 2]], 'chain snp.crl ASK_REVOKED'],
    ['of another root', [arkSigner, 'ARK-Milan', []], 'chain snp.crl CRL_ISSUER'],
    ['that another key signed', [wrongKeys.shortSalt, 'ARK-Genoa', []], 'chain snp.crl CRL_SIGNATURE'],
    ['in another way', [wrongKeys.p256, 'ARK-Genoa', []], 'chain snp.crl CERT_SIG_ALG'],
    ['of yesterday', [arkSigner, 'ARK-Genoa', [], { until: NOW - 1000 }], 'chain snp.crl CRL_EXPIRED'],
    ['of tomorrow', [arkSigner, 'ARK-Genoa', [], { from: NOW + 1000 }], 'chain snp.crl CRL_EXPIRED'],
  ];

  it.each(lists)('%s', async (_, list, expected) => {
    const { evidence, roots } = await snp();
    expect(await refusal({ ...evidence, crl: await revocationList(...list) }, roots)).toBe(expected);
  });

  it('ends the validity of the whole when it ends first', async () => {
    const { evidence, roots } = await snp();
    const crl = await revocationList(arkSigner, 'ARK-Genoa', []);
    const { verified } = await verifySnp({ ...evidence, crl }, roots, NOW);
    expect(verified).toMatchObject({ validUntil: NOW + 86_400_000, crlChecked: true, hardware: false });
  });
});

describe('an SNP policy', () => {
  const CHIP = Buffer.from(Uint8Array.from({ length: 64 }, (_, index) => index + 1)).toString('hex');
  const rules: [string, SnpChange, Record<string, unknown>, string | null][] = [
    ['SMT', { report: { 0x0a: [3] } }, { allow_smt: false }, 'SMT'],
    ['SMT that is off', { report: { 0x0a: [2] } }, { allow_smt: false }, null],
    ['one socket', {}, { require_single_socket: true }, 'SINGLE_SOCKET'],
    ['one socket, demanded', { report: { 0x0a: [0x13] } }, { require_single_socket: true }, null],
    ['hidden ciphertexts', {}, { require_ciphertext_hiding: true }, 'GUEST_POLICY'],
    ['hidden ciphertexts, demanded', { report: { 0x0b: [1] } }, { require_ciphertext_hiding: true }, null],
    ['aliases', { report: { 0x40: [0] } }, { require_alias_check: true }, 'PLATFORM_INFO'],
    ['aliases, checked', {}, { require_alias_check: true }, null],
    ['an ABI', { report: { 0x08: [54, 1] } }, { min_policy_abi: '1.55' }, 'ABI_VERSION'],
    ['an ABI that is met', { report: { 0x08: [0, 2] } }, { min_policy_abi: '1.55' }, null],
    ['firmware', { report: { 0x1e8: [9, 54, 1] } }, { min_firmware: '1.55' }, 'FIRMWARE_VERSION'],
    ['firmware that is met', { report: { 0x1e8: [0, 0, 2] } }, { min_firmware: '1.55' }, null],
    ['a report version', { report: { 0: [3] } }, { min_report_version: 5 }, 'REPORT_VERSION'],
    ['a rollback', { report: { 0x1e6: [23] } }, { allow_provisional_firmware: false }, 'PROVISIONAL_FIRMWARE'],
    ['a floor in one part', {}, { min_reported_tcb: { snp: 25 } }, 'TCB_BELOW_MINIMUM'],
    ['a floor for a part that Genoa lacks', {}, { min_reported_tcb: { fmc: 1 } }, 'TCB_BELOW_MINIMUM'],
    ['floors without this product', {}, { min_reported_tcb_by_product: { Turin: {} } }, 'TCB_BELOW_MINIMUM'],
    ['floors with this product', {}, { min_reported_tcb_by_product: { Genoa: { snp: 24 } } }, null],
    ['a committed floor', { report: { 0x1e6: [23] } }, { min_committed_tcb: { snp: 24 } }, 'TCB_BELOW_MINIMUM'],
    ['mitigations', { report: { 0x1f8: [2] } }, { required_launch_mitigations: '0x3' }, 'MITIGATION_VECTOR'],
    ['mitigations, all', { report: { 0x1f8: [7] } }, { required_launch_mitigations: '0x3' }, null],
    [
      'mitigations of an older report',
      { report: { 0: [4] } },
      { required_launch_mitigations: '0x1' },
      'MITIGATION_VECTOR',
    ],
    ['a list of keys without any', {}, { id_key_digests: [] }, 'ID_KEY_DIGEST'],
    ['an author without the flag', {}, { author_key_digests: ['00'.repeat(48)] }, 'AUTHOR_KEY_DIGEST'],
    ['an author with it', { report: { 0x48: [1] } }, { author_key_digests: ['00'.repeat(48)] }, null],
    ['a chip', {}, { chip_ids: ['00'.repeat(64)] }, 'CHIP_ID'],
    ['a chip that is known', {}, { chip_ids: [CHIP.toUpperCase()] }, null],
    ['a chip that is known and denied', {}, { chip_ids: [CHIP], denied_chip_ids: [CHIP] }, 'CHIP_ID'],
    ['providers, which a chip has not', {}, { allowed_csp_ids: [] }, null],
    ['report data', {}, { report_data: '33'.repeat(63) + '34' }, 'REPORT_DATA'],
    ['host data', {}, { host_data: '01'.repeat(32) }, 'HOST_DATA'],
    ['a revocation list', {}, { require_crl: true }, 'CRL_MISSING'],
  ];

  it.each(rules)('%s', async (_, change, policy, expected) => {
    const { evidence, roots } = await snp(change);
    const { verified } = await verifySnp(evidence, roots, NOW);
    if (!verified) throw new Error('the evidence was refused');
    const { accepted, refusal, checks } = judgeSnp(verified, policy);
    expect(refusal?.code ?? null).toBe(expected);
    expect(accepted).toBe(expected === null);
    expect(checks.filter(({ result }) => result === 'fail').length).toBe(expected === null ? 0 : 1);
  });

  it('reports everything that is wrong, and the first of it as the reason', async () => {
    const { evidence, roots } = await snp({ report: { 0x0a: [0x0f] } });
    const { verified } = await verifySnp(evidence, roots, NOW);
    if (!verified) throw new Error('the evidence was refused');
    const judged = judgeSnp(verified, { host_data: '01'.repeat(32), allow_smt: false, allow_debug: false });
    expect(judged.refusal?.code).toBe('DEBUG');
    expect(judged.checks.filter(({ result }) => result === 'fail').map(({ id }) => id)).toEqual([
      'policy.snp.debug',
      'policy.snp.smt',
      'policy.snp.host_data',
    ]);
  });
});
