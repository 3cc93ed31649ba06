// Which screen is shown, and what stands over every screen: the way past the navigation and the word DEVELOPMENT.

import { useEffect, useState } from 'react';
import { useCloister, useSnapshot } from './context';
import { Gate } from './Gate';
import { SignIn } from './SignIn';
import { Workspace } from './Workspace';

export function App() {
  const { phase, result } = useSnapshot();
  const code = useEnrolmentCode();
  const development = result?.claims?.hardware === false;
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      {development && <DevelopmentBanner />}
      {phase.name === 'signed-in' ? (
        <Workspace key={phase.me.person_id} api={phase.api} me={phase.me} />
      ) : phase.name === 'signed-out' ? (
        <SignIn key={code.value} code={code.value} notice={phase.notice} onEnrolled={code.forget} />
      ) : (
        <Gate />
      )}
    </>
  );
}

function DevelopmentBanner() {
  return (
    <section className="development-banner" aria-label="Protection">
      <strong>DEVELOPMENT, NOT CONFIDENTIAL</strong>
      <span>No hardware protects this appliance: whoever runs the machine can read everything.</span>
    </section>
  );
}

/**
 * The code of an enrolment link, `#enrol=<code>`. The part after `#` is not sent to any server; it is taken out of the
 * address at once, so that it does not stay in the history.
 */
function useEnrolmentCode() {
  const [value, setValue] = useState<string | null>(null);
  const cloister = useCloister();
  useEffect(() => {
    const read = () => {
      const code = /^#enrol=([A-Za-z0-9_-]{8,128})$/.exec(location.hash)?.[1];
      if (!code) return;
      history.replaceState(null, '', location.pathname);
      setValue(code);
      if (cloister.snapshot().phase.name === 'signed-in') void cloister.logOut();
    };
    read();
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }, [cloister]);
  return { value, forget: () => setValue(null) };
}
