// TDX: one fault at a time, each refused by the check that is there for it. What the published cases do not have.

import { describe, expect, it } from 'vitest';
import { type TdxEvidence, type TdxRoots, judgeTdx, verifyTdx } from '../src';
import { NOW, authority, hex, pem, revocationList } from './der';
import { toHex } from '../src/bytes';
import { SERIALS, type TdxChange, keys, platformLevel, sgxExtension, svnLevel, tdx } from './tdxMaker';

async function refusal(evidence: TdxEvidence, roots: TdxRoots, now = NOW): Promise<string | null> {
  const { verified, refusal } = await verifyTdx(evidence, roots, now);
  expect(verified === null).toBe(refusal !== null);
  return refusal && `${refusal.stage} ${refusal.check} ${refusal.code}`;
}

const SGX = '2a864886f84d010d01';
const TCB_INFO = 'collateral tdx.collateral.tcb_info COLLATERAL_MALFORMED';
const QE_IDENTITY = 'collateral tdx.collateral.qe_identity COLLATERAL_MALFORMED';
const SIGNER = 'collateral tdx.collateral.tcb_info.signer';

const FAULTS: [string, TdxChange, string][] = [
  ['profiling', { body: { 120: [0x10] } }, 'policy tdx.td_attributes TD_ATTRIBUTES_RESERVED'],
  [
    'something beside the key in what is vouched for',
    { vouched: new Uint8Array(64).fill(1) },
    'signature tdx.signature.attestation_key AK_BINDING',
  ],
  [
    'something behind the key in what is vouched for',
    { qe: { 383: [1] } },
    'signature tdx.signature.attestation_key AK_BINDING',
  ],
  [
    'authentication data of another length',
    { qeAuth: new Uint8Array(31) },
    'parse tdx.quote.signature_data QUOTE_MALFORMED',
  ],
  [
    'a debug enclave that the mask hides',
    { qe: { 48: [0x13] }, qeIdentity: (json) => (json.attributesMask = '00'.repeat(16)) },
    'tcb tdx.tcb.qe_identity QE_ATTRIBUTES',
  ],
  ['other features of the enclave', { qe: { 16: [1] } }, 'tcb tdx.tcb.qe_identity QE_MISCSELECT'],
  ['another product of the enclave', { qe: { 256: [1] } }, 'tcb tdx.tcb.qe_identity QE_ISVPRODID'],
  ['an enclave below every level', { qe: { 258: [1] } }, 'tcb tdx.tcb.qe_level QE_TCB_UNSUPPORTED'],
  [
    'a signer of the module that is not Intel',
    { body: { 64: [1] } },
    'tcb tdx.tcb.module_identity TDX_MODULE_MRSIGNER',
  ],
  [
    'an attribute of the module outside of the mask',
    { body: { 112: [1] }, tcbInfo: (json) => (json.tdxModuleIdentities[0].attributesMask = `FE${'FF'.repeat(7)}`) },
    'tcb tdx.tcb.module_identity SEAM_ATTRIBUTES',
  ],
  ['a module below every level', { body: { 0: [3] } }, 'tcb tdx.tcb.level TDX_MODULE_TCB_UNSUPPORTED'],
  [
    'a module of now that nobody knows',
    { bodyType: 3, body: { 585: [2] } },
    'tcb tdx.tcb.current_level TDX_MODULE_UNKNOWN',
  ],
  ['a platform below in its last component', { body: { 15: [2] } }, 'tcb tdx.tcb.level TCB_UNSUPPORTED'],
  [
    'a revoked module',
    { tcbInfo: (json) => (json.tdxModuleIdentities[0].tcbLevels = [svnLevel(1, 'Revoked')]) },
    'tcb tdx.tcb.not_revoked TCB_REVOKED',
  ],
  [
    'a revoked enclave',
    { qeIdentity: (json) => (json.tcbLevels = [svnLevel(1, 'Revoked')]) },
    'tcb tdx.tcb.not_revoked TCB_REVOKED',
  ],
  [
    'a module that is revoked now',
    {
      bodyType: 3,
      body: { 584: [4] },
      tcbInfo: (json) => (json.tdxModuleIdentities[0].tcbLevels[1].tcbStatus = 'Revoked'),
    },
    'tcb tdx.tcb.not_revoked TCB_REVOKED',
  ],
  [
    'a status that modules cannot have',
    { tcbInfo: (json) => (json.tdxModuleIdentities[0].tcbLevels[0].tcbStatus = 'SWHardeningNeeded') },
    TCB_INFO,
  ],
  [
    'a status that nothing is listed with',
    { tcbInfo: (json) => (json.tcbLevels[1].tcbStatus = 'TDRelaunchAdvised') },
    TCB_INFO,
  ],
  [
    'a status of enclaves that is unknown',
    { qeIdentity: (json) => (json.tcbLevels[0].tcbStatus = 'Fine') },
    QE_IDENTITY,
  ],
  ['15 components', { tcbInfo: (json) => json.tcbLevels[0].tcb.sgxtcbcomponents.pop() }, TCB_INFO],
  ['a component above 255', { tcbInfo: (json) => (json.tcbLevels[0].tcb.tdxtcbcomponents[0].svn = 256) }, TCB_INFO],
  ['a component of no number', { tcbInfo: (json) => (json.tcbLevels[0].tcb.tdxtcbcomponents[0].svn = '5') }, TCB_INFO],
  ['a comparison of another kind', { tcbInfo: (json) => (json.tcbType = 1) }, TCB_INFO],
  ['a day that no calendar has', { tcbInfo: (json) => (json.nextUpdate = '2026-02-30T00:00:00Z') }, TCB_INFO],
  ['a module twice', { tcbInfo: (json) => json.tdxModuleIdentities.push(json.tdxModuleIdentities[0]) }, TCB_INFO],
  [
    'TCB info of version 2',
    { tcbInfo: (json) => (json.version = 2) },
    'collateral tdx.collateral.tcb_info COLLATERAL_VERSION',
  ],
  [
    'an identity of version 4',
    { qeIdentity: (json) => (json.version = 4) },
    'collateral tdx.collateral.qe_identity COLLATERAL_VERSION',
  ],
  [
    'an identity of yesterday',
    { qeIdentity: (json) => (json.nextUpdate = '2026-01-01T00:00:00Z') },
    'collateral tdx.collateral.qe_identity.validity QE_IDENTITY_EXPIRED',
  ],
  [
    'an identity of tomorrow',
    { qeIdentity: (json) => (json.issueDate = '2030-01-01T00:00:00Z') },
    'collateral tdx.collateral.qe_identity.validity QE_IDENTITY_NOT_YET_VALID',
  ],
  [
    'a withdrawn PCK CA',
    { rootRevoked: [9, SERIALS.ca] },
    'collateral tdx.collateral.pck_ca_revocation INTERMEDIATE_REVOKED',
  ],
  ['a withdrawn signer', { rootRevoked: [SERIALS.signer] }, `${SIGNER} TCB_SIGNER`],
  ['a withdrawn platform', { pckRevoked: [SERIALS.pck, 9] }, 'collateral tdx.collateral.pck_revocation PCK_REVOKED'],
  ['a signer of another name', { signer: { subject: 'Intel SGX PCK Certificate' } }, `${SIGNER} TCB_SIGNER`],
  ['a signer that is an authority', { signer: { extensions: authority(0) } }, `${SIGNER} CHAIN_NOT_CA`],
  ['a signer that the root did not sign', { signer: { by: keys.ca } }, `${SIGNER} CHAIN_SIGNATURE`],
  ['a signer that has expired', { signer: { until: NOW - 1000 } }, `${SIGNER} CERT_EXPIRED`],
  ['a PCK CA of another name', { ca: { subject: 'Intel SGX TCB Signing' } }, 'chain tdx.chain.path CHAIN_SIGNATURE'],
  [
    'names that follow each other and are not those of Intel',
    { ca: { subject: 'My CA' }, pck: { issuer: 'My CA' } },
    'chain tdx.chain.path CHAIN_SIGNATURE',
  ],
  ['a platform of another name', { pck: { subject: 'Intel SGX TCB Signing' } }, 'chain tdx.chain.path CHAIN_SIGNATURE'],
  ['a PCK CA that names another root', { ca: { issuer: 'My Root' } }, 'chain tdx.chain.path CHAIN_SIGNATURE'],
  [
    'a PCK CA that may not withdraw',
    { ca: { extensions: [authority(0)[0] ?? [SGX, sgxExtension()], ['551d0f', hex('03020204'), true]] } },
    'chain tdx.chain.path CHAIN_NOT_CA',
  ],
  ['an outer part of another type', { outerType: 5 }, 'parse tdx.quote.signature_data CERT_DATA_TYPE'],
  ['a quote of more than 64 KiB', { padding: 64 << 10 }, 'parse tdx.quote.header QUOTE_MALFORMED'],
  [
    'a chain with a certificate too many',
    { chain: (all) => [...all, ...all.slice(0, 1)] },
    'chain tdx.chain.format CHAIN_LENGTH',
  ],
  ['a chain without its root', { chain: (all) => all.slice(0, 2) }, 'chain tdx.chain.format CHAIN_LENGTH'],
  ['a PCK CA that may not certify', { ca: { extensions: [] } }, 'chain tdx.chain.path CHAIN_NOT_CA'],
  [
    'a platform that is an authority',
    { pck: { extensions: [...authority(0), [SGX, sgxExtension()]] } },
    'chain tdx.chain.path CHAIN_NOT_CA',
  ],
  ['a platform that the root certified', { pck: { by: keys.root } }, 'chain tdx.chain.path CHAIN_SIGNATURE'],
  ['a platform of tomorrow', { pck: { from: NOW + 1000 } }, 'chain tdx.chain.validity CERT_NOT_YET_VALID'],
  ...['01', '03', '04', '05', '0201', '0210', '0211', '0212', '02'].map((key): [string, TdxChange, string] => [
    `a platform that does not say ${key}`,
    { pck: { extensions: [[SGX, sgxExtension(key)]] } },
    'chain tdx.chain.platform PCK_EXTENSION',
  ]),
];

