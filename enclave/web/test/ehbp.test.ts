// EHBP: the published and the own vectors of protocols §1, and damage of every kind to a response.

import { KEM_DHKEM_X25519_HKDF_SHA256 } from '@panva/hpke-noble';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256 } from 'hpke';
import { describe, expect, it } from 'vitest';
import { sealBody } from '../src/channel/body';
import { ChannelError, FRAME_BYTES, Opener, Sealer } from '../src/channel/hpke';
import { concat, fromUtf8, utf8 } from '@cloister/verifier/bytes';
import { counting, hex, toHex } from './bytes';

const SK_R = hex('606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f');
const PK_R = hex('675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f');
const ENC = hex('493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d');
const EXPORTED = hex('ca3060ad36d24d0b68e032f2e96d14d6f2e96ed396bde54d019a837600962383');
const NONCE = counting(0x40, 32);
const RESPONSE = hex(
  '0000001f37ecf07c7e8a7fbb4604184334d2147c5e336fe56ef415ddfeb683f05850bc' +
    '0000001e433eca735b1635c903dc7eb424e8859a5b020762ad0ab17a5052c06ee699',
);
const FIRST_FRAME = 4 + 0x1f;

const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);

async function recipient(enc: Uint8Array) {
  const key = await suite.DeserializePrivateKey(SK_R, false);
  return suite.SetupRecipient(key, enc, { info: utf8('ehbp request') });
}

describe('responses', () => {
  it('opens the published vector', async () => {
    const opener = await Opener.derive(counting(0, 32), counting(0x20, 32), counting(0x40, 32));
    const frame = hex('0000002647e74d9a561b60ff42ac7ffbb4caf6b6d5ad0bb7621e41840d2ab7de7208ff7a59d0a2a482cc');
    expect((await opener.push(frame)).map(fromUtf8)).toEqual(['hello from test vector']);
    opener.finish();
  });

  it.each([1, 3, 16, 1000])('opens the two frames of the full vector in pieces of %i', async (size) => {
    const opener = await Opener.derive(EXPORTED, ENC, NONCE);
    const opened: string[] = [];
    for (let at = 0; at < RESPONSE.length; at += size) {
      opened.push(...(await opener.push(RESPONSE.slice(at, at + size))).map(fromUtf8));
    }
    opener.finish();
    expect(opened).toEqual(['data: {"a":1}\n\n', 'data: [DONE]\n\n']);
  });

  it('skips empty frames without counting them', async () => {
    const opener = await Opener.derive(EXPORTED, ENC, NONCE);
    const empty = new Uint8Array(4);
    const bytes = concat(empty, RESPONSE.slice(0, FIRST_FRAME), empty, RESPONSE.slice(FIRST_FRAME));
    expect(await opener.push(bytes)).toHaveLength(2);
  });

  it('refuses endless empty frames', async () => {
    const opener = await Opener.derive(EXPORTED, ENC, NONCE);
    await expect(opener.push(new Uint8Array(4 * 100))).rejects.toThrow(ChannelError);
  });

  it('tells a cut at every byte that is not the end of a frame', async () => {
    for (let end = 0; end < RESPONSE.length; end++) {
      const opener = await Opener.derive(EXPORTED, ENC, NONCE);
      await opener.push(RESPONSE.slice(0, end));
      if (end === FIRST_FRAME) opener.finish();
      else expect(() => opener.finish(), `cut at ${end}`).toThrow(ChannelError);
    }
  });

  it('refuses a flipped bit anywhere but in nothing', async () => {
    for (let at = 0; at < RESPONSE.length; at++) {
      const damaged = RESPONSE.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      const opener = await Opener.derive(EXPORTED, ENC, NONCE);
      const read = async () => {
        await opener.push(damaged);
        opener.finish();
      };
      await expect(read(), `bit of byte ${at}`).rejects.toThrow(ChannelError);
    }
  });

  it('refuses frames that are repeated or swapped', async () => {
    const first = RESPONSE.slice(0, FIRST_FRAME);
    const second = RESPONSE.slice(FIRST_FRAME);
    for (const bytes of [concat(first, first), concat(second, first)]) {
      const opener = await Opener.derive(EXPORTED, ENC, NONCE);
      await expect(opener.push(bytes)).rejects.toThrow(ChannelError);
    }
  });

  it('refuses a frame that claims to be huge before it comes', async () => {
    const opener = await Opener.derive(EXPORTED, ENC, NONCE);
    await expect(opener.push(hex('7fffffff00'))).rejects.toThrow(ChannelError);
  });
});

describe('requests', () => {
  it('opens the request of the full vector with the library that seals ours', async () => {
    const context = await recipient(ENC);
    const frame = hex('f843238627d8ce3da6e06cd342c953eb67a7f91e26aff5737f268ae87d0d49c758');
    expect(fromUtf8(await context.Open(frame))).toBe('{"model":"m","str');
    expect(toHex(await context.Export(utf8('ehbp response'), 32))).toBe(toHex(EXPORTED));
  });

  it('seals a long body as frames that the enclave opens in order', async () => {
    const body = new Uint8Array(FRAME_BYTES + 10).fill(7);
    const sealer = await Sealer.to(PK_R);
    const { blob, sha256 } = await sealBody(sealer, { contentType: 'text/plain', parts: [body] });
    const wire = new Uint8Array(await blob.arrayBuffer());
    expect(toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', wire)))).toBe(toHex(sha256));
    const context = await recipient(sealer.enc);
    let at = 0;
    let total = 0;
    while (at < wire.length) {
      const length = new DataView(wire.buffer).getUint32(at);
      total += (await context.Open(wire.slice(at + 4, at + 4 + length))).length;
      at += 4 + length;
    }
    expect(total).toBe(body.length);
  });

  it('never seals twice under one encapsulated key', async () => {
    const sealers = await Promise.all([Sealer.to(PK_R), Sealer.to(PK_R)]);
    expect(toHex(sealers[0]?.enc ?? PK_R)).not.toBe(toHex(sealers[1]?.enc ?? PK_R));
  });
});
