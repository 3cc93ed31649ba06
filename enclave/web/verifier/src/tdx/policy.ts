// Is this trust domain wanted? Judgement over verified claims, with the keys of the policies of `cloister-verify`.

import { toHex } from '../bytes';
import type { Verified } from '../checks';
import { type Judgement, type Rule, type Rules, type Values } from '../policy';
import { flag, hexOf, judge, listOf, oneOf, planOf, rules, text, upTo } from '../policy';
import type { Reason } from '../reasons';
import { ALL_STATUSES, type TcbStatus } from './tcb';
import type { TdxClaims } from './verify';

/** What is wanted. A key that is absent is not checked; an empty list accepts nothing. */
export interface TdxPolicy {
  /** `Revoked` may be listed and is refused all the same. */
  readonly accept_tcb_status?: readonly TcbStatus[];
  /** For how many days after the date of its level an out-of-date platform is still accepted. */
  readonly out_of_date_grace_days?: number;
  readonly reject_advisories?: readonly string[];
  /** The only advisories that may be open. */
  readonly allow_advisories?: readonly string[];
  readonly min_tcb_evaluation_data_number?: number;
  readonly allow_debug?: boolean;
  readonly td_attributes_reserved_must_be_zero?: boolean;
  readonly require_sept_ve_disable?: boolean;
  readonly allow_migratable?: boolean;
  readonly allow_service_td?: boolean;
  readonly allow_perfmon?: boolean;
  /** In hex. */
  readonly td_attributes?: string;
  readonly xfam?: string;
  /** Each in hex. */
  readonly mr_seam?: readonly string[];
  readonly mrtd?: readonly string[];
  readonly rtmr0?: readonly string[];
  readonly rtmr1?: readonly string[];
  readonly rtmr2?: readonly string[];
  readonly rtmr3?: readonly string[];
  readonly mr_config_id?: string;
  readonly mr_owner?: string;
  readonly mr_owner_config?: string;
  readonly report_data?: string;
  /** Platforms that are known, by their provisioning ids. */
  readonly ppids?: readonly string[];
  readonly allow_smt?: boolean;
  readonly allow_dynamic_platform?: boolean;
  readonly allow_cached_keys?: boolean;
}

/** What the page accepts unless it is told otherwise: the table [tdx] of `policies/appraisal/default.toml`. */
export const DEFAULT_TDX_POLICY: TdxPolicy = {
  accept_tcb_status: ['UpToDate'],
  min_tcb_evaluation_data_number: 18,
  allow_debug: false,
  td_attributes_reserved_must_be_zero: true,
  require_sept_ve_disable: true,
  allow_migratable: false,
  allow_service_td: false,
  allow_perfmon: false,
};

const bit = ({ tdAttributes }: TdxClaims, at: number) => (((tdAttributes[at >> 3] ?? 0) >> (at & 7)) & 1) === 1;
const UPDATE = 'update the firmware and the TDX module of the machine, and launch the trust domain again';
const PIN = 'pin the value of the release that you reviewed';
const PLATFORM = 'run the appliance on a platform that you accept';
const DAY_MS = 86_400_000;

/** Bits 8 to 16, 18 to 26 and 32 to 62, least significant byte first: no specification gives them a meaning yet. */
const RESERVED = [0x00, 0xff, 0xfd, 0x07, 0xff, 0xff, 0xff, 0x7f];

