// SNP: every published case comes out as it is labelled, and nothing that was altered comes through.

import { describe, expect, it } from 'vitest';
import { type Bytes, toHex } from '../src/bytes';
import {
  type SnpClaims,
  type SnpEvidence,
  type SnpRoots,
  insecureSnpRoots,
  judgeSnp,
  pinnedSnpRoots,
  verifySnp,
  verifySnpChain,
} from '../src';
import { type Case, caseOf, casesOf, fileOf, flipped, needed } from './vectors';

const pinned = pinnedSnpRoots();

function rootsOf(each: Case): SnpRoots {
  if (!each.requires.includes('root-injection')) return pinned;
  const roots = insecureSnpRoots(needed(each, 'ark.der'));
  if (!roots) throw new Error('the root of the case is not one');
  return roots;
}

function endorsementsOf(each: Case) {
  const file = (name: string) => fileOf(each, name);
  return { vek: file('vek.der'), ask: file('ask.der'), ark: file('ark.der'), crl: file('crl.der') };
}

function evidenceOf(each: Case): SnpEvidence {
  return { report: needed(each, 'report.bin'), ...endorsementsOf(each) };
}

async function outcome(each: Case, evidence = evidenceOf(each), roots = rootsOf(each)) {
  const { verified, refusal } = await verifySnp(evidence, roots, each.verify_at * 1000);
  const end = verified ? judgeSnp(verified, each.policy).refusal : refusal;
  return { verdict: end ? 'reject' : 'accept', stage: end?.stage ?? null, code: end?.code ?? null, verified };
}

const cases = casesOf('snp');
const withReport = cases.filter(({ files }) => 'report.bin' in files);

describe('every published SNP case', () => {
  it('is here', () => expect(cases.length).toBeGreaterThanOrEqual(78));

  it.each(withReport.map((each) => [each.id, each] as const))('%s', async (_, each) => {
    const { verdict, stage, code, verified } = await outcome(each);
    expect({ verdict, stage }).toEqual({ verdict: each.expect.verdict, stage: each.expect.stage });
    if (code !== null) expect(each.expect.reason).toContain(code);
    if (verified) expect(claimsOf(verified)).toMatchObject(each.expect.claims ?? {});
  });

  it('verifies a chain alone, and reads what it says about a Turin chip', async () => {
    const each = caseOf('snp-certonly-turin-vcek');
    const { verified } = await verifySnpChain(endorsementsOf(each), pinned, each.verify_at * 1000);
    expect(verified).toMatchObject({ product: 'Turin', productName: 'Turin', signingKey: 'VCEK' });
    expect(verified?.tcb).toEqual({ fmc: 0, bootloader: 0, tee: 0, snp: 0, microcode: 9 });
    expect(toHex(verified?.hwid ?? new Uint8Array())).toBe('1e550a8ee5cf9f4d');
  });

  const synthetic = cases.filter(({ requires }) => requires.includes('root-injection'));
  it.each(synthetic.map((each) => [each.id, each] as const))(
    '%s is refused under the pinned roots',
    async (_, each) => {
      // What is wrong before the chain is looked at stays what it is.
      const early = { 'snp-syn-d-vek-pkcs1v15': 'CERT_SIG_ALG', 'snp-syn-d-signing-key-none': 'SIGNING_KEY' }[each.id];
      const under = await outcome(each, evidenceOf(each), pinned);
      expect(under).toMatchObject({ verdict: 'reject', code: early ?? 'ROOT_UNTRUSTED' });
      // Nor does it help to keep the root back: the intermediate is then not from ours.
      const without = await outcome(each, { ...evidenceOf(each), ark: null }, pinned);
      expect(without).toMatchObject({ verdict: 'reject', code: early ?? 'ASK_SIGNATURE' });
    },
  );
});

/** Claims in the spelling of the cases. */
function claimsOf(claims: SnpClaims): Record<string, unknown> {
  const firmware = ({ major, minor, build }: SnpClaims['currentFirmware']) => `${major}.${minor} build ${build}`;
  return {
    report_version: claims.version,
    product: claims.product,
    policy: `0x${claims.policy.toString(16)}`,
    vmpl: claims.vmpl,
    platform_info: `0x${claims.platformInfo.toString(16)}`,
    signing_key: claims.signingKey === 'VLEK' ? 1 : 0,
    reported_tcb: toHex(claims.rawTcb.reported),
    current_tcb: toHex(claims.rawTcb.current),
    committed_tcb: toHex(claims.rawTcb.committed),
    launch_tcb: toHex(claims.rawTcb.launch),
    report_data: toHex(claims.reportData),
    measurement: toHex(claims.measurement),
    host_data: toHex(claims.hostData),
    id_key_digest: toHex(claims.idKeyDigest),
    author_key_digest: toHex(claims.authorKeyDigest),
    report_id: toHex(claims.reportId),
    chip_id: toHex(claims.chipId),
    firmware: firmware(claims.currentFirmware),
    launch_mit_vector: claims.launchMitigations === null ? null : Number(claims.launchMitigations),
    current_mit_vector: claims.currentMitigations === null ? null : Number(claims.currentMitigations),
    vek_not_after: new Date(claims.vekNotAfter).toISOString().slice(0, 10),
    vek_cn: `SEV-${claims.signingKey}`,
  };
}

