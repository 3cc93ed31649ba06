// The formula of report_data, on the cases that the crate `cloister-attestation` is tested with.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Bytes, fromHex, fromUtf8, toHex, utf8 } from '../src/bytes';
import { digest } from '../src/crypto';
import { reportData } from '../src/document';
import { FORMAT, parseDocument } from '../src/statement';

interface Vector {
  readonly name: string;
  readonly nonce: string | null;
  readonly exporter: string | null;
  readonly statement: { readonly channel?: string };
  readonly jcs: string;
  readonly digest: string;
  readonly report_data: string;
}

const file = new URL('../../../../attestation/tests/report_data.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Vector[] };

/** What a hex text of 32 bytes says; it fails loudly if it is none. */
function bytes32(text: string): Bytes {
  const bytes = fromHex(text, 32);
  if (bytes === null) throw new Error(text);
  return bytes;
}

describe('report_data', () => {
  it.each(cases)('$name', async ({ nonce, exporter, statement, jcs, digest: hash, report_data }) => {
    const evidence = { tee: 'development', report: '' };
    const document = utf8(JSON.stringify({ format: FORMAT, nonce, statement, evidence, collateral: {} }));
    const parsed = parseDocument(document).statement;
    const channel = exporter === null ? undefined : toHex(await digest('SHA-256', bytes32(exporter)));
    expect(statement.channel).toBe(channel);
    expect(fromUtf8(parsed.jcs)).toBe(jcs);
    expect(toHex(await digest('SHA-256', parsed.jcs))).toBe(hash);
    const effective = nonce === null ? new Uint8Array(32) : bytes32(nonce);
    expect(toHex(await reportData(parsed, effective))).toBe(report_data);
  });

  it('has cases with and without a nonce and a channel', () => {
    expect(cases.length).toBe(5);
    expect(cases.filter(({ nonce }) => nonce === null).length).toBe(1);
    expect(cases.filter(({ exporter }) => exporter !== null).length).toBe(2);
  });
});
