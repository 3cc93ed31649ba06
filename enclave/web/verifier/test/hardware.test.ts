// Documents with evidence of hardware: true ones pass as a whole, and the evidence must speak of the statement in them.

import { describe, expect, it } from 'vitest';
import { type Bytes, fromUtf8, toBase64, toHex, utf8 } from '../src/bytes';
import { type Trust, type Verification, appraise, reportData, verify } from '../src';
import { canonical, type Json } from '../src/json';
import { counting } from '../../test/bytes';
import { NOW } from './der';
import { snp } from './snpMaker';
import { tdx } from './tdxMaker';

const NONCE = counting(0x10, 32);

const STATEMENT = {
  v: 1,
  build: { version: '0.1.0', commit: 'unknown' },
  tls_spki_sha256: ['aa'.repeat(32)],
  hpke_keys: ['bb'.repeat(32)],
  opaque_pk: 'cc'.repeat(32),
  receipt_keys: [{ key_id: '66687aadf862bd77', public_key: '00'.repeat(32) }],
  log_keys_root: 'dd'.repeat(32),
  models: [{ id: 'all-MiniLM-L6-v2', sha256: 'ee'.repeat(32), role: 'embedder' }],
  policies_sha256: '11'.repeat(32),
  egress_sha256: '22'.repeat(32),
  state: { epoch: 3, audit_head: '33'.repeat(32) },
  not_after: NOW + 60_000,
};

const bound = (statement: Json = STATEMENT, nonce = NONCE) => reportData({ jcs: utf8(canonical(statement)) }, nonce);

interface Made {
  readonly document: { [name: string]: unknown; evidence: { tee: string; report: string }; collateral: object };
  readonly trust: Trust;
}

function documentOf(tee: string, report: Bytes, collateral: object): Made['document'] {
  const format = 'cloister/attestation-document/v1';
  return { format, nonce: toHex(NONCE), statement: STATEMENT, evidence: { tee, report: toBase64(report) }, collateral };
}

/** A document of an AMD machine. The root is of our own, and taken for AMD's. */
async function snpDocument(data?: Bytes): Promise<Made> {
  const { evidence, roots } = await snp({ reportData: data ?? (await bound()) });
  const { vek, ask, ark } = evidence;
  if (!vek || !ask || !ark) throw new Error('certificates are missing');
  const collateral = { vek: toBase64(vek), ask: toBase64(ask), ark: toBase64(ark) };
  const other = await tdx();
  const trust = { snp: { ...roots, pinned: true }, tdx: other.roots };
  return { document: documentOf('sev-snp', evidence.report, collateral), trust };
}

/** A document of an Intel machine. */
async function tdxDocument(data?: Bytes): Promise<Made> {
  const { evidence, roots } = await tdx({ body: { 520: [...(data ?? (await bound()))] } });
  const other = await snp();
  const trust = { snp: other.roots, tdx: { ...roots, pinned: true } };
  return { document: documentOf('tdx', evidence.quote, evidence.collateral as object), trust };
}

const check = ({ document, trust }: Made, now = NOW) => verify(utf8(JSON.stringify(document)), NONCE, now, trust);

function failed({ checks, claims }: Verification): string | undefined {
  const failures = checks.filter(({ result }) => result === 'fail').map(({ id }) => id);
  expect(failures.length).toBeLessThanOrEqual(1);
  expect(claims === null).toBe(failures.length === 1);
  return failures[0];
}

