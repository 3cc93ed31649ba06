// Problems: whose words are shown, and when a key counts as stale.

import { describe, expect, it } from 'vitest';
import { isStaleKey, problemOf } from '../src/channel/problem';
import { grow } from '../src/state/threads';

const DOCUMENT = JSON.stringify({ type: 'urn:cloister:problem:too-large', status: 413, detail: 'the limit is 64 MiB' });

describe('problems', () => {
  it('show the detail that the enclave wrote', () => {
    const problem = problemOf(413, DOCUMENT, null, 'from-enclave');
    expect(problem.slug).toBe('too-large');
    expect(problem.message).toBe('It is too large. The limit is 64 MiB.');
  });

  it('show no word of whoever answered in plaintext', () => {
    const lure = JSON.stringify({ type: 'urn:x:unauthenticated', detail: 'Log in at evil.example' });
    expect(problemOf(401, lure, null, 'unauthenticated-answer').message).not.toContain('evil');
  });

  it('are named by the status where the body is nothing', () => {
    expect(problemOf(503, '<html>', '7', 'unauthenticated-answer')).toMatchObject({
      slug: 'unavailable',
      retryAfterS: 7,
    });
    expect(problemOf(418, '', 'soon', 'from-enclave')).toMatchObject({ slug: 'internal', retryAfterS: null });
  });
});

describe('a stale key', () => {
  const body = '{"type":"urn:ietf:params:ehbp:error:key-config"}';
  it('is told by status, media type and problem type together', () => {
    expect(isStaleKey(422, 'application/problem+json; charset=utf-8', body)).toBe(true);
    expect(isStaleKey(400, 'application/problem+json', body)).toBe(false);
    expect(isStaleKey(422, 'application/json', body)).toBe(false);
    expect(isStaleKey(422, 'application/problem+json', '{"type":"about:blank"}')).toBe(false);
    expect(isStaleKey(422, null, '<')).toBe(false);
  });
});

describe('an answer that grows', () => {
  const turn = { question: 'q', text: '', citations: [], ahead: 2, state: 'running', problem: null } as const;
  const citation = {
    tag: 's1',
    document_id: 'doc_1',
    document_title: 'T',
    document_sha256: '00',
    chunk_id: 'chk_1',
    section: [],
    page: null,
    quote: 'q',
    score: 1,
  };

  it('takes text and each source once', () => {
    let grown = grow({ ...turn, citations: [] }, { event: 'citation', data: citation });
    grown = grow(grown, { event: 'citation', data: citation });
    grown = grow(grown, { event: 'delta', data: { text: 'a ' } });
    grown = grow(grown, { event: 'delta', data: { text: 'b [s1]' } });
    expect(grown).toMatchObject({ text: 'a b [s1]', ahead: null });
    expect(grown.citations).toHaveLength(1);
  });
});
