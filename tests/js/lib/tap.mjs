// Prints TAP version 14 and counts. A test that throws has failed; the tests after it that depend on it are skipped
// by throwing `Skip`, and a skipped test is never counted as passed.

/** Thrown by a test that cannot be made, with the reason. */
export class Skip extends Error {}

/** Runs tests one after the other. */
export class Tap {
  passed = 0;
  failed = 0;
  skipped = 0;
  #number = 0;
  #only;

  constructor(only) {
    this.#only = only;
    console.log('TAP version 14');
  }

  /** Runs one test; gives what it returns, or undefined. */
  async test(name, run) {
    if (this.#only && !name.includes(this.#only)) return undefined;
    const started = performance.now();
    const number = ++this.#number;
    try {
      const value = await run();
      this.passed += 1;
      console.log(`ok ${number} - ${name} # time=${Math.round(performance.now() - started)}ms`);
      return value;
    } catch (error) {
      if (error instanceof Skip) {
        this.skipped += 1;
        console.log(`ok ${number} - ${name} # SKIP ${error.message}`);
        return undefined;
      }
      this.failed += 1;
      console.log(`not ok ${number} - ${name}`);
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      console.log(`  ---\n${text.split('\n').slice(0, 24).map((line) => `  ${line}`).join('\n')}\n  ...`);
      return undefined;
    }
  }

  /** Tests that build on each other: after the first failure the rest is skipped. */
  chain() {
    let broken = null;
    return async (name, run) => {
      const failed = this.failed;
      const value = await this.test(name, () => {
        if (broken !== null) throw new Skip(`after “${broken}” failed`);
        return run();
      });
      if (this.failed > failed) broken ??= name;
      return value;
    };
  }

  /** Prints the plan and the sum; gives the exit code. */
  finish() {
    console.log(`1..${this.#number}`);
    console.log(`${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}
