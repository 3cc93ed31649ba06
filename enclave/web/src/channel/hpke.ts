// EHBP, the Encrypted HTTP Body Protocol (protocols §1): sealing of request bodies to an attested HPKE key and opening
// of the response. The suite is fixed: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
//
// The key exchange is done in JavaScript because not every browser has X25519; the bulk work is done by WebCrypto.

import { KEM_DHKEM_X25519_HKDF_SHA256 } from '@panva/hpke-noble';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256 } from 'hpke';
import { type Bytes, concat, utf8 } from '@cloister/verifier/bytes';

/** The largest plaintext of one request frame; servers may refuse frames above 16 MiB. */
export const FRAME_BYTES = 1 << 20;

/** The largest response frame that is read; no honest server comes near. */
const MAX_RESPONSE_FRAME = 16 << 20;

/** How many empty frames are let pass in a row; they carry nothing and must not keep a reader busy for ever. */
const MAX_EMPTY_FRAMES = 64;

/** The response is not what the enclave sent, or not all of it. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
}

/** The part of an HPKE sender context that is used. */
interface SenderContext {
  Seal(plaintext: Uint8Array): Promise<Uint8Array>;
  Export(label: Uint8Array, length: number): Promise<Uint8Array>;
}

/** One request being sealed; the same context opens its response. */
export class Sealer {
  /** The encapsulated key: the value of `Ehbp-Encapsulated-Key`. */
  readonly enc: Bytes;
  readonly #context: SenderContext;

  private constructor(enc: Bytes, context: SenderContext) {
    this.enc = enc;
    this.#context = context;
  }

  /** Starts a request to an attested key of 32 bytes. */
  static async to(hpkeKey: Uint8Array): Promise<Sealer> {
    const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
    const key = await suite.DeserializePublicKey(hpkeKey);
    const { encapsulatedSecret, ctx } = await suite.SetupSender(key, { info: utf8('ehbp request') });
    return new Sealer(concat(encapsulatedSecret), ctx);
  }

  /** One frame: the length of the ciphertext, then the ciphertext. */
  async frame(plaintext: Uint8Array): Promise<Bytes> {
    const ciphertext = await this.#context.Seal(plaintext);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, ciphertext.length);
    return concat(length, ciphertext);
  }

  /** The opener of the response that carries this nonce. */
  async opener(responseNonce: Uint8Array): Promise<Opener> {
    const exported = await this.#context.Export(utf8('ehbp response'), 32);
    return Opener.derive(exported, this.enc, responseNonce);
  }
}

/** Opens the frames of one response, in order. */
export class Opener {
  readonly #key: CryptoKey;
  readonly #base: Bytes;
  #sequence = 0;
  #pending = new Uint8Array(0);

  private constructor(key: CryptoKey, base: Bytes) {
    this.#key = key;
    this.#base = base;
  }

  /** HKDF over the exported secret, salted with enc and nonce, as in OHTTP (RFC 9458 §4.4). */
  static async derive(exported: Uint8Array, enc: Uint8Array, responseNonce: Uint8Array): Promise<Opener> {
    const secret = await crypto.subtle.importKey('raw', concat(exported), 'HKDF', false, ['deriveBits', 'deriveKey']);
    const hkdf = (label: string) => ({
      name: 'HKDF',
      hash: 'SHA-256',
      salt: concat(enc, responseNonce),
      info: utf8(label),
    });
    const key = await crypto.subtle.deriveKey(hkdf('key'), secret, { name: 'AES-GCM', length: 256 }, false, [
      'decrypt',
    ]);
    const base = new Uint8Array(await crypto.subtle.deriveBits(hkdf('nonce'), secret, 96));
    return new Opener(key, base);
  }

  /** Takes some bytes from the wire and gives the plaintext of every frame that is now whole. */
  async push(bytes: Uint8Array): Promise<Bytes[]> {
    const opened: Bytes[] = [];
    let buffer = concat(this.#pending, bytes);
    let empty = 0;
    while (buffer.length >= 4) {
      const length = new DataView(buffer.buffer, buffer.byteOffset).getUint32(0);
      if (length > MAX_RESPONSE_FRAME) throw new ChannelError('a response frame is too large');
      if (length === 0 && ++empty > MAX_EMPTY_FRAMES) throw new ChannelError('too many empty response frames');
      if (buffer.length < 4 + length) break;
      if (length > 0) opened.push(await this.#open(buffer.slice(4, 4 + length)));
      buffer = buffer.slice(4 + length);
    }
    this.#pending = buffer;
    return opened;
  }

  /** Must be called at the end of the body: bytes left over mean that a frame was cut. */
  finish(): void {
    if (this.#pending.length > 0) throw new ChannelError('the response was cut off inside a frame');
    if (this.#sequence === 0) throw new ChannelError('the response holds no authenticated frame');
  }

  async #open(ciphertext: Bytes): Promise<Bytes> {
    const iv = new Uint8Array(this.#base);
    const view = new DataView(iv.buffer);
    view.setUint32(8, (view.getUint32(8) ^ this.#sequence) >>> 0);
    try {
      const plaintext = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, this.#key, ciphertext);
      this.#sequence += 1;
      return new Uint8Array(plaintext);
    } catch {
      throw new ChannelError('a response frame does not decrypt');
    }
  }
}
