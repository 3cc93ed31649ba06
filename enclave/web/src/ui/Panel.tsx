// A panel beside the main view; on a phone it covers it. It takes the focus when it opens.

import { type ReactNode, useEffect, useId, useRef } from 'react';
import { Close } from './icons';

export function Panel(props: { title: string; onClose: () => void; children: ReactNode }) {
  const title = useRef<HTMLHeadingElement>(null);
  const id = useId();
  useEffect(() => title.current?.focus(), []);
  return (
    <aside className="panel" aria-labelledby={id}>
      <div className="panel-head">
        <h2 id={id} ref={title} tabIndex={-1}>
          {props.title}
        </h2>
        <button type="button" className="quiet square" onClick={props.onClose} aria-label={`Close: ${props.title}`}>
          <Close />
        </button>
      </div>
      <div className="panel-body" tabIndex={0} role="region" aria-labelledby={id}>
        {props.children}
      </div>
    </aside>
  );
}
