// The chain of an SNP report: AMD's root key (ARK), an intermediate (ASK for chips, ASVK for providers) and the key that
// signs reports (VCEK or VLEK). Anchored in a root that is compiled in; a self-signature is not a check.

import { type Bytes, equal, fromUtf8, toHex } from '../bytes';
import type { Checklist } from '../checks';
import { isPssSha384, pointOf, pssHolds } from '../crypto';
import { Reader, TAG, small } from '../der';
import { type Product, type SnpRoot, type SnpRoots, rootOf } from '../roots';
import { type Certificate, commonName, mayCertify, parseCertificate, parseCrl } from '../x509';
import type { SigningKey, Tcb } from './report';

/** What comes with a report. All of it may have been made up by whoever runs the machine. */
export interface SnpEndorsements {
  /** VCEK or VLEK certificate, DER. */
  readonly vek: Bytes | null;
  /** Intermediate certificate, DER; without it, the one that is compiled in. */
  readonly ask?: Bytes | null;
  /** Root certificate, DER: never trusted, only compared with those that are compiled in. */
  readonly ark?: Bytes | null;
  /** Revocation list of the root, DER. */
  readonly crl?: Bytes | null;
}

/** A chain that holds, and what its last certificate says about the chip. */
export interface SnpChain {
  readonly product: Product;
  readonly signingKey: SigningKey;
  /** Public key of the certificate: x ‖ y. */
  readonly point: Bytes;
  readonly tcb: Tcb;
  /** The chip, for a VCEK: 64 bytes, on Turin 8. */
  readonly hwid: Bytes | null;
  /** The provider, for a VLEK. */
  readonly cspId: string | null;
  readonly productName: string;
  /** End of the shortest validity in the chain and its revocation list, Unix milliseconds. */
  readonly validUntil: number;
  readonly vekNotAfter: number;
  readonly crlChecked: boolean;
}

/** Checks a chain as of `nowMs`. */
export async function checkChain(
  list: Checklist,
  given: SnpEndorsements,
  roots: SnpRoots,
  nowMs: number,
): Promise<SnpChain> {
  if (!given.vek) return list.refuse('snp.vek.present', 'NO_ENDORSEMENT_KEY', 'no certificate of the signing key came');
  list.pass('snp.vek.present', 'a certificate of the signing key came with the report');
  const vek = parsed(given.vek);
  if (!vek) return list.refuse('snp.vek.format', 'VEK_MALFORMED', 'the certificate of the signing key cannot be read');
  list.demand('snp.vek.format', isPssSha384(vek.algorithm), 'CERT_SIG_ALG', NOT_PSS);
  list.pass('snp.vek.format', 'strict DER, RSASSA-PSS');
  const ask = readAsk(list, given, vek, roots);

  // A root that came along must be one of ours; without one, ours that the intermediate names.
  const named = roots.roots.find(({ ark }) => equal(ark.subject, ask.issuer));
  const root = given.ark ? rootOf(roots, given.ark) : named;
  if (!root)
    return list.refuse('snp.chain.ark', 'ROOT_UNTRUSTED', 'the chain ends in no root key of AMD that is known here');
  const whose = roots.pinned ? "AMD's own" : "NOT AMD's: trusted because the caller said so";
  list.pass('snp.chain.ark', `the root key for ${root.product}, ${whose}`);

  await checkAsk(list, ask, root);
  const issued = equal(vek.issuer, ask.subject) && (await pssHolds(ask.spki, vek.signed, vek.signature));
  list.demand('snp.chain.vek', issued, 'VEK_CHAIN_SIGNATURE', 'the signing key is not certified by this intermediate');
  list.pass('snp.chain.vek', 'certified by the intermediate');
  checkValidity(list, { VEK: vek, ASK: ask, ARK: root.ark }, nowMs);
  const crlUntil = await checkCrl(list, given.crl ?? null, root, ask, nowMs);

  const signingKey = checkKind(list, vek, ask);
  const point = pointOf(vek.spki, 'P-384');
  if (!point) return list.refuse('snp.vek.key', 'VEK_KEY_TYPE', 'the signing key is not on the curve P-384');
  list.pass('snp.vek.key', 'ECDSA P-384');
  const ends = [vek.notAfter, ask.notAfter, root.ark.notAfter, crlUntil ?? Number.POSITIVE_INFINITY];
  return {
    ...readExtensions(list, vek, root.product, signingKey),
    product: root.product,
    signingKey,
    point,
    validUntil: Math.min(...ends),
    vekNotAfter: vek.notAfter,
    crlChecked: crlUntil !== null,
  };
}

