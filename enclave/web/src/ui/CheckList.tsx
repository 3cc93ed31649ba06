// The checks, each with its outcome in words and not by colour alone. What was not checked stands apart.

import { sentence } from '../text/words';
import type { Check, Outcome } from '@cloister/verifier';
import { Check as CheckIcon, Cross, Dash } from './icons';
import { checkTitle } from './words';

const OUTCOME_WORDS: Record<Outcome, string> = { pass: 'Passed', fail: 'Failed', not_done: 'Not checked' };
const OUTCOME_ICONS = { pass: CheckIcon, fail: Cross, not_done: Dash };

export function CheckList({ checks }: { checks: readonly Check[] }) {
  const made = checks.filter((check) => check.result !== 'not_done');
  const rest = checks.filter((check) => check.result === 'not_done');
  return (
    <>
      <ul className="checks">
        {made.map((check) => (
          <CheckLine key={check.id} check={check} />
        ))}
      </ul>
      {rest.length > 0 && (
        <details className="disclosure">
          <summary>Not checked ({rest.length}), and why</summary>
          <ul className="checks">
            {rest.map((check) => (
              <CheckLine key={check.id} check={check} />
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function CheckLine({ check }: { check: Check }) {
  const Icon = OUTCOME_ICONS[check.result];
  // A development TEE that was allowed is not a success to be shown in green.
  const alarming = check.reason.startsWith('DEVELOPMENT');
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
