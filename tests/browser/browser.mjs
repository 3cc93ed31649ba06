// One Chromium, and what every test of the page does with it.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A started Chromium. Its profile is empty and thrown away. */
export class Browser {
  static async start(options) {
    mkdirSync(options.screenshots, { recursive: true });
    const args = { executablePath: options.executablePath, args: FLAGS, headless: true };
    return new Browser(await options.chromium.launch(args), options);
  }

  constructor(chromium, options) {
    this.chromium = chromium;
    this.options = options;
  }

  /** A visit by someone who was never here before. */
  async visit(context = {}) {
    const fresh = await this.chromium.newContext({
      viewport: { width: 1280, height: 800 },
      ignoreHTTPSErrors: true,
      acceptDownloads: true,
      ...context,
    });
    return new Visit(await fresh.newPage(), fresh, this.options);
  }

  async stop() {
    await this.chromium.close();
  }
}

/** A visit by somebody whose browser keeps what it keeps in the folder `profile`, with a Chromium of its own. */
export async function returningVisit(profile, options) {
  mkdirSync(options.screenshots, { recursive: true });
  const context = await options.chromium.launchPersistentContext(profile, {
    executablePath: options.executablePath,
    args: FLAGS,
    headless: true,
    viewport: { width: 1280, height: 800 },
    ignoreHTTPSErrors: true,
  });
  return new Visit(await context.newPage(), context, options);
}

/** One page and everything that left it. */
export class Visit {
  requests = [];
  complaints = [];

  constructor(page, context, options) {
    this.page = page;
    this.context = context;
    this.options = options;
    page.setDefaultTimeout(20_000);
    page.on('request', (request) => this.requests.push(request));
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // The browser itself writes about refused requests, and that the page, which sends no credentials, does not let
      // a header clear its data. Everything else is a fault of the page.
      const expected = /Failed to load resource|net::ERR|Clear-Site-Data/.test(message.text());
      if (message.type() === 'error' && !expected) this.complaints.push(message.text());
    });
  }

  /** The requests that carry something. */
  get posts() {
    return this.requests.filter((request) => request.method() === 'POST');
  }

  heading(name) {
    return this.page.getByRole('heading', { name }).first();
  }

  button(name) {
    return this.page.getByRole('button', { name }).first();
  }

  async shot(name) {
    await this.settled();
    await this.page.screenshot({ path: join(this.options.screenshots, `${name}.png`) });
  }

  /** Waits until what is on its way has arrived: half-faded text has no honest contrast. */
  async settled() {
    await this.page.evaluate(async () => {
      const finite = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
      await Promise.all(finite.map(({ finished }) => finished.catch(() => {})));
    });
  }

  /** No violation of WCAG 2.2 A and AA or of axe's best practices. */
  async accessible(where) {
    await this.settled();
    await this.page.evaluate(this.options.axe);
    const violations = await this.page.evaluate(async () => {
      const result = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
    });
    assert.deepEqual(violations, [], `axe: ${where}`);
  }

  /** Nothing was thrown, and the CSP had nothing to stop. */
  silent() {
    assert.deepEqual(this.complaints, []);
  }

  /** Opens the page and gets past the gate of a development TEE. */
  async acceptDevelopment(address) {
    await this.page.goto(address);
    await this.heading('This appliance is not confidential').waitFor();
    await this.page.getByRole('checkbox').check();
    await this.button('Continue without confidentiality').click();
  }

  /** Enrols by a code; ends in the workspace. */
  async enrol(code, login, password) {
    await this.acceptDevelopment(`${this.options.url}/#enrol=${code}`);
    await this.page.getByLabel('Login name').fill(login);
    await this.page.getByLabel('Password', { exact: true }).fill(password);
    await this.button('Create account').click();
    await this.button('Log out').waitFor();
  }

  /** Adds files on the documents screen and waits until each was read. */
  async upload(files) {
    await this.button(/^Documents/).click();
    const input = files.map(({ name, text }) => ({ name, mimeType: '', buffer: Buffer.from(text) }));
    await this.page.getByLabel('Files to add').setInputFiles(input);
    for (const { title } of files) {
      await this.page.getByRole('listitem').filter({ hasText: title }).getByText(/passage/).waitFor();
    }
  }

  /** Asks in the open conversation and waits for the whole answer. */
  async ask(question) {
    const before = await this.page.locator('.messages > .assistant .answer-actions').count();
    await this.page.getByLabel('Your question').fill(question);
    await this.page.keyboard.press('Enter');
    await this.page.locator('.messages > .assistant .answer-actions').nth(before).waitFor();
    await this.button('Send the question').waitFor();
  }

  /** Presses Tab until the thing of this role and name has the focus. */
  async tabTo(role, name, { key = 'Tab', limit = 60 } = {}) {
    const wanted = this.page.getByRole(role, { name }).first();
    for (let presses = 0; presses < limit; presses++) {
      await this.page.keyboard.press(key);
      if (await wanted.evaluate((element) => element === document.activeElement).catch(() => false)) {
        await this.focusVisible();
        return;
      }
    }
    assert.fail(`the keyboard does not reach ${role} ${name}`);
  }

  /** Whoever uses the keyboard sees where they are. */
  async focusVisible() {
    const seen = await this.page.evaluate(() => {
      const element = document.activeElement;
      const box = element.closest('.composer-box') ?? element;
      const style = getComputedStyle(box);
      return style.outlineStyle !== 'none' || style.boxShadow !== 'none';
    });
    assert.ok(seen, 'the focus is visible');
  }

  /** Nothing is wider than the screen. */
  async fits() {
    const over = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${over} pixels too wide`);
  }
}
