// The host of the threat model: it stands between page and enclave, terminates TLS, and changes what it likes.

import http from 'node:http';
import https from 'node:https';

/** A relay on a loopback port, which browsers take for a secure context. `change` is what it does. */
export class Relay {
  posts = [];
  /** Told when the page goes away before an answer ended. */
  onGone = () => {};

  static async start(upstream, change = {}) {
    const relay = new Relay(upstream, change);
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.url = `http://localhost:${relay.server.address().port}`;
    return relay;
  }

  constructor(upstream, change) {
    this.upstream = new URL(upstream);
    this.change = change;
    this.server = http.createServer((request, response) => void this.#forward(request, response));
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #forward(request, response) {
    const body = [];
    for await (const chunk of request) body.push(chunk);
    if (request.method === 'POST') this.posts.push(request.url);
    const made = this.change.answer?.(request);
    if (made) return void response.writeHead(made.status, made.headers).end(made.body);
    const secure = this.upstream.protocol === 'https:';
    const forward = (secure ? https : http).request(
      new URL(request.url, this.upstream),
      { method: request.method, headers: { ...request.headers, host: this.upstream.host }, rejectUnauthorized: false },
      (answer) => void this.#answer(request, response, answer, forward),
    );
    forward.on('error', () => response.destroy());
    forward.end(Buffer.concat(body));
  }

  async #answer(request, response, answer, forward) {
    const attestation = request.url.startsWith('/.well-known/cloister/attestation');
    if (attestation && this.change.evidence) {
      const chunks = [];
      for await (const chunk of answer) chunks.push(chunk);
      const document = this.change.evidence(JSON.parse(Buffer.concat(chunks)));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
      return;
    }
    const { 'content-length': _, ...headers } = answer.headers;
    response.writeHead(answer.statusCode, headers);
    const stream = /^text\/event-stream/.test(answer.headers['content-type'] ?? '');
    response.on('close', () => {
      if (!answer.complete) this.onGone();
      forward.destroy();
    });
    answer.on('error', () => response.destroy());
    if (stream && this.change.stream) this.change.stream(answer, response);
    else answer.pipe(response);
  }
}