const NOT_PSS = 'it is not signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes';

/** The intermediate that came along, or the compiled-in one that the signing key's certificate names. */
function readAsk(list: Checklist, given: SnpEndorsements, vek: Certificate, { roots }: SnpRoots): Certificate {
  const id = 'snp.ask.format';
  const issuer = commonName(vek.issuer);
  const known = roots.find(({ product }) => issuer === `SEV-${product}`)?.ask;
  const knownVlek = roots.find(({ product }) => issuer === `SEV-VLEK-${product}`)?.asvk;
  const der = given.ask ?? known ?? knownVlek;
  if (!der)
    return list.refuse(id, 'NO_ENDORSEMENT_KEY', 'no intermediate certificate came, and none is known for this root');
  const ask = parsed(der);
  if (!ask) return list.refuse(id, 'ASK_SIGNATURE', 'the intermediate certificate cannot be read');
  list.demand(id, isPssSha384(ask.algorithm), 'CERT_SIG_ALG', NOT_PSS);
  list.pass(id, given.ask ? 'it came along, strict DER, RSASSA-PSS' : 'the one that is compiled in');
  return ask;
}

async function checkAsk(list: Checklist, ask: Certificate, { ark, product }: SnpRoot): Promise<void> {
  const name = commonName(ask.subject);
  const fits =
    equal(ask.issuer, ark.subject) &&
    mayCertify(ark, 1) &&
    mayCertify(ask, 0) &&
    (name === `SEV-${product}` || name === `SEV-VLEK-${product}`) &&
    (await pssHolds(ark.spki, ask.signed, ask.signature));
  list.demand('snp.chain.ask', fits, 'ASK_SIGNATURE', 'the intermediate is not certified by the root key');
  list.pass('snp.chain.ask', `${name}, certified by the root key`);
}

/** Keys of chips and keys of providers have intermediates of their own, which are not interchangeable. */
function checkKind(list: Checklist, vek: Certificate, ask: Certificate): SigningKey {
  const id = 'snp.vek.kind';
  const name = commonName(vek.subject);
  if (name !== 'SEV-VCEK' && name !== 'SEV-VLEK')
    return list.refuse(id, 'VEK_MALFORMED', 'not named as a signing key is');
  const kind = name === 'SEV-VCEK' ? 'VCEK' : 'VLEK';
  const under = commonName(ask.subject)?.startsWith('SEV-VLEK-') ? 'VLEK' : 'VCEK';
  list.demand(id, kind === under, 'SIGNING_KEY_MISMATCH', `a ${kind}, certified as a ${under}`);
  list.pass(id, kind === 'VLEK' ? 'a key of the provider (VLEK)' : 'a key of this one chip (VCEK)');
  return kind;
}

function checkValidity(list: Checklist, chain: Record<'VEK' | 'ASK' | 'ARK', Certificate>, nowMs: number): void {
  const id = 'snp.chain.validity';
  for (const kind of ['VEK', 'ASK', 'ARK'] as const) {
    const { notBefore, notAfter } = chain[kind];
    list.demand(id, nowMs >= notBefore, `${kind}_NOT_YET_VALID`, 'a certificate is not valid yet');
    list.demand(id, nowMs <= notAfter, `${kind}_EXPIRED`, 'a certificate has expired');
  }
  list.pass(id, 'all certificates are valid now');
}

/** Returns until when the list is good; null where none was given. */
async function checkCrl(
  list: Checklist,
  der: Bytes | null,
  { ark }: SnpRoot,
  ask: Certificate,
  nowMs: number,
): Promise<number | null> {
  const id = 'snp.crl';
  if (der === null) {
    list.notDone(id, 'no revocation list came with the report, so a withdrawn key would not be noticed');
    return null;
  }
  let crl;
  try {
    crl = parseCrl(der);
  } catch {
    return list.refuse(id, 'CRL_SIGNATURE', 'the revocation list cannot be read');
  }
  list.demand(id, isPssSha384(crl.algorithm), 'CERT_SIG_ALG', NOT_PSS);
  list.demand(id, equal(crl.issuer, ark.subject), 'CRL_ISSUER', 'the revocation list is that of another root key');
  const holds = await pssHolds(ark.spki, crl.signed, crl.signature);
  list.demand(id, holds, 'CRL_SIGNATURE', 'the signature of the revocation list is wrong');
  const current = nowMs >= crl.thisUpdate && nowMs <= crl.nextUpdate;
  list.demand(id, current, 'CRL_EXPIRED', 'the revocation list is not of now');
  list.demand(id, !crl.revoked.has(ask.serial), 'ASK_REVOKED', 'AMD has withdrawn the intermediate certificate');
  list.pass(id, 'nothing in the chain is revoked');
  return crl.nextUpdate;
}