describe('TDX evidence with one fault', () => {
  it.each([2, 3, 4] as const)('is accepted without one, body type %i', async (bodyType) => {
    const { evidence, roots } = await tdx({ bodyType });
    const { verified } = await verifyTdx(evidence, roots, NOW);
    expect(verified?.tcb).toMatchObject({ status: 'UpToDate', advisories: [], evaluationNumber: 20 });
    expect(verified).toMatchObject({ bodyType, hardware: false, serviceTd: false });
  });

  it.each(FAULTS)('%s', async (_, change, expected) => {
    const { evidence, roots } = await tdx(change);
    expect(await refusal(evidence, roots)).toBe(expected);
  });

  it('takes the chain from the collateral where the quote has none, and only there', async () => {
    const { evidence, roots } = await tdx({ certification: 3 });
    expect(await refusal(evidence, roots)).toBeNull();
    const collateral = { ...(evidence.collateral as Record<string, unknown>), pck_certificate_chain: null };
    expect(await refusal({ ...evidence, collateral }, roots)).toBe('chain tdx.chain.format CERT_DATA_TYPE');
  });

  it('refuses a revocation list that the right key signed for another authority', async () => {
    const { evidence, roots } = await tdx();
    const pck_crl = toHex(await revocationList(keys.ca, 'Intel SGX PCK Processor CA', []));
    const collateral = { ...(evidence.collateral as Record<string, unknown>), pck_crl };
    expect(await refusal({ ...evidence, collateral }, roots)).toBe(
      'collateral tdx.collateral.pck_crl REVOCATION_UNKNOWN',
    );
  });

  it('refuses a signer under another root of the same name', async () => {
    const { evidence, roots } = await tdx();
    const mine = await tdx({ root: { serial: 99 } });
    const theirs = evidence.collateral as Record<string, string>;
    const { tcb_info_issuer_chain = '' } = mine.evidence.collateral as Record<string, string>;
    const collateral = { ...theirs, tcb_info_issuer_chain };
    expect(await refusal({ ...evidence, collateral }, roots)).toBe(`${SIGNER} ROOT_UNTRUSTED`);
    const alone = pem(hex('3000')) + (theirs.tcb_info_issuer_chain ?? '');
    const spoilt = { ...theirs, tcb_info_issuer_chain: alone };
    expect(await refusal({ ...evidence, collateral: spoilt }, roots)).toBe(`${SIGNER} COLLATERAL_MALFORMED`);
  });

  it('refuses collateral of more than a megabyte unread', async () => {
    const { evidence, roots } = await tdx();
    const collateral = {
      ...(evidence.collateral as Record<string, string>),
      pck_crl_issuer_chain: ' '.repeat(1 << 20),
    };
    expect(await refusal({ ...evidence, collateral }, roots)).toBe(
      'collateral tdx.collateral.size COLLATERAL_MALFORMED',
    );
  });

  it('refuses collateral with a field that nobody knows', async () => {
    const { evidence, roots } = await tdx();
    const collateral = { ...(evidence.collateral as Record<string, unknown>), extra: '' };
    expect(await refusal({ ...evidence, collateral }, roots)).toBe(
      'collateral tdx.collateral.size COLLATERAL_MALFORMED',
    );
  });
});

