// The policy that the package applies by itself is the one that is shipped, the tables of `policies/appraisal/default.toml`,
// and what it says about images is what `cloister-policies` says.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DEFAULT_SNP_POLICY, DEFAULT_TDX_POLICY } from '../src';

type Tables = Record<string, Record<string, unknown>>;

/** As much TOML as the file has: tables, and keys with a JSON value or an inline table of numbers. */
function parse(text: string): Tables {
  const tables: Tables = { '': {} };
  let table = '';
  for (const line of text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) {
    const heading = /^\[(.+)\]$/.exec(line)?.[1];
    if (heading) {
      table = heading;
      tables[table] = {};
      continue;
    }
    const [, key = '', value = ''] = /^(\w+) = (.+)$/.exec(line) ?? [];
    (tables[table] ??= {})[key] = JSON.parse(value.replace(/(\w+) = /g, '"$1": '));
  }
  return tables;
}

it('is the shipped default', () => {
  const file = new URL('../../../../policies/appraisal/default.toml', import.meta.url);
  const tables = parse(readFileSync(file, 'utf8'));
  expect(Object.keys(tables)).toEqual(['', 'snp', 'snp.min_reported_tcb_by_product', 'tdx']);
  const floors = tables['snp.min_reported_tcb_by_product'];
  expect(DEFAULT_SNP_POLICY).toEqual({ ...tables.snp, min_reported_tcb_by_product: floors });
  expect(DEFAULT_TDX_POLICY).toEqual(tables.tdx);
  expect(tables['']).toMatchObject({ tee: ['sev-snp', 'tdx'], require_fresh: true, max_validity_seconds: 172_800 });
});

it('says of tables and images what the Rust appraisal says', () => {
  const source = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
  const rust = source('../../../../policies/src/appraisal/machine.rs');
  const own = source('../src/image.ts');
  const words = [
    'the policy judges hardware of this kind',
    'the policy has no table [',
    'the policy names no image: any software is accepted',
    'this is ',
    ', whose entry is not valid at this time',
    "the policy's list is empty, and an empty list accepts nothing",
    'the launch measurements are those of no entry',
    'that says what is accepted of such hardware',
    'run a release whose measurements you have pinned, or pin these after review ([[reference.measurement]])',
  ];
  for (const text of words) {
    expect(own, text).toContain(text);
    expect(rust, text).toContain(text);
  }
});
