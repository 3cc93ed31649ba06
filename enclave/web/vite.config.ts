/// <reference types="vitest/config" />
// How the page is built: hashed files, nothing inline, so that it works under a strict CSP and each file can be
// named by its digest. The enclave serves `dist/` and lists it in its measured image.
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    target: 'es2022',
    // A `data:` script or style would be inline for the CSP; 0 turns inlining off.
    assetsInlineLimit: 0,
    // Browsers that can run the page know `modulepreload`; the polyfill would only be more code to measure.
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: true,
  },
  // Argon2 and every cut point of a stream take their time on a machine that builds beside it.
  test: { include: ['{test,verifier/test}/**/*.test.{ts,tsx}'], environment: 'node', testTimeout: 120_000 },
});
