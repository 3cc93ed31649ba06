// PEM (RFC 7468) of certificates, strictly: whole blocks, and nothing but white space between and around them.

import { type Bytes, fromBase64 } from './bytes';

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';
const MAX_PEM = 64 << 10;

/** The certificates of a chain as DER, or null where the text is anything else or holds more than `most`. */
export function certificatesOf(pem: string, most: number): Bytes[] | null {
  if (pem.length > MAX_PEM) return null;
  // Intel's quoting library counts the zero at the end of a C string as a part of the chain.
  let rest = trimmed(pem.endsWith('\0') ? pem.slice(0, -1) : pem);
  const found: Bytes[] = [];
  while (rest !== '') {
    const end = rest.indexOf(END);
    if (!rest.startsWith(BEGIN) || end < 0) return null;
    const der = fromBase64(rest.slice(BEGIN.length, end).replace(/[ \t\n\f\r]/g, ''));
    if (der === null || found.length === most) return null;
    found.push(der);
    rest = trimmed(rest.slice(end + END.length));
  }
  return found;
}

/** Without the white space of ASCII at either end; one pass, whatever the text. */
function trimmed(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && ' \t\n\f\r'.includes(text[from] ?? '')) from++;
  while (to > from && ' \t\n\f\r'.includes(text[to - 1] ?? '')) to--;
  return text.slice(from, to);
}
