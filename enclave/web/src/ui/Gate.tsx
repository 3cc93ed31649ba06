// The gate: what was verified, before anything is sent. Nothing behind it can be reached while it is closed.

import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Check } from '@cloister/verifier';
import { CheckList } from './CheckList';
import { useCloister, useSnapshot } from './context';
import { Mark } from './icons';
import { sentence } from '../text/words';

export function Gate() {
  const cloister = useCloister();
  const { phase, result } = useSnapshot();
  const checks = result?.checks ?? [];
  switch (phase.name) {
    case 'unreachable':
      return (
        <GatePage tone="quiet" title="The appliance does not answer">
          <p>{phase.message}</p>
          <p>Nothing was sent.</p>
          <Actions>
            <button type="button" className="primary" onClick={() => void cloister.start()}>
              Try again
            </button>
          </Actions>
        </GatePage>
      );
    case 'refused':
      return (
        <GatePage tone="danger" title="Not verified, so nothing is sent">
          <p>
            The evidence of this appliance did not hold. Someone may be between you and the appliance, or it is set up
            wrongly. This page will not send your name, password, questions or documents to it.
          </p>
          <FirstFailure checks={checks} />
          <CheckList checks={checks} />
          <Actions>
            <button type="button" className="primary" onClick={() => void cloister.start()}>
              Verify again
            </button>
          </Actions>
        </GatePage>
      );
    case 'backwards':
      return <BackwardsGate what={phase.what} />;
    case 'development':
      return <DevelopmentGate checks={checks} />;
    default:
      return (
        <GatePage tone="quiet" title="Verifying the appliance" busy>
          <p>Fresh evidence is fetched and checked in this browser before anything is sent.</p>
          <div className="progress-line" role="progressbar" aria-label="Verifying the appliance" />
        </GatePage>
      );
  }
}

function DevelopmentGate({ checks }: { checks: readonly Check[] }) {
  const cloister = useCloister();
  return (
    <GatePage tone="danger" title="This appliance is not confidential">
      <p>
        Its evidence is consistent, but it comes from a <strong>development TEE</strong>: no hardware keeps your
        questions, answers and documents from whoever runs the machine. Use it for trying things out, with nothing that
        is private.
      </p>
      <details className="disclosure">
        <summary>What was checked</summary>
        <CheckList checks={checks} />
      </details>
      <Consent
        text="I understand that nothing I enter here is confidential."
        action="Continue without confidentiality"
        onConsent={() => cloister.acceptDevelopment()}
      />
    </GatePage>
  );
}

function BackwardsGate({ what }: { what: string }) {
  const cloister = useCloister();
  return (
    <GatePage tone="danger" title="The appliance’s state went backwards">
      <p>
        Its evidence holds, but this browser has seen a later state of it: something that was written since is missing.
        Either a backup was restored, or somebody put an older disk in its place or runs a copy of it. Nothing was sent.
      </p>
      <p className="notice danger-notice">
        <strong>{what}</strong> Ask whoever runs the appliance what happened before you go on.
      </p>
      <Actions>
        <button type="button" className="primary" onClick={() => void cloister.start()}>
          Verify again
        </button>
      </Actions>
      <details className="disclosure">
        <summary>I know why, and want to go on</summary>
        <Consent
          text="I was told why the state is an older one, and I accept it."
          action="Go on from this state"
          onConsent={() => cloister.acceptBackwards()}
        />
      </details>
    </GatePage>
  );
}

/** A danger that a person takes on with open eyes: first a tick, then a button. */
function Consent(props: { text: string; action: string; onConsent: () => Promise<void> }) {
  const [understood, setUnderstood] = useState(false);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (understood) void props.onConsent();
      }}
    >
      <label className="consent">
        <input type="checkbox" checked={understood} onChange={(event) => setUnderstood(event.target.checked)} />
        <span>{props.text}</span>
      </label>
      <Actions>
        <button type="submit" className="danger" disabled={!understood}>
          {props.action}
        </button>
      </Actions>
    </form>
  );
}

function FirstFailure({ checks }: { checks: readonly Check[] }) {
  const failed = checks.find((check) => check.result === 'fail');
  if (!failed) return null;
  return (
    <p className="notice danger-notice">
      <strong>{sentence(failed.reason)}</strong> {sentence(failed.fix ?? '')}
    </p>
  );
}

function Actions({ children }: { children: ReactNode }) {
  return <div className="actions">{children}</div>;
}

/** A page with one card: the gate's, and that of signing in. The title takes the focus, so that it is read out. */
export function GatePage(props: { tone: 'quiet' | 'danger'; title: string; busy?: boolean; children: ReactNode }) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${props.title} · Cloister`;
    if (document.activeElement === document.body) title.current?.focus();
  }, [props.title]);
  return (
    <main id="main" className="gate" tabIndex={-1}>
      <div className="gate-brand">
        <Mark />
        <span>Cloister</span>
      </div>
      <section className={`card ${props.tone}`} aria-busy={props.busy ?? false}>
        <h1 ref={title} tabIndex={-1}>
          {props.title}
        </h1>
        {props.children}
      </section>
      <p className="gate-foot">Private answers from your own documents. Verified before the first byte.</p>
    </main>
  );
}
