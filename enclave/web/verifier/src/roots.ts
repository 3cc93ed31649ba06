// Trust anchors. The pinned ones are compiled in; a verifier that takes its roots from the evidence verifies nothing.

import { type Bytes, equal, fromBase64 } from './bytes';
import { AMD, INTEL } from './roots.data';
import { type Certificate, commonName, parseCertificate } from './x509';

/** The processors that AMD has roots for. */
export type Product = 'Milan' | 'Genoa' | 'Turin';

export const PRODUCTS: readonly Product[] = ['Milan', 'Genoa', 'Turin'];

/** One root of AMD, and the intermediates that are known under it. */
export interface SnpRoot {
  readonly product: Product;
  readonly ark: Certificate;
  /** Used where the evidence brings none. */
  readonly ask: Bytes | null;
  readonly asvk: Bytes | null;
}

/** What an SNP chain may end in. */
export interface SnpRoots {
  readonly roots: readonly SnpRoot[];
  /** Whether these are AMD's own. */
  readonly pinned: boolean;
}

/** What a TDX chain must end in. */
export interface TdxRoots {
  readonly root: Certificate;
  /** Whether it is Intel's own. */
  readonly pinned: boolean;
}

/** AMD's roots. */
export function pinnedSnpRoots(): SnpRoots {
  const roots = PRODUCTS.map((product) => {
    const { ark, ask, asvk } = AMD[product];
    return { product, ark: parseCertificate(der(ark)), ask: der(ask), asvk: der(asvk) };
  });
  return { roots, pinned: true };
}

/** Intel's root. */
export function pinnedTdxRoots(): TdxRoots {
  return { root: parseCertificate(der(INTEL)), pinned: true };
}

/**
 * DANGER: trusts a root of your own instead of AMD's. For tests with synthetic evidence; null where the bytes are not a
 * certificate named `ARK-<product>`.
 */
export function insecureSnpRoots(arkDer: Bytes): SnpRoots | null {
  try {
    const ark = parseCertificate(arkDer);
    const product = PRODUCTS.find((product) => commonName(ark.subject) === `ARK-${product}`);
    return product ? { roots: [{ product, ark, ask: null, asvk: null }], pinned: false } : null;
  } catch {
    return null;
  }
}

/** DANGER: trusts a root of your own instead of Intel's. Null where the bytes are not a certificate. */
export function insecureTdxRoots(rootDer: Bytes): TdxRoots | null {
  try {
    return { root: parseCertificate(rootDer), pinned: false };
  } catch {
    return null;
  }
}

/** The root with exactly these bytes. */
export function rootOf({ roots }: SnpRoots, ark: Bytes): SnpRoot | null {
  return roots.find((root) => equal(root.ark.der, ark)) ?? null;
}

function der(base64: string): Bytes {
  const bytes = fromBase64(base64);
  if (bytes === null) throw new Error('a pinned root is not base64');
  return bytes;
}
