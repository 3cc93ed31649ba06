// Sending by XMLHttpRequest: `fetch` does not tell how many bytes of a body have left, and people want to see it.

import type { RawResponse, RequestOptions } from './channel';
import { Unreachable } from './problem';

/** Sends a sealed body and reports the bytes that have left; the answer is small and read whole. */
export function sendByXhr(
  path: string,
  headers: Record<string, string>,
  body: Blob,
  options: RequestOptions,
): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    request.responseType = 'arraybuffer';
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) =>
      options.onProgress?.({ phase: 'sending', bytes: event.loaded, total: body.size });
    request.onload = () => {
      // A redirect would have sent the sealed body elsewhere; the enclave makes none.
      if (new URL(request.responseURL).pathname !== new URL(path, request.responseURL).pathname) {
        reject(new Unreachable());
        return;
      }
      const bytes = new Uint8Array(request.response as ArrayBuffer);
      resolve({
        status: request.status,
        header: (name) => request.getResponseHeader(name),
        chunks: async function* () {
          yield bytes;
        },
      });
    };
    request.onerror = () => reject(new Unreachable());
    request.ontimeout = () => reject(new Unreachable());
    request.onabort = () => reject(new DOMException('the upload was stopped', 'AbortError'));
    options.signal?.addEventListener('abort', () => request.abort(), { once: true });
    request.send(body);
  });
}
