// The package as others get it: one module, small, which reaches for nothing but WebCrypto, and the roots in it.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { beforeAll, describe, expect, it } from 'vitest';
import { AMD, INTEL } from '../src/roots.data';
import { VECTORS } from './vectors';

const folder = fileURLToPath(new URL('..', import.meta.url));

describe('the built package', () => {
  let code = '';
  let imports: string[] = [];

  beforeAll(async () => {
    const configFile = join(folder, 'vite.config.ts');
    const output = await build({ root: folder, configFile, logLevel: 'silent', build: { write: false } });
    const chunks = (Array.isArray(output) ? output : [output]).flatMap((part) => ('output' in part ? part.output : []));
    const [chunk, ...others] = chunks;
    if (chunk?.type !== 'chunk' || others.length > 0) throw new Error('not one module');
    ({ code, imports } = { code: chunk.code, imports: [...chunk.imports, ...chunk.dynamicImports] });
  });

  it('has at most 60 KB after gzip, the roots and Ed25519 included', () => {
    const size = gzipSync(code, { level: 9 }).length;
    console.log(`built package: ${code.length} bytes, ${size} after gzip`);
    expect(code.length).toBeGreaterThan(20_000);
    expect(size).toBeLessThanOrEqual(60_000);
  });

  it('imports nothing, asks nobody and reads no clock', () => {
    expect(imports).toEqual([]);
    expect(/\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon/.test(code)).toBe(false);
    expect(/Date\.now|new Date\(\)|performance\.now/.test(code)).toBe(false);
    expect(/\bwindow\.|localStorage|\beval\(|new Function\(/.test(code)).toBe(false);
  });
});

describe('the pinned roots', () => {
  const names = Object.entries(AMD).flatMap(([product, { ark, ask, asvk }]) => [
    [`ARK-${product}`, ark],
    [`SEV-${product}`, ask],
    [`SEV-VLEK-${product}`, asvk],
  ]);
  const roots = [...names, ['Intel_SGX_Root_CA', INTEL]] as [string, string][];
  const der = (base64: string) => Buffer.from(base64, 'base64');

  it.each(roots)('%s is the published one', (name, base64) => {
    expect(der(base64).equals(readFileSync(join(VECTORS, 'roots', `${name}.der`)))).toBe(true);
  });

  it('are those that the Rust verifier has', () => {
    const theirs = join(folder, '../../../attestation/roots');
    const files = readdirSync(theirs).filter((name) => name.endsWith('.der'));
    expect(files.length).toBe(roots.length);
    for (const file of files) {
      const own = roots.find(([name]) => `${name}.der` === file);
      expect(own, file).toBeDefined();
      expect(der(own?.[1] ?? '').equals(readFileSync(join(theirs, file))), file).toBe(true);
    }
  });

  it.each([
    [AMD.Milan.ark, '69d063b4'],
    [AMD.Genoa.ark, '4c6598d1'],
    [AMD.Turin.ark, '1f084161'],
    [INTEL, '44a0196b'],
  ])('have the digests that are written down (%#)', (base64, start) => {
    expect(createHash('sha256').update(der(base64)).digest('hex').slice(0, 8)).toBe(start);
  });
});
