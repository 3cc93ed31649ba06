// TDX: every published case comes out as it is labelled, and nothing that was altered comes through.

import { describe, expect, it } from 'vitest';
import { fromUtf8, toHex } from '../src/bytes';
import {
  type TdxClaims,
  type TdxCollateral,
  type TdxEvidence,
  type TdxRoots,
  insecureTdxRoots,
  judgeTdx,
  pinnedTdxRoots,
  verifyTdx,
} from '../src';
import { type Case, caseOf, casesOf, flipped, needed } from './vectors';

const pinned = pinnedTdxRoots();

function rootsOf(each: Case): TdxRoots {
  if (!each.requires.includes('root-injection')) return pinned;
  const roots = insecureTdxRoots(needed(each, 'root.der'));
  if (!roots) throw new Error('the root of the case is not one');
  return roots;
}

function evidenceOf(each: Case): TdxEvidence & { collateral: TdxCollateral } {
  const collateral = JSON.parse(fromUtf8(needed(each, 'collateral.json'))) as TdxCollateral;
  return { quote: needed(each, 'quote.bin'), collateral };
}

async function outcome(each: Case, evidence: TdxEvidence = evidenceOf(each), roots = rootsOf(each)) {
  const { verified, refusal } = await verifyTdx(evidence, roots, each.verify_at * 1000);
  const end = verified ? judgeTdx(verified, each.policy).refusal : refusal;
  return { verdict: end ? 'reject' : 'accept', stage: end?.stage ?? null, code: end?.code ?? null, verified };
}

const cases = casesOf('tdx');

describe('every published TDX case', () => {
  it('is here', () => expect(cases.length).toBeGreaterThanOrEqual(107));

  it.each(cases.map((each) => [each.id, each] as const))('%s', async (_, each) => {
    const { verdict, stage, code, verified } = await outcome(each);
    expect({ verdict, stage }).toEqual({ verdict: each.expect.verdict, stage: each.expect.stage });
    if (code !== null) expect(each.expect.reason).toContain(code);
    if (!verified) return;
    expect(claimsOf(verified)).toMatchObject(each.expect.claims ?? {});
    if (each.expect.tcb_status) expect(verified.tcb.status).toBe(each.expect.tcb_status);
    if (each.expect.advisories) expect(verified.tcb.advisories).toEqual([...each.expect.advisories].sort());
    const { collateral_valid_from: from, collateral_valid_until: until } = each.expect;
    if (from) expect(verified.validFrom).toBe(Date.parse(from));
    if (until) expect(verified.validUntil).toBe(Date.parse(until));
  });

  const synthetic = cases.filter(({ requires }) => requires.includes('root-injection'));
  it.each(synthetic.map((each) => [each.id, each] as const))('%s is refused under the pinned root', async (_, each) => {
    const { verdict, stage, code } = await outcome(each, evidenceOf(each), pinned);
    expect(verdict).toBe('reject');
    expect(stage).toBe('chain');
    expect(code).toBe(each.id.includes('certdata-type') ? 'CERT_DATA_TYPE' : 'ROOT_UNTRUSTED');
  });
});

/** Claims in the spelling of the cases. */
function claimsOf(claims: TdxClaims): Record<string, unknown> {
  const [rtmr0, rtmr1, rtmr2, rtmr3] = claims.rtmrs.map(toHex);
  return {
    version: claims.version,
    tee_tcb_svn: toHex(claims.teeTcbSvn),
    mrseam: toHex(claims.mrSeam),
    mrsignerseam: toHex(claims.mrSignerSeam),
    seamattr: toHex(claims.seamAttributes),
    tdattr: toHex(claims.tdAttributes),
    xfam: toHex(claims.xfam),
    mrtd: toHex(claims.mrTd),
    mrconfigid: toHex(claims.mrConfigId),
    mrowner: toHex(claims.mrOwner),
    mrownerconfig: toHex(claims.mrOwnerConfig),
    rtmr0,
    rtmr1,
    rtmr2,
    rtmr3,
    reportdata: toHex(claims.reportData),
    ...(claims.teeTcbSvn2 && { tee_tcb_svn2: toHex(claims.teeTcbSvn2) }),
    ...(claims.mrServiceTd && { mrservicetd: toHex(claims.mrServiceTd) }),
    bodytype: claims.bodyType,
  };
}

