// The package as one ES module with everything in it, for pages that have no bundler.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  build: {
    target: 'es2022',
    lib: { entry: 'src/index.ts', formats: ['es'], fileName: 'cloister-verifier' },
    // A library keeps its white space unless told otherwise, for bundlers; this file is for pages without one.
    rolldownOptions: { output: { minify: true } },
    reportCompressedSize: true,
  },
});
