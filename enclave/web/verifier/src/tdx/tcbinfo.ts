// The texts that Intel signs, read strictly: TCB information (version 3) and the identity of the quoting enclave
// (versions 2 and 3), as the Intel PCS API v4 documents them. Levels are sorted here: their order in the text is not trusted.

import { fromAnyHex, toHex } from '../bytes';
import type { Checklist } from '../checks';
import { instant } from '../der';
import { type Json, isObject } from '../json';

/** What Intel says about a level. */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;

export type ListedStatus = (typeof TCB_STATUSES)[number];

/** One level of a platform, a module or an enclave. */
export interface Level {
  readonly status: ListedStatus;
  /** When the level was last the newest, Unix milliseconds. */
  readonly date: number;
  readonly advisories: readonly string[];
}

/** A level of the platform: all its numbers must be reached. */
export interface PlatformLevel extends Level {
  readonly sgx: readonly number[];
  readonly tdx: readonly number[];
  readonly pceSvn: number;
}

/** A level of a module or an enclave: its one number must be reached. */
export interface SvnLevel extends Level {
  readonly isvSvn: number;
}

/** What a TDX module must be. */
export interface ModuleIdentity {
  /** Hex. */
  readonly mrSigner: string;
  readonly attributes: string;
  readonly attributesMask: string;
}

/** Numbers and dates that both texts have. */
interface Dated {
  readonly issueDate: number;
  readonly nextUpdate: number;
  /** Grows with each evaluation of Intel; a floor for it defeats old texts. */
  readonly evaluationNumber: number;
}

/** TCB information of one model of platform. */
export interface TcbInfo extends Dated {
  readonly fmspc: string;
  readonly pceId: string;
  readonly module: ModuleIdentity;
  /** By `TDX_<version in hex>`. */
  readonly modules: ReadonlyMap<string, ModuleIdentity & { readonly levels: readonly SvnLevel[] }>;
  /** Highest first. */
  readonly levels: readonly PlatformLevel[];
}

/** What the quoting enclave must be. */
export interface QeIdentity extends Dated {
  readonly miscSelect: string;
  readonly miscSelectMask: string;
  readonly attributes: string;
  readonly attributesMask: string;
  readonly mrSigner: string;
  readonly isvProdId: number;
  readonly levels: readonly SvnLevel[];
}

type Fields = { readonly [name: string]: Json };

/** Ends the reading: the text is signed, and yet not what it should be. */
class Unreadable extends Error {}

const MAX_ITEMS = 256;

/** Reads TCB information for TDX. */
export function readTcbInfo(list: Checklist, json: Fields): TcbInfo {
  const id = 'tdx.collateral.tcb_info';
  list.demand(id, json.version === 3, 'COLLATERAL_VERSION', 'it has another version than 3');
  list.demand(id, json.id === 'TDX', 'COLLATERAL_ID_MISMATCH', 'it is not for TDX');
  return readable(list, id, () => {
    if (number(json.tcbType, 0xff) !== 0) throw new Unreadable('tcbType');
    const modules = new Map<string, TcbInfo['modules'] extends ReadonlyMap<string, infer M> ? M : never>();
    for (const item of json.tdxModuleIdentities === undefined ? [] : items(json.tdxModuleIdentities)) {
      const fields = object(item);
      const name = text(fields.id).toUpperCase();
      if (modules.has(name)) throw new Unreadable('a module twice');
      modules.set(name, { ...moduleIdentity(fields), levels: svnLevels(fields.tcbLevels, 0xff, MODULE_STATUSES) });
    }
    return {
      ...dated(json),
      fmspc: hex(json.fmspc, 6),
      pceId: hex(json.pceId, 2),
      module: moduleIdentity(object(json.tdxModule)),
      modules,
      levels: items(json.tcbLevels).map(platformLevel).sort(descending),
    };
  });
}

