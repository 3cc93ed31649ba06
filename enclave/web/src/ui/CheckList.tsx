// The checks, each with its outcome in words and not by colour alone.

import type { Check, Outcome } from '../verifier';
import { Check as CheckIcon, Cross, Dash } from './icons';
import { sentence } from '../text/words';
import { checkTitle } from './words';

const OUTCOME_WORDS: Record<Outcome, string> = { pass: 'Passed', fail: 'Failed', not_done: 'Not checked' };
const OUTCOME_ICONS = { pass: CheckIcon, fail: Cross, not_done: Dash };

export function CheckList({ checks }: { checks: readonly Check[] }) {
  return (
    <ul className="checks">
      {checks.map((check) => {
        const Icon = OUTCOME_ICONS[check.result];
        return (
          <li key={check.id} className={check.result}>
            <span className="check-mark">
              <Icon />
            </span>
            <div>
              <p className="check-title">
                {checkTitle(check)} <span className="check-outcome">{OUTCOME_WORDS[check.result]}</span>
              </p>
              <p className="check-reason">
                {sentence(check.reason)} {check.result === 'fail' && check.fix !== null && sentence(check.fix)}
              </p>
              <code className="check-id">{check.id}</code>
            </div>
          </li>
        );
      })}
    </ul>
  );
}