const TABLE: Rules<TdxClaims> = rules((rule) => {
  rule('accept_tcb_status', {
    id: 'policy.tdx.tcb_status',
    code: 'TCB_STATUS',
    stage: 'tcb',
    fix: UPDATE,
    read: listOf<TcbStatus>(oneOf(ALL_STATUSES)),
    holds: isGood,
    found: ({ tcb }) => `Intel says ${tcb.status}`,
  });
  rule('out_of_date_grace_days', upTo(0xffff_ffff));
  const advisory = { id: 'policy.tdx.advisories', code: 'ADVISORY', fix: UPDATE, read: listOf<string>(text) } as const;
  rule('reject_advisories', {
    ...advisory,
    holds: ({ tcb }, rejected) => !tcb.advisories.some((id) => rejected.includes(id)),
    found: openAdvisories,
  });
  rule('allow_advisories', {
    ...advisory,
    holds: ({ tcb }, allowed) => tcb.advisories.every((id) => allowed.includes(id)),
    found: openAdvisories,
  });
  rule('min_tcb_evaluation_data_number', {
    id: 'policy.tdx.evaluation_number',
    code: 'TCB_EVALUATION_NUMBER',
    fix: 'let the appliance fetch the collateral from Intel again',
    read: upTo(0xffff_ffff),
    holds: ({ tcb }, least) => tcb.evaluationNumber >= least,
    found: ({ tcb }) => `number ${tcb.evaluationNumber} of Intel's evaluations`,
  });
  rule('allow_debug', {
    ...attribute('debug', 'DEBUG', 'start the trust domain without debugging: with it, the host reads everything'),
    holds: (claims, allowed) => allowed || !bit(claims, 0),
    found: (claims) => (bit(claims, 0) ? 'the host may debug the trust domain and read its memory' : 'no debugging'),
  });
  rule('td_attributes_reserved_must_be_zero', {
    ...attribute('reserved', 'TD_ATTRIBUTES_RESERVED', 'use a verifier that knows these attributes'),
    holds: ({ tdAttributes }, zero) => !zero || RESERVED.every((mask, at) => ((tdAttributes[at] ?? 0) & mask) === 0),
    found: ({ tdAttributes }) => `attributes ${toHex(tdAttributes)}`,
  });
  rule('require_sept_ve_disable', {
    ...attribute('sept_ve_disable', 'SEPT_VE_DISABLE', 'start the trust domain with SEPT_VE_DISABLE'),
    holds: (claims, wanted) => !wanted || bit(claims, 28),
    found: (claims) => `the host can${bit(claims, 28) ? 'not' : ''} inject exceptions by taking memory away`,
  });
  rule('allow_migratable', {
    ...attribute('migratable', 'MIGRATABLE', 'start the trust domain without migration'),
    holds: (claims, allowed) => allowed || !bit(claims, 29),
    found: (claims) => (bit(claims, 29) ? 'the trust domain may be moved to another machine' : 'no migration'),
  });
  rule('allow_service_td', {
    ...attribute('service_td', 'MRSERVICETD', 'start the trust domain without service domains'),
    holds: (claims, allowed) => allowed || !isBound(claims),
    found: (claims) => (isBound(claims) ? 'a service domain has a hold on the trust domain' : 'no service domain'),
  });
  rule('allow_perfmon', {
    ...attribute('perfmon', 'PERFMON', 'start the trust domain without performance counters'),
    holds: (claims, allowed) => allowed || !bit(claims, 63),
    found: (claims) => `performance counters are ${bit(claims, 63) ? 'on' : 'off'}`,
  });
  rule(
    'td_attributes',
    exact('td_attributes', 'TD_ATTRIBUTES', 8, ({ tdAttributes }) => tdAttributes),
  );
  rule('xfam', {
    ...exact('xfam', 'XFAM', 8, ({ xfam }) => xfam),
    absent: '',
    // Bits 0 and 1 (x87 and SSE) are on in every trust domain that there can be.
    holds: ({ xfam }, wanted) => ((xfam[0] ?? 0) & 3) === 3 && (wanted === '' || wanted === toHex(xfam)),
  });
  references(rule);
  rule('ppids', {
    id: 'policy.tdx.platform',
    code: 'PPID',
    fix: PLATFORM,
    read: listOf<string>(hexOf(16)),
    holds: ({ platform }, ppids) => ppids.includes(platform.ppid),
    found: ({ platform }) => `platform ${platform.ppid}`,
  });
  rule('allow_smt', fact('smt', 'SMT', 'hyperthreading', 'smt'));
  rule('allow_dynamic_platform', fact('dynamic_platform', 'DYNAMIC_PLATFORM', 'a platform that may grow', 'dynamic'));
  rule('allow_cached_keys', fact('cached_keys', 'CACHED_KEYS', 'root keys that Intel keeps', 'cachedKeys'));
});

type Value = (claims: TdxClaims) => Uint8Array;
type Add = <V>(key: string, rule: Rule<TdxClaims, V>) => void;

