// Intel's certificates: the platform's key (PCK) under a PCK CA, and the signer of TCB information, both under the one
// root. Names, constraints, signatures and times, each checked apart; the root is compared byte by byte.

import { type Bytes, equal } from '../bytes';
import type { Checklist } from '../checks';
import { ecdsaFromDer, ecdsaHolds, isEcdsaSha256, pointOf } from '../crypto';
import { certificatesOf } from '../pem';
import type { Reason } from '../reasons';
import type { TdxRoots } from '../roots';
import {
  type Certificate,
  type Crl,
  claimsAuthority,
  commonName,
  mayCertify,
  mayRevoke,
  parseCertificate,
} from '../x509';

/** The platform's key with the authority that issued it. */
export interface PckChain {
  readonly pck: Certificate;
  readonly ca: Certificate;
}

const PCK_CAS = ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'];
const PCK = 'Intel SGX PCK Certificate';
const ROOT = 'Intel SGX Root CA';
const TCB_SIGNER = 'Intel SGX TCB Signing';
/** Intel's chains have three certificates at most. */
const MAX_CHAIN = 8;

/** Checks the chain of the platform's key. */
export async function checkPckChain(
  list: Checklist,
  pem: string,
  { root, pinned }: TdxRoots,
  nowMs: number,
): Promise<PckChain> {
  const chain = readChain(list, 'tdx.chain.format', pem, 'QUOTE_MALFORMED');
  const [pck, ca, top] = chain;
  const three = chain.length === 3 && !!pck && !!ca && !!top;
  list.demand('tdx.chain.format', three, 'CHAIN_LENGTH', 'the chain has not three certificates');
  list.pass('tdx.chain.format', 'platform, authority and root, well formed');

  list.demand(
    'tdx.chain.root',
    equal(top.der, root.der),
    'ROOT_UNTRUSTED',
    'the chain does not end in the root of Intel',
  );
  list.pass('tdx.chain.root', pinned ? 'the root of Intel' : 'INSECURE: a root that was handed in');

  const id = 'tdx.chain.path';
  const named =
    commonName(pck.subject) === PCK &&
    PCK_CAS.includes(commonName(ca.subject) ?? '') &&
    commonName(root.subject) === ROOT;
  list.demand(id, named, 'CHAIN_SIGNATURE', 'the certificates have other names than those of Intel');
  const authorities = [root, ca].every(mayRevoke) && mayCertify(root, 1) && mayCertify(ca, 0) && !claimsAuthority(pck);
  list.demand(id, authorities, 'CHAIN_NOT_CA', 'a certificate is used as an authority and is none, or the reverse');
  const signed = (await isIssuedBy(ca, root)) && (await isIssuedBy(pck, ca));
  list.demand(id, signed, 'CHAIN_SIGNATURE', 'a certificate is not signed by the next one');
  list.pass(id, `${commonName(ca.subject)}, signed by the root`);

  for (const certificate of [pck, ca, root]) checkTime(list, 'tdx.chain.validity', certificate, nowMs);
  list.pass('tdx.chain.validity', 'all certificates are valid now');
  return { pck, ca };
}

/** Checks a chain of the signer of TCB information, which stands directly under the root. */
export async function checkSigner(
  list: Checklist,
  id: string,
  pem: string,
  { root }: TdxRoots,
  nowMs: number,
): Promise<Certificate> {
  const chain = readChain(list, id, pem, 'COLLATERAL_MALFORMED');
  const [signer, top] = chain;
  list.demand(id, chain.length === 2 && !!signer && !!top, 'TCB_SIGNER', 'its chain has not two certificates');
  list.demand(id, equal(top.der, root.der), 'ROOT_UNTRUSTED', 'its chain does not end in the root of Intel');
  const named = commonName(signer.subject) === TCB_SIGNER;
  list.demand(id, named, 'TCB_SIGNER', 'its signer is not the one that Intel has for it');
  list.demand(id, !claimsAuthority(signer), 'CHAIN_NOT_CA', 'its signer claims to be an authority');
  list.demand(id, await isIssuedBy(signer, root), 'CHAIN_SIGNATURE', 'its signer is not certified by the root');
  checkTime(list, id, signer, nowMs);
  return signer;
}

/** Whether a revocation list is signed by this authority. */
export function crlHolds(crl: Crl, authority: Certificate): Promise<boolean> {
  return holds(authority, crl);
}

/** Whether a signature (r ‖ s) over a text holds under a certificate's key. */
export async function signedBy(signer: Certificate, message: Bytes, signature: Bytes): Promise<boolean> {
  const point = pointOf(signer.spki, 'P-256');
  return point !== null && ecdsaHolds('P-256', point, message, signature);
}

async function isIssuedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
  return equal(certificate.issuer, issuer.subject) && holds(issuer, certificate);
}

type Signed = Pick<Certificate, 'signed' | 'signature'>;

/** Whether an authority signed a certificate or a list, whose algorithm was looked at when it was read. */
async function holds(issuer: Certificate, { signed, signature }: Signed): Promise<boolean> {
  const numbers = ecdsaFromDer(signature, 'P-256');
  return numbers !== null && signedBy(issuer, signed, numbers);
}

function readChain(list: Checklist, id: string, pem: string, malformed: Reason): Certificate[] {
  try {
    const chain = certificatesOf(pem, MAX_CHAIN)?.map(parseCertificate);
    if (chain?.every(({ algorithm, spki }) => isEcdsaSha256(algorithm) && pointOf(spki, 'P-256'))) return chain;
  } catch {
    // Reported below, like text that is not PEM.
  }
  return list.refuse(id, malformed, 'its chain of certificates cannot be read');
}

function checkTime(list: Checklist, id: string, { notBefore, notAfter }: Certificate, nowMs: number): void {
  list.demand(id, nowMs >= notBefore, 'CERT_NOT_YET_VALID', 'a certificate is not valid yet');
  list.demand(id, nowMs <= notAfter, 'CERT_EXPIRED', 'a certificate has expired');
}