describe('the TCB status', () => {
  const platform =
    (status: string): NonNullable<TdxChange['tcbInfo']> =>
    (json) =>
      (json.tcbLevels = [platformLevel(5, 13, status, ['P'])]);
  const old = { bodyType: 3 as const, body: { 0: [4] } };
  const statuses: [string, TdxChange, string, string[]][] = [
    ['of a module out of date', { body: { 0: [5] } }, 'OutOfDate', ['M']],
    ['of an enclave out of date', { qe: { 258: [3] } }, 'OutOfDate', ['Q']],
    [
      'of both, on a platform that needs configuration',
      { body: { 0: [5] }, qe: { 258: [2] }, tcbInfo: platform('ConfigurationNeeded') },
      'OutOfDateConfigurationNeeded',
      ['M', 'P', 'Q'],
    ],
    [
      'of a platform that needs hardening, with an old module',
      { body: { 0: [4] }, tcbInfo: platform('SWHardeningNeeded') },
      'OutOfDate',
      ['M', 'P'],
    ],
    ['of a platform that needs hardening', { tcbInfo: platform('SWHardeningNeeded') }, 'SWHardeningNeeded', ['P']],
    [
      'of the first line of modules, which the platform judges alone',
      { body: { 0: [5, 0] }, tcbInfo: (json) => (json.tcbLevels[1].tcb.tdxtcbcomponents[1].svn = 0) },
      'UpToDate',
      [],
    ],
    ['after the module was updated', old, 'TDRelaunchAdvised', ['M']],
    [
      'after the module was updated, with configuration',
      {
        ...old,
        tcbInfo: (json) => {
          platform('ConfigurationNeeded')(json);
          json.tdxModuleIdentities[0].tcbLevels = [svnLevel(6, 'UpToDate'), svnLevel(4, 'OutOfDate')];
        },
      },
      'TDRelaunchAdvisedConfigurationNeeded',
      ['P'],
    ],
    ['with a module that is old still', { bodyType: 3, body: { 0: [4], 584: [5] } }, 'OutOfDate', ['M']],
  ];

  it.each(statuses)('%s', async (_, change, status, advisories) => {
    const { evidence, roots } = await tdx(change);
    const { verified } = await verifyTdx(evidence, roots, NOW);
    expect(verified?.tcb.status).toBe(status);
    expect(verified?.tcb.advisories).toEqual(advisories);
  });

  it('of a module that is older now than at launch is judged as what it is', async () => {
    const { evidence, roots } = await tdx({ bodyType: 3, body: { 584: [4] } });
    const { verified } = await verifyTdx(evidence, roots, NOW);
    if (!verified) throw new Error('the evidence was refused');
    expect(verified.tcb).toMatchObject({ status: 'UpToDate', current: 'OutOfDate' });
    expect(judgeTdx(verified, { accept_tcb_status: ['UpToDate'] }).refusal?.code).toBe('TCB_STATUS');
    expect(judgeTdx(verified, { accept_tcb_status: ['UpToDate', 'OutOfDate'] }).accepted).toBe(true);
  });
});

