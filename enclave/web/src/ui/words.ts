// Titles of checks, and how a file is saved.

import type { Check } from '@cloister/verifier';
import { CHECK_WORDS } from './checkWords';

/** A title for a check; its id where there is none. */
export function checkTitle(check: Check): string {
  return CHECK_WORDS[check.id] ?? check.id;
}

/** Hands bytes to the person as a file, from memory. */
export function saveFile(name: string, type: string, bytes: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
