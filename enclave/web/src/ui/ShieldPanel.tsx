// The shield: what was verified, in words; what stands in the statement; and what is not promised.

import { useState } from 'react';
import { messageOf } from '../state/documents';
import type { Claims } from '@cloister/verifier';
import { toHex } from '@cloister/verifier/bytes';
import { CheckList } from './CheckList';
import { useCloister, useSnapshot } from './context';
import { Panel } from './Panel';
import { timeOf } from '../text/words';

export function ShieldPanel({ onClose }: { onClose: () => void }) {
  const cloister = useCloister();
  const { result, verifiedMs } = useSnapshot();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  async function again() {
    setBusy(true);
    setProblem(null);
    await cloister.verifyAgain().catch((error: unknown) => setProblem(messageOf(error)));
    setBusy(false);
  }

  const claims = result?.claims;
  return (
    <Panel title="What was verified" onClose={onClose}>
      {claims?.hardware === false && (
        <p className="notice danger-notice">
          <strong>DEVELOPMENT, NOT CONFIDENTIAL.</strong> The checks below say that the page talks to the appliance that
          made this evidence. They do not say that the appliance keeps anything secret from whoever runs it.
        </p>
      )}
      {claims?.hardware === true && (
        <p>
          The appliance proved which program it runs and which keys are its own. What you send is encrypted to one of
          these keys, in this browser.
        </p>
      )}
      <div className="verified-when">
        <p className="fine" aria-live="polite">
          {problem ?? (verifiedMs !== null && `Verified ${timeOf(verifiedMs)}, with fresh evidence.`)}
        </p>
        <button type="button" className="secondary" onClick={() => void again()} disabled={busy}>
          {busy ? 'Verifying…' : 'Verify again'}
        </button>
      </div>
      <CheckList checks={result?.checks ?? []} />
      {claims && <Statement claims={claims} />}
      <section className="not-promised">
        <h3>What is not promised</h3>
        <ul>
          <li>That the appliance is always there. Whoever runs the machine can switch it off.</li>
          <li>
            That nobody sees <em>that</em> you use it, when, and roughly how much.
          </li>
          <li>Protection from someone who opens the machine and listens on its memory bus.</li>
          <li>
            That this page is honest when it is loaded for the first time: whoever served it could have served another
            one. To be sure, verify the appliance with <code>cloister-verify</code>, which is not loaded from it.
          </li>
        </ul>
      </section>
    </Panel>
  );
}

function Statement({ claims }: { claims: Claims }) {
  return (
    <section className="statement">
      <h3>What the appliance states</h3>
      <dl>
        <dt>Protection</dt>
        <dd>{protection(claims)}</dd>
        {machineFacts(claims).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code className="digest">{value}</code>
            </dd>
          </div>
        ))}
        <dt>Program</dt>
        <dd>
          {claims.build.version} <code>{claims.build.commit.slice(0, 12)}</code>
        </dd>
        {claims.models.map((model) => (
          <div key={model.id}>
            <dt>Model ({model.role})</dt>
            <dd>
              {model.id} <code className="digest">{model.sha256}</code>
            </dd>
          </div>
        ))}
        <dt>Key of this channel</dt>
        <dd>
          <code className="digest">{claims.hpkeKeysHex[0]}</code>
        </dd>
        <dt>Key of the login</dt>
        <dd>
          <code className="digest">{claims.opaquePk}</code>
        </dd>
        <dt>Policies</dt>
        <dd>
          <code className="digest">{claims.policiesSha256}</code>
        </dd>
        <dt>Allowed outbound connections</dt>
        <dd>
          <code className="digest">{claims.egressSha256}</code>
        </dd>
        <dt>Good until</dt>
        <dd>{timeOf(claims.validUntilMs)}</dd>
      </dl>
    </section>
  );
}

function protection({ hardware, evidence }: Claims): string {
  if (!hardware || evidence === null) return 'none (development)';
  return evidence.tee === 'sev-snp' ? `AMD SEV-SNP, EPYC ${evidence.product}` : `Intel TDX, ${evidence.tcb.status}`;
}

/** What a reader can compare with the values of a release. */
function machineFacts({ evidence }: Claims): [string, string][] {
  if (evidence === null) return [];
  if (evidence.tee === 'sev-snp') return [['Measurement of what was started', toHex(evidence.measurement)]];
  const registers = evidence.rtmrs.map((value, index): [string, string] => [`RTMR${index}`, toHex(value)]);
  return [['Measurement of the firmware', toHex(evidence.mrTd)], ...registers];
}