describe('a TDX policy', () => {
  const days = Math.ceil((NOW - Date.parse('2025-06-01T00:00:00Z')) / 86_400_000);
  const rules: [string, TdxChange, Record<string, unknown>, string | null][] = [
    [
      'a grace that is over',
      { body: { 0: [5] } },
      { accept_tcb_status: ['UpToDate'], out_of_date_grace_days: days - 1 },
      'TCB_STATUS',
    ],
    [
      'a grace that lasts',
      { body: { 0: [5] } },
      { accept_tcb_status: ['UpToDate'], out_of_date_grace_days: days },
      null,
    ],
    ['a grace alone', { body: { 0: [5] } }, { out_of_date_grace_days: 1 }, null],
    ['an advisory that is not allowed', { body: { 0: [5] } }, { allow_advisories: ['P'] }, 'ADVISORY'],
    ['an advisory that is allowed', { body: { 0: [5] } }, { allow_advisories: ['M'] }, null],
    [
      'an evaluation number',
      { qeIdentity: (json) => (json.tcbEvaluationDataNumber = 17) },
      { min_tcb_evaluation_data_number: 18 },
      'TCB_EVALUATION_NUMBER',
    ],
    ['migration', { body: { 123: [0x30] } }, { allow_migratable: false }, 'MIGRATABLE'],
    ['performance counters', { body: { 127: [0x80] } }, { allow_perfmon: false }, 'PERFMON'],
    [
      'reserved attributes',
      { body: { 121: [1] } },
      { td_attributes_reserved_must_be_zero: true },
      'TD_ATTRIBUTES_RESERVED',
    ],
    ['reserved attributes, allowed', { body: { 121: [1] } }, { td_attributes_reserved_must_be_zero: false }, null],
    ['a service domain', { bodyType: 3, body: { 600: [1] } }, { allow_service_td: false }, 'MRSERVICETD'],
    ['a service domain of now', { bodyType: 4, body: { 829: [1] } }, { allow_service_td: false }, 'MRSERVICETD'],
    ['the attribute of service domains', { body: { 122: [2] } }, { allow_service_td: false }, 'MRSERVICETD'],
    ['service domains, allowed', { bodyType: 3, body: { 600: [1] } }, { allow_service_td: true }, null],
    ['attributes', {}, { td_attributes: '0000001000000001' }, 'TD_ATTRIBUTES'],
    ['features', {}, { xfam: 'e702060000000001' }, 'XFAM'],
    ['features that are met', {}, { xfam: 'E702060000000000' }, null],
    ['features that cannot be', { body: { 128: [2] } }, {}, 'XFAM'],
    ['a module', {}, { mr_seam: ['01'.repeat(48)] }, 'MR_SEAM'],
    ['a register', {}, { rtmr3: ['01'.repeat(48)] }, 'RTMR3'],
    ['a list without values, which accepts nothing', {}, { rtmr3: [] }, 'RTMR3'],
    ['a configuration', {}, { mr_config_id: '01'.repeat(48) }, 'MR_CONFIG_ID'],
    ['an owner', {}, { mr_owner: '01'.repeat(48) }, 'MR_OWNER'],
    ['an owner’s configuration', {}, { mr_owner_config: '01'.repeat(48) }, 'MR_OWNER_CONFIG'],
    ['a platform', {}, { ppids: ['00'.repeat(16)] }, 'PPID'],
    ['a platform that is known', {}, { ppids: ['09'.repeat(16)] }, null],
    ['hyperthreading, which is off', {}, { allow_smt: false }, null],
    ['a platform that may grow', {}, { allow_dynamic_platform: false }, 'DYNAMIC_PLATFORM'],
    ['cached keys, of which nothing is told', {}, { allow_cached_keys: false }, 'CACHED_KEYS'],
  ];

  it.each(rules)('%s', async (_, change, policy, expected) => {
    const { evidence, roots } = await tdx(change);
    const { verified } = await verifyTdx(evidence, roots, NOW);
    if (!verified) throw new Error('the evidence was refused');
    const { accepted, refusal } = judgeTdx(verified, policy);
    expect(refusal?.code ?? null).toBe(expected);
    expect(accepted).toBe(expected === null);
  });
});