function references(rule: Add): void {
  const pins: [string, Reason, Value][] = [
    ['mr_seam', 'MR_SEAM', ({ mrSeam }) => mrSeam],
    ['mrtd', 'MRTD', ({ mrTd }) => mrTd],
    ['rtmr0', 'RTMR0', ({ rtmrs }) => rtmrs[0]],
    ['rtmr1', 'RTMR1', ({ rtmrs }) => rtmrs[1]],
    ['rtmr2', 'RTMR2', ({ rtmrs }) => rtmrs[2]],
    ['rtmr3', 'RTMR3', ({ rtmrs }) => rtmrs[3]],
  ];
  for (const [key, code, value] of pins) rule(key, known(key, code, value));
  rule(
    'mr_config_id',
    exact('mr_config_id', 'MR_CONFIG_ID', 48, ({ mrConfigId }) => mrConfigId),
  );
  rule(
    'mr_owner',
    exact('mr_owner', 'MR_OWNER', 48, ({ mrOwner }) => mrOwner),
  );
  rule(
    'mr_owner_config',
    exact('mr_owner_config', 'MR_OWNER_CONFIG', 48, ({ mrOwnerConfig }) => mrOwnerConfig),
  );
  rule(
    'report_data',
    exact('report_data', 'REPORT_DATA', 64, ({ reportData }) => reportData),
  );
}

/**
 * Whether a status is good enough. Intel's rule looks at what runs now only where the launch was out of date. A module
 * that is older now than at launch should not exist; if one is shown, it is judged as what it is.
 */
function isGood({ tcb, verifiedAt }: TdxClaims, accepted: readonly TcbStatus[], all: Values): boolean {
  const days = all.get('out_of_date_grace_days');
  const graceMs = typeof days === 'number' ? days * DAY_MS : 0;
  const inGrace = graceMs > 0 && verifiedAt <= Math.min(tcb.tcbDate, tcb.qeDate) + graceMs;
  const good = (status: TcbStatus) =>
    accepted.includes(status) ||
    (inGrace && status === 'OutOfDate' && accepted.includes('UpToDate')) ||
    (inGrace && status === 'OutOfDateConfigurationNeeded' && accepted.includes('ConfigurationNeeded'));
  return good(tcb.status) && (!tcb.current?.startsWith('OutOfDate') || good(tcb.current));
}

function openAdvisories({ tcb }: TdxClaims): string {
  return tcb.advisories.length === 0 ? 'no advisory is open' : `open: ${tcb.advisories.join(', ')}`;
}

/** Bit 17 (TDX module ABI 1.5) and bit 27 (earlier texts) say that the report speaks of service domains. */
function isBound(claims: TdxClaims): boolean {
  return claims.serviceTd || bit(claims, 17) || bit(claims, 27);
}

function attribute(name: string, code: Reason, fix: string) {
  return { id: `policy.tdx.${name}`, code, fix, read: flag };
}

function exact(name: string, code: Reason, length: number, value: Value): Rule<TdxClaims, string> {
  const holds = (claims: TdxClaims, wanted: string) => toHex(value(claims)) === wanted;
  return {
    id: `policy.tdx.${name}`,
    code,
    fix: PIN,
    read: hexOf(length),
    holds,
    found: (claims) => toHex(value(claims)),
  };
}

function known(name: string, code: Reason, value: Value): Rule<TdxClaims, string[]> {
  return {
    id: `policy.tdx.${name}`,
    code,
    fix: PIN,
    read: listOf<string>(hexOf(48)),
    holds: (claims, wanted) => wanted.includes(toHex(value(claims))),
    found: (claims) => toHex(value(claims)),
  };
}

/** A fact of the platform that may be allowed. What a certificate does not tell is not known to be absent. */
function fact(
  name: string,
  code: Reason,
  what: string,
  key: 'smt' | 'dynamic' | 'cachedKeys',
): Rule<TdxClaims, boolean> {
  return {
    id: `policy.tdx.${name}`,
    code,
    fix: PLATFORM,
    read: flag,
    holds: ({ platform }, allowed) => allowed || platform[key] === false,
    found: ({ platform }) => (platform[key] === null ? `not told: ${what}` : `${platform[key] ? '' : 'no '}${what}`),
  };
}

const FORMAT = 'policy.tdx.format';

/** The checks of a policy in their order. */
export const TDX_POLICY_PLAN = planOf(TABLE, FORMAT);

/** Judges a verified quote. The policy may come from anywhere: what is wrong with it is part of the judgement. */
export function judgeTdx(claims: Verified<TdxClaims>, policy: TdxPolicy | unknown): Judgement {
  return judge(TABLE, FORMAT, claims, policy);
}
