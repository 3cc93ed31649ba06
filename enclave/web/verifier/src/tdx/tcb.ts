// Is the platform one that Intel lists, and how does it stand? The algorithm of Intel's own quote verification library:
// platform with TDX module first, then the quoting enclave, then what changed since the trust domain was launched.

import { type Bytes, fromHex, toHex } from '../bytes';
import type { Checklist } from '../checks';
import type { CheckedCollateral } from './collateral';
import type { Platform } from './pck';
import type { QeReport, TdReport } from './quote';
import { type Level, type ListedStatus, type QeIdentity, TCB_STATUSES, type TcbInfo } from './tcbinfo';

/** How a platform stands. The last two are never listed, only found: the module was updated after the TD was launched. */
export const ALL_STATUSES = [...TCB_STATUSES, 'TDRelaunchAdvised', 'TDRelaunchAdvisedConfigurationNeeded'] as const;

export type TcbStatus = (typeof ALL_STATUSES)[number];

/** The standing of a platform that is not revoked. */
export interface Standing {
  readonly status: Exclude<TcbStatus, 'Revoked'>;
  /** What platform and module come to as they are now, where a module may be updated under a trust domain. */
  readonly current: ListedStatus | null;
  /** Ids of Intel's advisories for the levels that were reached, sorted. */
  readonly advisories: readonly string[];
  /** The lower of those of both texts. */
  readonly evaluationNumber: number;
  /** Of the older of the levels of platform and module, Unix milliseconds: patches since then are missing. */
  readonly tcbDate: number;
  /** Of the level of the quoting enclave. */
  readonly qeDate: number;
}

/** Checks quoting enclave, TDX module and platform. */
export function checkTcb(
  list: Checklist,
  report: TdReport,
  qe: QeReport,
  platform: Platform,
  { tcbInfo, qeIdentity }: CheckedCollateral,
): Standing {
  const qeLevel = checkQe(list, qe, qeIdentity);
  checkModule(list, report, tcbInfo);
  const launch = levelsAt(list, 'tdx.tcb.level', report.teeTcbSvn, platform, tcbInfo);
  const { teeTcbSvn2 } = report;
  const now = teeTcbSvn2 && levelsAt(list, 'tdx.tcb.current_level', teeTcbSvn2, platform, tcbInfo);
  if (!now) list.pass('tdx.tcb.current_level', 'the same: modules of TDX 1.0 are not updated under a trust domain');

  const together = (levels: Level[]) => converge([...levels, qeLevel].map(({ status }) => status));
  const status = relaunch(together(launch), together(now ?? launch));
  const id = 'tdx.tcb.not_revoked';
  if (status === 'Revoked') return list.refuse(id, 'TCB_REVOKED', 'Intel has withdrawn platforms of this level');
  list.pass(id, `together: ${status}`);
  const reached = [...launch, qeLevel];
  return {
    status,
    current: now && together(now),
    advisories: [...new Set(reached.flatMap(({ advisories }) => advisories))].sort(),
    evaluationNumber: Math.min(tcbInfo.evaluationNumber, qeIdentity.evaluationNumber),
    tcbDate: Math.min(...launch.map(({ date }) => date)),
    qeDate: qeLevel.date,
  };
}

function checkQe(list: Checklist, qe: QeReport, identity: QeIdentity): Level {
  const id = 'tdx.tcb.qe_identity';
  list.demand(
    id,
    toHex(qe.mrSigner) === identity.mrSigner,
    'QE_MRSIGNER',
    'the quoting enclave is not signed by Intel',
  );
  const product = qe.isvProdId === identity.isvProdId;
  list.demand(id, product, 'QE_ISVPRODID', 'the enclave that quoted is another one');
  const features = same(qe.miscSelect, identity.miscSelect, identity.miscSelectMask);
  list.demand(id, features, 'QE_MISCSELECT', 'the quoting enclave has other features than it should');
  // DEBUG is named apart: no mask of any identity may hide it.
  const debug = ((qe.attributes[0] ?? 0) & 2) !== 0;
  const attributes = same(qe.attributes, identity.attributes, identity.attributesMask);
  list.demand(id, attributes && !debug, 'QE_ATTRIBUTES', 'the quoting enclave has other attributes than it should');
  list.pass(id, 'the quoting enclave of Intel');

  const level = identity.levels.find(({ isvSvn }) => qe.isvSvn >= isvSvn);
  if (!level)
    return list.refuse('tdx.tcb.qe_level', 'QE_TCB_UNSUPPORTED', 'the quoting enclave is older than any listed');
  list.pass('tdx.tcb.qe_level', level.status);
  return level;
}

