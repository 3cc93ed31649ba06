// Enrolling by a link, and logging in. The password is used in this browser only (OPAQUE).

import { type FormEvent, useId, useRef, useState } from 'react';
import { messageOf } from '../state/documents';
import { MIN_PASSWORD } from '../session/opaque';
import { ProblemError } from '../channel/problem';
import { CheckList } from './CheckList';
import { useCloister, useSnapshot } from './context';
import { GatePage } from './Gate';

export function SignIn(props: { code: string | null; notice: string | null; onEnrolled: () => void }) {
  const cloister = useCloister();
  const { result } = useSnapshot();
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [enrolled, setEnrolled] = useState(false);
  const enrolling = props.code !== null && !enrolled;
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (enrolling && password.length < MIN_PASSWORD) {
      setProblem(
        `The password needs at least ${MIN_PASSWORD} characters. A few words that only you would put together are best.`,
      );
      field.current?.focus();
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      if (props.code !== null && enrolling) {
        await cloister.enrol(props.code, login.trim(), password);
        setEnrolled(true);
      }
      await cloister.logIn(login.trim(), password);
      props.onEnrolled();
    } catch (error) {
      setProblem(signInProblem(error, enrolling));
      setBusy(false);
      field.current?.focus();
    }
  }

  return (
    <GatePage tone="quiet" title={enrolling ? 'Set up your account' : 'Log in'}>
      <p className="lede">
        {enrolling
          ? 'Choose a name and a password. The password never leaves this browser, not even encrypted.'
          : 'The appliance was verified. Your password never leaves this browser.'}
      </p>
      {props.notice !== null && problem === null && <p className="notice">{props.notice}</p>}
      <form onSubmit={(event) => void submit(event)} className="stack">
        <label className="field">
          <span>Login name</span>
          <input
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            maxLength={128}
            value={login}
            onChange={(event) => setLogin(event.target.value)}
            dir="auto"
          />
        </label>
        <PasswordField
          value={password}
          onChange={setPassword}
          autoComplete={enrolling ? 'new-password' : 'current-password'}
          hint={enrolling ? `At least ${MIN_PASSWORD} characters. Nobody can reset it for you.` : null}
          inputRef={field}
        />
        <p role="alert" className={problem === null ? 'hidden' : 'notice danger-notice'}>
          {problem}
        </p>
        <button type="submit" className="primary wide" disabled={busy}>
          {busy ? (enrolling ? 'Setting up…' : 'Logging in…') : enrolling ? 'Create account' : 'Log in'}
        </button>
      </form>
      {!enrolling && <p className="fine">No account yet? Open the enrolment link that you were given.</p>}
      {result && (
        <details className="disclosure">
          <summary>What was verified</summary>
          <CheckList checks={result.checks} />
        </details>
      )}
    </GatePage>
  );
}

function PasswordField(props: {
  value: string;
  onChange: (value: string) => void;
  autoComplete: string;
  hint: string | null;
  inputRef: React.RefObject<HTMLInputElement | null>;
}) {
  const [shown, setShown] = useState(false);
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Password</label>
      <div className="with-button">
        <input
          id={id}
          ref={props.inputRef}
          name="password"
          type={shown ? 'text' : 'password'}
          autoComplete={props.autoComplete}
          required
          maxLength={1024}
          value={props.value}
          onChange={(event) => props.onChange(event.target.value)}
          aria-describedby={props.hint === null ? undefined : `${id}-hint`}
        />
        <button type="button" className="quiet" aria-pressed={shown} onClick={() => setShown(!shown)}>
          {shown ? 'Hide' : 'Show'}
          <span className="hidden"> the password</span>
        </button>
      </div>
      {props.hint !== null && (
        <p id={`${id}-hint`} className="fine">
          {props.hint}
        </p>
      )}
    </div>
  );
}

function signInProblem(error: unknown, enrolling: boolean): string {
  if (error instanceof ProblemError) {
    if (enrolling && [401, 403, 404, 409].includes(error.status)) {
      return 'The enrolment link was used already, has run out, or the name is taken. Try another name, or ask for a new link.';
    }
    if (error.status === 401) return 'Name or password is not right.';
    if (error.status === 429) {
      const wait = error.retryAfterS === null ? 'a while' : `${error.retryAfterS} seconds`;
      return `Too many tries. Wait ${wait} and try again.`;
    }
  }
  return messageOf(error);
}
