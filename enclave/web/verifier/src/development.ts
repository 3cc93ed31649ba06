// Evidence of the development TEE: a layout of its own that resembles no hardware's. That its signature holds proves
// only that the report was not altered on its way; nothing about who can read the memory.
//
// | offset | length | field |
// |---|---|---|
// | 0 | 24 | `cloister-development-tee` |
// | 24 | 32 | Ed25519 public key |
// | 56 | 64 | `report_data` |
// | 120 | 64 | signature over bytes 0 to 120 |

import { type Bytes, equal, utf8 } from './bytes';

/** A report whose layout is right; its signature is not checked yet. */
export interface DevelopmentReport {
  readonly publicKey: Bytes;
  readonly reportData: Bytes;
  /** What the signature is over. */
  readonly signed: Bytes;
  readonly signature: Bytes;
}

const MAGIC = utf8('cloister-development-tee');
const REPORT_BYTES = 184;

/** Reads the layout, or null. */
export function parseDevelopmentReport(report: Bytes): DevelopmentReport | null {
  if (report.length !== REPORT_BYTES || !equal(report.slice(0, 24), MAGIC)) return null;
  return {
    publicKey: report.slice(24, 56),
    reportData: report.slice(56, 120),
    signed: report.slice(0, 120),
    signature: report.slice(120),
  };
}