describe.each([
  ['AMD', snpDocument, 'snp.report.signature'],
  ['Intel', tdxDocument, 'tdx.signature.quote'],
] as const)('a document of a machine of %s', (_, make, signature) => {
  it('is true, accepted, and says what was checked', async () => {
    const verification = await check(await make());
    expect(failed(verification)).toBeUndefined();
    const notDone = verification.checks.filter(({ result }) => result === 'not_done').map(({ id }) => id);
    expect(notDone.filter((id) => id !== 'snp.crl')).toEqual(['channel.match']);
    expect(verification.claims).toMatchObject({ hardware: true, validUntilMs: NOW + 60_000 });
    const result = appraise(verification, 'refuse', NOW);
    expect(result.checks.filter(({ result }) => result === 'fail')).toEqual([]);
    expect(result.verdict).toBe('accepted');
  });

  it('is refused under the roots of AMD and Intel', async () => {
    const { document } = await make();
    const verification = await verify(utf8(JSON.stringify(document)), NONCE, NOW);
    expect(failed(verification)).toMatch(/chain\.(ark|root)$/);
  });

  it('is no confidential machine under a root that was handed in', async () => {
    const { document, trust } = await make();
    const insecure = { snp: { ...trust.snp, pinned: false }, tdx: { ...trust.tdx, pinned: false } };
    const verification = await check({ document, trust: insecure });
    expect(verification.claims?.hardware).toBe(false);
    expect(appraise(verification, 'refuse', NOW).verdict).toBe('rejected');
  });

  it('is refused when its statement was changed', async () => {
    const { document, trust } = await make();
    const statement = { ...STATEMENT, hpke_keys: ['ab'.repeat(32)] };
    expect(failed(await check({ document: { ...document, statement }, trust }))).toBe('statement.report_data');
  });

  it('is refused when it was made for another nonce, whatever it says', async () => {
    expect(failed(await check(await make(await bound(STATEMENT, counting(0x11, 32)))))).toBe('statement.report_data');
  });

  it('is refused when it has run out', async () => {
    expect(failed(await check(await make(), NOW + 60_001))).toBe('statement.not_after');
  });

  it('is refused without its collateral, or with any other', async () => {
    const { document, trust } = await make();
    for (const collateral of [{}, { vek: 'AA==' }, { vek: 7, tcb_info: 7 }, { vek: null }]) {
      expect(failed(await check({ document: { ...document, collateral }, trust }))).toMatch(/^(snp\.vek|tdx\.|doc\.)/);
    }
  });

  it('is refused when its report was altered', async () => {
    const { document, trust } = await make();
    const report = Uint8Array.from(Buffer.from(document.evidence.report, 'base64'));
    report[0x90] = (report[0x90] ?? 0) ^ 1;
    const evidence = { ...document.evidence, report: toBase64(report) };
    expect(failed(await check({ document: { ...document, evidence }, trust }))).toBe(signature);
  });

  it('is not a document of the other kind', async () => {
    const { document, trust } = await make();
    for (const tee of ['sev-snp', 'tdx', 'development'].filter((tee) => tee !== document.evidence.tee)) {
      const evidence = { ...document.evidence, tee };
      expect(failed(await check({ document: { ...document, evidence }, trust }))).toBe('doc.format');
    }
  });

  it('never makes the verifier throw, however it is cut or changed', async () => {
    const { document, trust } = await make();
    const bytes = utf8(JSON.stringify(document));
    for (let at = 0; at < bytes.length; at += 37) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x05;
      const { claims } = await verify(changed, NONCE, NOW, trust);
      // Spaces in certificates, and the chain that nobody reads, may change without changing anything.
      if (claims !== null) expect(fromUtf8(bytes.slice(Math.max(0, at - 2), at + 2))).toMatch(/\\n|"pck_crl_issuer/);
      expect((await verify(bytes.slice(0, at), NONCE, NOW, trust)).claims).toBeNull();
    }
  });
});

describe('members that belong to another kind', () => {
  it.each([{ quote: 'QQ==' }, { tpm_quote: {} }, { quote: null }])('%j makes a document malformed', async (member) => {
    const { document, trust } = await snpDocument();
    const evidence = { ...document.evidence, ...member };
    expect(failed(await check({ document: { ...document, evidence }, trust }))).toBe('doc.format');
    const azure = { ...evidence, tee: 'az-snp' };
    expect(failed(await check({ document: { ...document, evidence: azure }, trust }))).toBe('evidence.tee');
  });
});

describe('what is wanted of hardware', () => {
  it('is judged too: true evidence of a debug guest is rejected', async () => {
    const { evidence, roots } = await snp({ reportData: await bound(), report: { 0x0a: [0x0b] } });
    const { vek, ask } = evidence;
    if (!vek || !ask) throw new Error('certificates are missing');
    const document = documentOf('sev-snp', evidence.report, { vek: toBase64(vek), ask: toBase64(ask) });
    const verification = await check({
      document,
      trust: { snp: { ...roots, pinned: true }, tdx: (await tdx()).roots },
    });
    expect(failed(verification)).toBeUndefined();
    const result = appraise(verification, 'allow', NOW);
    expect(result.verdict).toBe('rejected');
    expect(result.checks.filter(({ result }) => result === 'fail').map(({ id }) => id)).toEqual(['policy.snp.debug']);
  });

  it('can be pinned by a caller', async () => {
    const verification = await check(await tdxDocument());
    const mrtd = ['41'.repeat(48)];
    expect(appraise(verification, 'refuse', NOW, { snp: {}, tdx: { mrtd } }).verdict).toBe('accepted');
    expect(appraise(verification, 'refuse', NOW, { snp: {}, tdx: { mrtd: ['42'.repeat(48)] } }).verdict).toBe(
      'rejected',
    );
  });
});

