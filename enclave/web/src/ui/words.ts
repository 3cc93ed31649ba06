// What the checks mean, for people who have never heard of attestation. And how a file is saved.

import type { Check } from '@cloister/verifier';

/** The title of a check. */
const CHECK_WORDS: Record<string, string> = {
  'doc.format': 'The evidence can be read',
  'evidence.tee': 'The kind of protection is known',
  'nonce.match': 'The evidence is fresh',
  'dev.format': 'The report is well formed',
  'dev.signature': 'The report is signed',
  'statement.report_data': 'The report names these keys and models',
  'statement.not_after': 'The statement is still good',
  'statement.keys': 'It names a key to encrypt to',
  'channel.match': 'The connection is the appliance’s own',
  'policy.tee': 'This kind of protection is accepted',
  'policy.hardware': 'Hardware keeps the memory secret',
  'policy.fresh': 'An old recording is not accepted',
  'policy.validity': 'The statement is short-lived',
  'policy.commits': 'The program is a release that you know',
  'policy.policies': 'The rules are those that you know',
  'policy.egress': 'The allowed connections are those that you know',
  'policy.models': 'The models are those that you know',
};

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
