// What can go wrong with a request, as errors with words for people. Statuses and slugs: the server's `problem.rs`.

/** Who says it: the enclave (the answer decrypted) or anyone on the way (it came in plaintext). */
export type Speaker = 'from-enclave' | 'unauthenticated-answer';

/** The appliance answered with a problem document (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  /** The last part of the problem's type: `not-found`. */
  readonly slug: string;
  readonly retryAfterS: number | null;
  readonly speaker: Speaker;

  constructor(status: number, slug: string, message: string, retryAfterS: number | null, speaker: Speaker) {
    super(message);
    this.status = status;
    this.slug = slug;
    this.retryAfterS = retryAfterS;
    this.speaker = speaker;
  }
}

/** No answer came at all. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';

  constructor() {
    super('The appliance cannot be reached. Check the connection and try again.');
  }
}

const WORDS: Record<string, string> = {
  'invalid-request': 'The appliance could not read this request.',
  unauthenticated: 'Your session has ended. Log in again.',
  forbidden: 'Your role does not allow this.',
  'evidence-rejected': 'The evidence was not accepted.',
  'policy-denied': 'A policy of the appliance forbids this.',
  'not-found': 'It is not there, or not for you.',
  conflict: 'Something else changed in the meantime.',
  'too-large': 'It is too large.',
  'key-config': 'The appliance has new keys. Reload the page.',
  'too-many-requests': 'Too many requests. Wait a moment and try again.',
  internal: 'The appliance made a mistake. Nothing was changed that was not confirmed; try again.',
  unavailable: 'The appliance is starting, stopping or out of capacity. Try again in a moment.',
  timeout: 'The appliance took too long. Try again.',
};

const SLUG_BY_STATUS: Record<number, string> = {
  400: 'invalid-request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  413: 'too-large',
  422: 'key-config',
  429: 'too-many-requests',
  503: 'unavailable',
  504: 'timeout',
};

/** The sentence for a problem's slug. */
export function wordsFor(slug: string): string {
  return WORDS[slug] ?? 'The appliance could not do this.';
}

/** Reads a problem document; a detail is shown only when the enclave itself wrote it. */
export function problemOf(status: number, text: string, retryAfter: string | null, speaker: Speaker): ProblemError {
  let slug = SLUG_BY_STATUS[status] ?? 'internal';
  let detail = '';
  try {
    const document = JSON.parse(text) as { type?: unknown; detail?: unknown };
    const named = typeof document.type === 'string' ? document.type.split(/[:/#]/).at(-1) : undefined;
    if (named && named in WORDS) slug = named;
    if (typeof document.detail === 'string' && speaker === 'from-enclave') detail = document.detail.slice(0, 300);
  } catch {
    // Not a problem document: the status has to do.
  }
  const seconds = retryAfter !== null && /^\d{1,5}$/.test(retryAfter) ? Number(retryAfter) : null;
  const words = wordsFor(slug);
  return new ProblemError(status, slug, detail ? `${words} ${sentence(detail)}` : words, seconds, speaker);
}

/** Whether an answer is EHBP's "this is not my key any more" (protocols §1). */
export function isStaleKey(status: number, contentType: string | null, text: string): boolean {
  if (status !== 422 || contentType?.split(';', 1)[0]?.trim().toLowerCase() !== 'application/problem+json')
    return false;
  try {
    return (JSON.parse(text) as { type?: unknown }).type === 'urn:ietf:params:ehbp:error:key-config';
  } catch {
    return false;
  }
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}