describe('the image that runs', () => {
  const SNP_IMAGE = { name: 'release 1.2', tee: 'sev-snp', measurement: '' } as const;
  const judge = (verification: Verification, policies: object) => appraise(verification, 'refuse', NOW, policies);
  const line = (result: ReturnType<typeof judge>, id: string) => result.checks.find((check) => check.id === id);

  /** True evidence of each kind, and the image that it is of. */
  async function machines() {
    const [amd, intel] = [await check(await snpDocument()), await check(await tdxDocument())];
    const [snpClaims, tdxClaims] = [amd.claims?.evidence, intel.claims?.evidence];
    if (snpClaims?.tee !== 'sev-snp' || tdxClaims?.tee !== 'tdx') throw new Error('not true');
    const [rtmr0, rtmr1, rtmr2] = tdxClaims.rtmrs.map(toHex);
    const tdxImage = { name: 'release 1.2 (TDX)', tee: 'tdx', mrtd: toHex(tdxClaims.mrTd), rtmr0, rtmr1, rtmr2 };
    return [
      { verification: amd, table: { snp: {} }, image: { ...SNP_IMAGE, measurement: toHex(snpClaims.measurement) } },
      { verification: intel, table: { tdx: {} }, image: tdxImage },
    ];
  }
  const OTHER = 'ab'.repeat(48);

  it('is named by the entry that has all of its measurements', async () => {
    for (const { verification, table, image } of await machines()) {
      const others = [
        { ...SNP_IMAGE, measurement: OTHER },
        { ...image, name: 'second' },
      ];
      const result = judge(verification, { ...table, measurement: [others[0], image, others[1]] });
      expect([result.verdict, result.image]).toEqual(['accepted', image.name]);
      expect(line(result, 'policy.image')).toMatchObject({ result: 'pass', reason: `this is ${image.name}` });
      for (const key of ['measurement', 'mrtd', 'rtmr0', 'rtmr1', 'rtmr2'].filter((key) => key in image)) {
        const refused = judge(verification, { ...table, measurement: [{ ...image, [key]: OTHER }] });
        expect([refused.verdict, refused.image], key).toEqual(['rejected', null]);
        const reason = 'the launch measurements are those of no entry';
        expect(line(refused, 'policy.image')).toMatchObject({ result: 'fail', reason });
      }
    }
  });

  it('counts only in its time, whose two ends are inside', async () => {
    const text = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');
    for (const { verification, table, image } of await machines()) {
      const during = (not_before: string, not_after: string) =>
        judge(verification, { ...table, measurement: [{ ...image, not_before, not_after }] });
      expect(during(text(NOW), text(NOW)).image).toBe(image.name);
      for (const [from, until] of [
        [NOW - 2000, NOW - 1000],
        [NOW + 1000, NOW + 2000],
      ] as const) {
        const result = during(text(from), text(until));
        expect([result.verdict, result.image]).toEqual(['rejected', null]);
        const reason = `this is ${image.name}, whose entry is not valid at this time`;
        expect(line(result, 'policy.image')?.reason).toBe(reason);
      }
    }
  });

  it('is any where the policy names none, and none where its list is empty or cannot be read', async () => {
    for (const { verification, table, image } of await machines()) {
      const any = judge(verification, table);
      expect([any.verdict, line(any, 'policy.image')?.result]).toEqual(['accepted', 'not_done']);
      const broken = [
        [],
        'all',
        [{ ...image, nmae: 1 }],
        [{ ...image, name: '' }],
        [{ ...image, tee: 'sgx' }],
        [{ ...image, not_before: 'yesterday' }],
        [{ ...image, not_before: '2026-05-02T00:00:00Z', not_after: '2026-05-01T00:00:00Z' }],
        [{ ...image, measurement: OTHER, mrtd: OTHER }],
        [image, { name: 'half', tee: 'tdx', mrtd: OTHER }],
        [image, { name: 'half', tee: 'sev-snp' }],
      ];
      for (const measurement of broken) {
        const result = judge(verification, { ...table, measurement });
        expect([result.verdict, result.image], JSON.stringify(measurement)).toEqual(['rejected', null]);
        expect(line(result, 'policy.image')?.result).toBe('fail');
      }
    }
  });

  it('says nothing where the policy has no table for hardware of its kind', async () => {
    const [amd, intel] = await machines();
    for (const [machine, other, missing] of [
      [amd, { tdx: {} }, 'the policy has no table [snp]'],
      [intel, { snp: {} }, 'the policy has no table [tdx]'],
    ] as const) {
      const result = judge(machine!.verification, { ...other, measurement: [machine!.image] });
      expect(result.verdict).toBe('rejected');
      expect(line(result, 'policy.table')).toMatchObject({ result: 'fail', required: true, reason: missing });
      expect(result.checks.filter(({ result }) => result === 'fail').map(({ id }) => id)).toEqual(['policy.table']);
    }
  });
});
