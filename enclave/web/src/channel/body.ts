// Request bodies: JSON, and files as multipart/form-data built here, so that names and contents are sealed together.

import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, randomBytes, toHex, utf8 } from '@cloister/verifier/bytes';
import { FRAME_BYTES, type Sealer } from './hpke';

/** A body before sealing: its media type (visible on the wire) and its parts (not visible). */
export interface PlainBody {
  readonly contentType: string;
  readonly parts: (Bytes | Blob)[];
}

/** A body after sealing. */
export interface SealedBody {
  readonly blob: Blob;
  readonly sha256: Bytes;
}

/** A JSON body. */
export function jsonBody(value: unknown): PlainBody {
  return { contentType: 'application/json', parts: [utf8(JSON.stringify(value))] };
}

/** A form with one file and some fields (RFC 7578). */
export function fileBody(file: File, fields: Record<string, string>): PlainBody {
  const boundary = `cloister-${toHex(randomBytes(16))}`;
  const parts: (Bytes | Blob)[] = [];
  for (const [name, value] of Object.entries(fields)) {
    parts.push(utf8(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`));
  }
  const type = file.type || 'application/octet-stream';
  parts.push(
    utf8(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted(file.name)}"\r\n` +
        `Content-Type: ${type}\r\n\r\n`,
    ),
    file,
    utf8(`\r\n--${boundary}--\r\n`),
  );
  return { contentType: `multipart/form-data; boundary=${boundary}`, parts };
}

/** Seals a body frame by frame, hashing what will be sent; a file is never in memory twice. */
export async function sealBody(
  sealer: Sealer,
  body: PlainBody,
  onSealed: (bytes: number) => void = () => {},
): Promise<SealedBody> {
  const digest = sha256.create();
  const frames: Bytes[] = [];
  const plain = new Blob(body.parts);
  for (let at = 0; at < plain.size; at += FRAME_BYTES) {
    const piece = new Uint8Array(await plain.slice(at, at + FRAME_BYTES).arrayBuffer());
    const frame = await sealer.frame(piece);
    digest.update(frame);
    frames.push(frame);
    onSealed(at + piece.length);
  }
  return { blob: new Blob(frames), sha256: new Uint8Array(digest.digest()) };
}

/** As browsers quote file names in forms (WHATWG HTML, multipart/form-data encoding). */
function quoted(name: string): string {
  return name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');
}