describe.each(['tdx-real-v4-dcapqvl-uptodate', 'tdx-real-v5-uptodate'])(
  'nothing that was altered comes through: %s',
  (id) => {
    const each = caseOf(id);
    const genuine = evidenceOf(each);
    const { quote } = genuine;

    async function refused(evidence: TdxEvidence, what: string): Promise<void> {
      const { verified, refusal } = await verifyTdx(evidence, pinned, each.verify_at * 1000);
      expect(verified === null, what).toBe(true);
      expect(refusal?.code, what).toMatch(/^[A-Z0-9_]+$/);
    }

    /** Where the PEM text begins: white space in it means nothing, so a change there may leave the same certificates. */
    const pem = quote.length - [...quote].reverse().findIndex((byte) => byte !== 0);
    const text = fromUtf8(quote.map((byte) => (byte < 0x80 ? byte : 0x3f)));
    const chain = text.indexOf('-----BEGIN');

    it('any byte of the quote up to its certificates', async () => {
      for (let at = 0; at < chain; at++)
        await refused({ ...genuine, quote: flipped(quote, at, 1 << (at % 8)) }, `byte ${at}`);
    });

    it('any byte of its certificates that is not white space', async () => {
      for (let at = chain; at < pem; at += 3) {
        if ((quote[at] ?? 0) > 0x20)
          await refused({ ...genuine, quote: flipped(quote, at, 1 << (at % 7)) }, `byte ${at}`);
      }
    });

    it('a quote that was cut short anywhere', async () => {
      for (let length = 0; length < pem - 40; length += 11) {
        await refused({ ...genuine, quote: quote.slice(0, length) }, `${length} bytes`);
      }
    });

    const SIGNED = [
      'tcb_info',
      'tcb_info_signature',
      'qe_identity',
      'qe_identity_signature',
      'root_ca_crl',
      'pck_crl',
      'tcb_info_issuer_chain',
      'qe_identity_issuer_chain',
    ] as const;

    it.each(SIGNED)('any character of %s', async (name) => {
      const value = genuine.collateral[name];
      const step = Math.max(1, Math.floor(value.length / 250));
      for (let at = 0; at < value.length; at += step) {
        const code = value.charCodeAt(at);
        // White space in PEM, and hex in the other case, are other spellings of the same thing.
        if (code <= 0x20 || (code ^ 0x01) <= 0x20) continue;
        const changed = `${value.slice(0, at)}${String.fromCharCode(code ^ 0x01)}${value.slice(at + 1)}`;
        await refused(
          { ...genuine, collateral: { ...genuine.collateral, [name]: changed } },
          `${name}, character ${at}`,
        );
      }
      await refused({ ...genuine, collateral: { ...genuine.collateral, [name]: '' } }, `${name}, empty`);
      await refused({ ...genuine, collateral: { ...genuine.collateral, [name]: value.slice(0, -5) } }, `${name}, cut`);
      await refused({ ...genuine, collateral: { ...genuine.collateral, [name]: undefined } }, `${name}, missing`);
    });

    it('collateral of any other shape', async () => {
      for (const collateral of [null, undefined, [], {}, 7, 'collateral', { ...genuine.collateral, tcb_info: 7 }]) {
        await refused({ quote, collateral }, JSON.stringify(collateral)?.slice(0, 20));
      }
      const huge = { ...genuine.collateral, tcb_info: ' '.repeat(1 << 20) };
      await refused({ quote, collateral: huge }, 'a megabyte');
    });

    it('random bytes for a quote', async () => {
      for (let length = 0; length < 6000; length += 173) {
        await refused({ ...genuine, quote: crypto.getRandomValues(new Uint8Array(length)) }, `${length} bytes`);
      }
    });
  },
);

describe('what is not looked at says so', () => {
  const each = caseOf('tdx-real-v5-uptodate');

  it('a quote without collateral is refused, with nothing after its signature looked at', async () => {
    const { refusal, checks } = await verifyTdx(
      { ...evidenceOf(each), collateral: null },
      pinned,
      each.verify_at * 1000,
    );
    expect(refusal).toMatchObject({ code: 'COLLATERAL_MISSING', stage: 'collateral' });
    const later = checks.filter(({ stage }) => stage === 'tcb' || stage === 'policy');
    expect(later.every(({ result }) => result === 'not_done')).toBe(true);
  });

  it('every check of a genuine quote is made', async () => {
    const { checks } = await verifyTdx(evidenceOf(each), pinned, each.verify_at * 1000);
    expect(checks.filter(({ result }) => result !== 'pass')).toEqual([]);
  });

  it('every rule that the policy does not have', async () => {
    const { verified } = await verifyTdx(evidenceOf(each), pinned, each.verify_at * 1000);
    if (!verified) throw new Error('refused');
    const { accepted, checks } = judgeTdx(verified, {});
    expect(accepted).toBe(true);
    expect(checks.filter(({ result }) => result === 'pass').map(({ id }) => id)).toEqual([
      'policy.tdx.format',
      'policy.tdx.xfam',
    ]);
  });

  it.each([
    { accept_tcb_status: ['Fine'] },
    { accept_tcb_status: 'UpToDate' },
    { mrtd: '00'.repeat(48) },
    { rtmr0: ['00'] },
    { allow_debug: 0 },
    { rtmr4: [] },
    { min_tcb_evaluation_data_number: -1 },
    null,
  ])('a policy that cannot be read accepts nothing: %j', async (policy) => {
    const { verified } = await verifyTdx(evidenceOf(each), pinned, each.verify_at * 1000);
    if (!verified) throw new Error('refused');
    expect(judgeTdx(verified, policy).refusal).toMatchObject({ code: 'POLICY_MALFORMED', stage: 'policy' });
  });
});