/** The levels of platform and module that a trust domain with these numbers reaches. */
function levelsAt(list: Checklist, id: string, svn: Bytes, platform: Platform, info: TcbInfo): Level[] {
  const [moduleSvn = 0, moduleVersion = 0] = svn;
  // A module with a version has levels of its own; its two numbers are then no part of the platform's.
  const first = moduleVersion === 0 ? 0 : 2;
  const reached = info.levels.find(
    ({ sgx, tdx, pceSvn }) =>
      sgx.every((least, index) => (platform.components[index] ?? 0) >= least) &&
      platform.pceSvn >= pceSvn &&
      tdx.every((least, index) => index < first || (svn[index] ?? 0) >= least),
  );
  if (!reached) return list.refuse(id, 'TCB_UNSUPPORTED', 'the platform is older than any that Intel lists');
  const levels: Level[] = [reached];
  if (moduleVersion !== 0) {
    const module = info.modules.get(moduleName(moduleVersion));
    if (!module) return list.refuse(id, 'TDX_MODULE_UNKNOWN', `Intel lists no TDX module of version ${moduleVersion}`);
    const level = module.levels.find(({ isvSvn }) => moduleSvn >= isvSvn);
    if (!level)
      return list.refuse(id, 'TDX_MODULE_TCB_UNSUPPORTED', 'the TDX module is older than any that Intel lists');
    levels.push(level);
  }
  list.pass(id, levels.map(({ status }) => status).join(', module '));
  return levels;
}

/** Signer and attributes of the module that launched the TD. */
function checkModule(list: Checklist, { teeTcbSvn, mrSignerSeam, seamAttributes }: TdReport, info: TcbInfo): void {
  const id = 'tdx.tcb.module_identity';
  const version = teeTcbSvn[1] ?? 0;
  const wanted = version === 0 ? info.module : info.modules.get(moduleName(version));
  if (!wanted) return list.refuse(id, 'TDX_MODULE_UNKNOWN', `Intel lists no TDX module of version ${version}`);
  const signer = toHex(mrSignerSeam) === wanted.mrSigner;
  list.demand(id, signer, 'TDX_MODULE_MRSIGNER', 'the TDX module is not signed by Intel');
  const { attributes, attributesMask } = wanted;
  // Bits that the mask leaves out have no meaning yet, and so must be zero.
  const outside = seamAttributes.some((byte, index) => (byte & ~(hex(attributesMask)[index] ?? 0)) !== 0);
  const right = same(seamAttributes, attributes, attributesMask) && !outside;
  list.demand(id, right, 'SEAM_ATTRIBUTES', 'the TDX module has attributes that Intel does not list');
  list.pass(id, 'a TDX module of Intel');
}

function moduleName(version: number): string {
  return `TDX_${version.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** Platform first: module and enclave count only where they are out of date or revoked. */
function converge([platform, ...components]: ListedStatus[]): ListedStatus {
  let status = platform ?? 'Revoked';
  for (const component of components) {
    if (component === 'Revoked') return 'Revoked';
    if (component !== 'OutOfDate') continue;
    if (status === 'UpToDate' || status === 'SWHardeningNeeded') status = 'OutOfDate';
    else if (status.startsWith('Configuration')) status = 'OutOfDateConfigurationNeeded';
  }
  return status;
}

/** What a trust domain is advised to do whose module was updated while it ran. */
function relaunch(launch: ListedStatus, now: ListedStatus): TcbStatus {
  if (now === 'Revoked') return 'Revoked';
  const old = (status: ListedStatus) => status.startsWith('OutOfDate');
  if (!old(launch) || old(now)) return launch;
  const configure = [launch, now].some((status) => status.includes('Configuration'));
  return configure ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised';
}

/** Whether the bits that a mask selects are the same. */
function same(bytes: Bytes, wantedHex: string, maskHex: string): boolean {
  const [wanted, mask] = [hex(wantedHex), hex(maskHex)];
  return bytes.every((byte, index) => ((byte ^ (wanted[index] ?? 0)) & (mask[index] ?? 0)) === 0);
}

function hex(text: string): Bytes {
  return fromHex(text, text.length / 2) ?? new Uint8Array();
}
