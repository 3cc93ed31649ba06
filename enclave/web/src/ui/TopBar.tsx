// The bar over the main view: its title, and the shield that is always in sight.

import { useEffect } from 'react';
import { useSnapshot } from './context';
import { Leave, Menu, ShieldAlert, ShieldCheck } from './icons';

export function TopBar(props: {
  title: string;
  onMenu: (() => void) | null;
  onShield: () => void;
  shieldOpen: boolean;
  onLogOut?: () => void;
}) {
  const { result } = useSnapshot();
  const hardware = result?.claims?.hardware === true;
  useEffect(() => {
    document.title = `${props.title} · Cloister`;
  }, [props.title]);
  return (
    <header className="top-bar">
      {props.onMenu && (
        <button
          type="button"
          className="quiet square menu-button"
          onClick={props.onMenu}
          aria-label="Open the navigation"
        >
          <Menu />
        </button>
      )}
      <h1 dir="auto">{props.title}</h1>
      <button
        type="button"
        className={`shield ${hardware ? 'verified' : 'development'}`}
        aria-expanded={props.shieldOpen}
        onClick={props.onShield}
      >
        {hardware ? <ShieldCheck /> : <ShieldAlert />}
        <span>{hardware ? 'Verified' : 'Development'}</span>
        <span className="hidden">
          {hardware ? ': show what was verified' : ', not confidential: show what was checked'}
        </span>
      </button>
      {props.onLogOut && (
        <button type="button" className="quiet" onClick={props.onLogOut}>
          <Leave /> Log out
        </button>
      )}
    </header>
  );
}
