// Asks the appliance of this origin for evidence, and verifies it. The only thing that happens before evidence is there.

import { type Verification, verify } from '@cloister/verifier';
import { type Bytes, randomBytes, toHex } from '@cloister/verifier/bytes';

/** No evidence could be had. */
export class NoEvidence extends Error {
  override readonly name = 'NoEvidence';
}

const PATH = '/.well-known/cloister/attestation';
const TIMEOUT_MS = 15_000;
const MAX_BYTES = 1 << 20;

/** Asks for evidence with a fresh nonce, and verifies it. */
export async function fetchAndVerify(now: () => number = Date.now): Promise<Verification> {
  const nonce = randomBytes(32);
  return verify(await fetchDocument(nonce), nonce, now());
}

async function fetchDocument(nonce: Bytes): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(`${PATH}?nonce=${toHex(nonce)}`, {
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new NoEvidence('No evidence could be fetched. Check the connection and try again.');
  }
  if (!response.ok) {
    throw new NoEvidence(
      `The appliance gave no evidence (status ${response.status}). It may be starting; try again in a moment.`,
    );
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > MAX_BYTES) throw new NoEvidence('The evidence is larger than any evidence can be.');
  return bytes;
}
