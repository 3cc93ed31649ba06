// The place to ask: Enter sends, Shift+Enter makes a new line, and while an answer comes the button stops it.

import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { Send, Stop } from './icons';

/** The most characters of a question. */
const MAX_QUESTION = 8_000;

export function Composer(props: {
  running: boolean;
  ready: boolean;
  focusKey: string;
  onAsk: (question: string) => Promise<boolean>;
  onStop: () => void;
}) {
  const [text, setText] = useState('');
  const [sending, setSending] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const id = useId();

  useEffect(() => {
    // On a phone the keyboard would cover the page before anyone asked for it.
    if (matchMedia('(pointer: fine)').matches) area.current?.focus();
  }, [props.focusKey]);

  async function submit() {
    const question = text.trim();
    if (question === '' || props.running || sending || !props.ready) return;
    setSending(true);
    setText('');
    const sent = await props.onAsk(question);
    if (!sent) setText(question);
    setSending(false);
    area.current?.focus();
  }

  function onKey(event: KeyboardEvent) {
    // `isComposing`: Enter that ends a word of an input method is not meant for us.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void submit();
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div className="composer-box">
        <label htmlFor={id} className="hidden">
          Your question
        </label>
        <textarea
          id={id}
          ref={area}
          rows={1}
          dir="auto"
          value={text}
          maxLength={MAX_QUESTION}
          placeholder="Ask your documents…"
          enterKeyHint="send"
          aria-describedby={`${id}-hint`}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKey}
        />
        {props.running ? (
          <button type="button" className="round stop" onClick={props.onStop} aria-label="Stop the answer">
            <Stop />
          </button>
        ) : (
          <button
            type="submit"
            className="round"
            disabled={text.trim() === '' || sending || !props.ready}
            aria-label="Send the question"
          >
            <Send />
          </button>
        )}
      </div>
      <p id={`${id}-hint`} className="composer-hint">
        <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> makes a new line. Encrypted to the enclave.
      </p>
    </form>
  );
}