describe('nothing that was altered comes through', () => {
  const each = caseOf('snp-real-genoa-v5');
  const genuine = evidenceOf(each);

  async function refused(evidence: SnpEvidence, what: string): Promise<void> {
    const { verified, refusal } = await verifySnp(evidence, pinned, each.verify_at * 1000);
    expect(verified === null, what).toBe(true);
    expect(refusal?.code, what).toMatch(/^[A-Z_]+$/);
  }

  it('is genuine before it is altered', async () => expect((await outcome(each)).verdict).toBe('accept'));

  it('any byte of the report', async () => {
    for (let at = 0; at < genuine.report.length; at++) {
      await refused({ ...genuine, report: flipped(genuine.report, at, 1 << (at % 8)) }, `byte ${at}`);
    }
  });

  it.each(['vek', 'ask', 'ark'] as const)('any byte of the %s', async (name) => {
    const bytes = genuine[name] as Bytes;
    for (let at = 0; at < bytes.length; at++) {
      await refused({ ...genuine, [name]: flipped(bytes, at, 1 << (at % 8)) }, `byte ${at}`);
    }
  });

  it('evidence that was cut short or made longer anywhere', async () => {
    for (const name of ['report', 'vek', 'ask', 'ark'] as const) {
      const bytes = genuine[name] as Bytes;
      for (let length = 0; length < bytes.length; length += 13) {
        await refused({ ...genuine, [name]: bytes.slice(0, length) }, `${name} of ${length}`);
      }
      await refused({ ...genuine, [name]: new Uint8Array([...bytes, 0]) }, `${name} and one byte`);
    }
  });

  it('a revocation list that was altered', async () => {
    const listed = caseOf('snp-syn-d-crl-clean');
    const crl = needed(listed, 'crl.der');
    for (let at = 0; at < crl.length; at++) {
      const evidence = { ...evidenceOf(listed), crl: flipped(crl, at, 1 << (at % 8)) };
      const { verified, refusal } = await verifySnp(evidence, rootsOf(listed), listed.verify_at * 1000);
      expect(verified, `byte ${at}`).toBeNull();
      expect(refusal?.check, `byte ${at}`).toBe('snp.crl');
    }
  });

  it('random bytes in any place', async () => {
    for (let length = 0; length < 3000; length += 97) {
      const noise = crypto.getRandomValues(new Uint8Array(length));
      for (const name of ['report', 'vek', 'ask', 'ark', 'crl'] as const)
        await refused({ ...genuine, [name]: noise }, name);
    }
  });
});

describe('what is not looked at says so', () => {
  const each = caseOf('snp-real-genoa-v5');

  it('a revocation list that did not come', async () => {
    const { checks, verified } = await verifySnp(evidenceOf(each), pinned, each.verify_at * 1000);
    expect(checks.filter(({ result }) => result !== 'pass').map(({ id, result }) => `${id} ${result}`)).toEqual([
      'snp.crl not_done',
    ]);
    if (!verified) throw new Error('refused');
    expect(judgeSnp(verified, { require_crl: true }).accepted).toBe(false);
    expect(judgeSnp(verified, { require_crl: false }).accepted).toBe(true);
  });

  it('everything after the check that failed', async () => {
    const report = flipped(needed(each, 'report.bin'), 0x90);
    const { checks } = await verifySnp({ ...evidenceOf(each), report }, pinned, each.verify_at * 1000);
    const at = checks.findIndex(({ id }) => id === 'snp.report.signature');
    expect(checks[at]).toMatchObject({ result: 'fail', stage: 'signature' });
    expect(checks.slice(at + 1).every(({ result }) => result === 'not_done')).toBe(true);
  });

  it('every rule that the policy does not have', async () => {
    const { verified } = await verifySnp(evidenceOf(each), pinned, each.verify_at * 1000);
    if (!verified) throw new Error('refused');
    const { accepted, checks } = judgeSnp(verified, {});
    expect(accepted).toBe(true);
    expect(checks.filter(({ result }) => result === 'pass').map(({ id }) => id)).toEqual(['policy.snp.format']);
  });

  it.each([
    { allow_debg: false },
    { max_vmpl: -1 },
    { max_vmpl: '0' },
    { allow_debug: 'false' },
    { allowed_products: ['Venice'] },
    { measurements: ['00'] },
    { min_reported_tcb: { microcod: 1 } },
    { min_reported_tcb: { microcode: 256 } },
    { required_launch_mitigations: '3' },
    { min_policy_abi: '1' },
    { report_data: '00'.repeat(32) },
    null,
    [],
    'allow everything',
  ])('a policy that cannot be read accepts nothing: %j', async (policy) => {
    const { verified } = await verifySnp(evidenceOf(each), pinned, each.verify_at * 1000);
    if (!verified) throw new Error('refused');
    expect(judgeSnp(verified, policy).refusal).toMatchObject({ code: 'POLICY_MALFORMED', stage: 'policy' });
  });
});
