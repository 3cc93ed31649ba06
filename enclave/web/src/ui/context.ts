// The page's state machine, for components.

import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Cloister, Snapshot } from '../session/cloister';

export const CloisterContext = createContext<Cloister | null>(null);

/** The state machine. */
export function useCloister(): Cloister {
  const cloister = useContext(CloisterContext);
  if (!cloister) throw new Error('a component stands outside of the page');
  return cloister;
}

/** Its present state. */
export function useSnapshot(): Snapshot {
  const cloister = useCloister();
  return useSyncExternalStore(cloister.subscribe, cloister.snapshot);
}
