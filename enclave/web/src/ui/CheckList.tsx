// The checks, each with its outcome in words and not by colour alone. What was not checked stands apart.

import { sentence } from '../text/words';
import type { Check, Outcome } from '@cloister/verifier';
import { Check as CheckIcon, Cross, Dash } from './icons';
import { STAGE_WORDS } from './checkWords';
import { checkTitle } from './words';

const OUTCOME_WORDS: Record<Outcome, string> = { pass: 'Passed', fail: 'Failed', not_done: 'Not checked' };
const OUTCOME_ICONS = { pass: CheckIcon, fail: Cross, not_done: Dash };

/** Whether a check is about the processor rather than the appliance: there are dozens, and one line says it for most. */
const isAboutMachine = ({ id }: Check) => /^(snp|tdx|policy\.snp|policy\.tdx)\./.test(id);

export function CheckList({ checks }: { checks: readonly Check[] }) {
  const machine = checks.filter((check) => check.result === 'pass' && isAboutMachine(check));
  const made = checks.filter((check) => check.result !== 'not_done' && !machine.includes(check));
  const rest = checks.filter((check) => check.result === 'not_done');
  return (
    <>
      <Lines checks={made} />
      {machine.length > 0 && <MachineChecks checks={machine} />}
      {rest.length > 0 && (
        <details className="disclosure">
          <summary>Not checked ({rest.length}), and why</summary>
          <Lines checks={rest} />
        </details>
      )}
    </>
  );
}

/** What passed about the processor, by the question that it answers. */
function MachineChecks({ checks }: { checks: readonly Check[] }) {
  const stages = [...new Set(checks.map(({ stage }) => stage))];
  const maker = checks.some(({ id }) => id.includes('tdx')) ? 'Intel TDX' : 'AMD SEV-SNP';
  return (
    <details className="disclosure">
      <summary>
        Passed: {checks.length} checks of the processor’s evidence ({maker})
      </summary>
      {stages.map((stage) => (
        <section key={stage} className="check-stage">
          <p className="check-question">{STAGE_WORDS[stage]}</p>
          <Lines checks={checks.filter((check) => check.stage === stage)} />
        </section>
      ))}
    </details>
  );
}

function Lines({ checks }: { checks: readonly Check[] }) {
  return (
    <ul className="checks">
      {checks.map((check) => (
        <CheckLine key={check.id} check={check} />
      ))}
    </ul>
  );
}

function CheckLine({ check }: { check: Check }) {
  const Icon = OUTCOME_ICONS[check.result];
  // A development TEE or a test root that was allowed is not a success to be shown in green.
  const alarming = /^(DEVELOPMENT|TEST ROOT)/.test(check.reason);
  const fix = check.result === 'fail' && check.fix !== null ? sentence(check.fix) : '';
  return (
    <li className={alarming ? 'fail' : check.result}>
      <span className="check-mark">
        <Icon />
      </span>
      <div>
        <p className="check-title">
          {checkTitle(check)} <span className="check-outcome">{OUTCOME_WORDS[check.result]}</span>
        </p>
        <p className="check-reason">
          {sentence(check.reason)} {fix}
        </p>
        <code className="check-id">{check.id}</code>
      </div>
    </li>
  );
}