/** 1.3.6.1.4.1.3704.1, as the content of an object identifier. */
const ARC = '2b060104019c7801';
const STRUCT_VERSION = '01';
const PRODUCT_NAME = '02';
const SPL = { bootloader: '0301', tee: '0302', snp: '0303', microcode: '0308' };
const FMC_SPL = '0309';
const HWID = '04';
const CSP_ID = '05';

type Extensions = Pick<SnpChain, 'tcb' | 'hwid' | 'cspId' | 'productName'>;

/** A missing extension is a refusal: a check that is skipped where its input is missing is no check. */
function readExtensions(list: Checklist, vek: Certificate, product: Product, kind: SigningKey): Extensions {
  const id = 'snp.vek.extensions';
  const value = (suffix: string): Bytes =>
    vek.extensions.get(ARC + suffix) ?? list.refuse(id, 'VEK_EXT_MISSING', `AMD's extension ${suffix} is missing`);
  const malformed = (suffix: string) =>
    list.refuse(id, 'VEK_EXT_MALFORMED', `AMD's extension ${suffix} says something impossible`);
  const spl = (suffix: string): number => integer(value(suffix), 255) ?? malformed(suffix);

  if (spl(STRUCT_VERSION) !== (product === 'Turin' ? 1 : 0)) malformed(STRUCT_VERSION);
  const tcb: Tcb = {
    fmc: product === 'Turin' ? spl(FMC_SPL) : null,
    bootloader: spl(SPL.bootloader),
    tee: spl(SPL.tee),
    snp: spl(SPL.snp),
    microcode: spl(SPL.microcode),
  };
  const hwid = kind === 'VCEK' ? value(HWID) : null;
  if (hwid && hwid.length !== (product === 'Turin' ? 8 : 64)) malformed(HWID);
  const cspId = kind === 'VLEK' ? (ia5(value(CSP_ID)) ?? malformed(CSP_ID)) : null;
  // A key of a provider is of no chip, and a key of a chip of no provider.
  const foreign = kind === 'VLEK' ? HWID : CSP_ID;
  if (vek.extensions.has(ARC + foreign)) malformed(foreign);
  const productName = ia5(value(PRODUCT_NAME)) ?? malformed(PRODUCT_NAME);
  list.pass(id, cspId === null ? 'all are there and well formed' : `all are there; the provider is ${cspId}`);

  const stepped = productName.startsWith(`${product}-`) && productName.length > product.length + 1;
  const right = productName === product || stepped;
  list.demand('snp.vek.product', right, 'PRODUCT_NAME', 'the certificate names another product than its chain');
  list.pass('snp.vek.product', `${productName}, as its chain`);
  return { tcb, hwid, cspId, productName };
}

/** A DER INTEGER of at most `max`, in full: 0x0154 is not 0x54. */
function integer(value: Bytes, max: number): number | null {
  try {
    const reader = new Reader(value);
    const number = small(reader);
    reader.finish();
    return number <= max ? number : null;
  } catch {
    return null;
  }
}

/** A DER IA5String of printable characters, or null. */
function ia5(value: Bytes): string | null {
  try {
    const reader = new Reader(value);
    const text = fromUtf8(reader.content(TAG.ia5String));
    reader.finish();
    return /^[\x20-\x7e]{1,200}$/.test(text) ? text : null;
  } catch {
    return null;
  }
}

function parsed(der: Bytes): Certificate | null {
  try {
    return parseCertificate(der);
  } catch {
    return null;
  }
}

/** The chip as reports write it: 64 bytes, of which Turin uses 8. In hex. */
export function chipIdOf(hwid: Bytes): string {
  return toHex(hwid).padEnd(128, '0');
}
