// What the checks mean, for people who have never heard of attestation; and how sizes and times are written.

import type { Check } from '../verifier';

/** The title of a check. */
const CHECK_WORDS: Record<string, string> = {};

/** A title for a check; its id where there is none. */
export function checkTitle(check: Check): string {
  return CHECK_WORDS[check.id] ?? check.id;
}

/** 3.2 MB. */
export function fileSize(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** A time as people of this browser's language write it. */
export function timeOf(ms: number): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(ms);
}

/** “1 page”, “3 pages”. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
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