/** Reads the identity of the quoting enclave for TDX. */
export function readQeIdentity(list: Checklist, json: Fields): QeIdentity {
  const id = 'tdx.collateral.qe_identity';
  list.demand(id, json.version === 2 || json.version === 3, 'COLLATERAL_VERSION', 'it has a version that is not known');
  list.demand(id, json.id === 'TD_QE', 'COLLATERAL_ID_MISMATCH', 'it is not that of the quoting enclave of TDX');
  return readable(list, id, () => ({
    ...dated(json),
    miscSelect: hex(json.miscselect, 4),
    miscSelectMask: hex(json.miscselectMask, 4),
    attributes: hex(json.attributes, 16),
    attributesMask: hex(json.attributesMask, 16),
    mrSigner: hex(json.mrsigner, 32),
    isvProdId: number(json.isvprodid, 0xffff),
    levels: svnLevels(json.tcbLevels, 0xffff, QE_STATUSES),
  }));
}

const MODULE_STATUSES: readonly ListedStatus[] = ['UpToDate', 'OutOfDate', 'Revoked'];
const QE_STATUSES: readonly ListedStatus[] = [
  ...MODULE_STATUSES,
  'ConfigurationNeeded',
  'OutOfDateConfigurationNeeded',
];

function readable<T>(list: Checklist, id: string, read: () => T): T {
  try {
    return read();
  } catch {
    return list.refuse(id, 'COLLATERAL_MALFORMED', 'it is not as Intel documents it');
  }
}

function dated(json: Fields): Dated {
  return {
    issueDate: instant(text(json.issueDate)),
    nextUpdate: instant(text(json.nextUpdate)),
    evaluationNumber: number(json.tcbEvaluationDataNumber, 0xffff_ffff),
  };
}

function moduleIdentity(json: Fields): ModuleIdentity {
  return {
    mrSigner: hex(json.mrsigner, 48),
    attributes: hex(json.attributes, 8),
    attributesMask: hex(json.attributesMask, 8),
  };
}

function platformLevel(json: Json): PlatformLevel {
  const fields = object(json);
  const tcb = object(fields.tcb);
  return {
    ...level(fields, TCB_STATUSES),
    sgx: components(tcb.sgxtcbcomponents),
    tdx: components(tcb.tdxtcbcomponents),
    pceSvn: number(tcb.pcesvn, 0xffff),
  };
}

function svnLevels(json: Json | undefined, most: number, known: readonly ListedStatus[]): SvnLevel[] {
  const levels = items(json).map((item) => {
    const fields = object(item);
    return { ...level(fields, known), isvSvn: number(object(fields.tcb).isvsvn, most) };
  });
  return levels.sort((a, b) => b.isvSvn - a.isvSvn);
}

function level(json: Fields, known: readonly ListedStatus[]): Level {
  const status = known.find((status) => status === json.tcbStatus);
  if (!status) throw new Unreadable('a status that is not known');
  const advisories = json.advisoryIDs === undefined ? [] : items(json.advisoryIDs).map(text);
  return { status, date: instant(text(json.tcbDate)), advisories };
}

function components(json: Json | undefined): number[] {
  const svns = items(json).map((item) => number(object(item).svn, 0xff));
  if (svns.length !== 16) throw new Unreadable('not 16 components');
  return svns;
}

/** Higher first: by SGX components, then the provisioning certification enclave, then TDX components. */
function descending(a: PlatformLevel, b: PlatformLevel): number {
  const of = (level: PlatformLevel) => [...level.sgx, level.pceSvn, ...level.tdx];
  const others = of(b);
  for (const [index, value] of of(a).entries()) {
    const difference = (others[index] ?? 0) - value;
    if (difference !== 0) return difference;
  }
  return 0;
}

function object(json: Json | undefined): Fields {
  if (!isObject(json)) throw new Unreadable('not an object');
  return json;
}

function items(json: Json | undefined): Json[] {
  if (!Array.isArray(json) || json.length > MAX_ITEMS) throw new Unreadable('not a list');
  return json;
}

function text(json: Json | undefined): string {
  if (typeof json !== 'string' || json.length > 200) throw new Unreadable('not a text');
  return json;
}

function number(json: Json | undefined, most: number): number {
  if (typeof json !== 'number' || json < 0 || json > most) throw new Unreadable('not a number');
  return json;
}

function hex(json: Json | undefined, length: number): string {
  const bytes = fromAnyHex(json, length);
  if (bytes === null) throw new Unreadable('not hex');
  return toHex(bytes);
}
