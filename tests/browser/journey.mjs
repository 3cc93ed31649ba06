// The main job in the browser, from an enrolment link to a receipt, and the same by keyboard alone.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { QUESTION, TRAVEL, UNANSWERABLE } from '../js/lib/texts.mjs';

const PASSWORD = 'three bells before the fog';

export async function journey(tap, browser, options) {
  const step = tap.chain();
  const visit = await browser.visit();
  const { page } = visit;
  const login = `journey-${Date.now()}@lighthouse.example`;

  await step('page: loads under its policy from its own origin, and verifies before it shows anything to fill in', async () => {
    const response = await page.goto(`${options.url}/#enrol=${await options.enrolmentCode('owner')}`);
    const policy = response.headers()['content-security-policy'] ?? '';
    for (const part of ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.includes(part), `${part} in ${policy}`);
    }
    await visit.heading('This appliance is not confidential').waitFor();
    assert.equal(new URL(page.url()).hash, '', 'the code does not stay in the address');
    assert.ok(await page.getByText('DEVELOPMENT, NOT CONFIDENTIAL').isVisible());
    await page.getByText('What was checked').click();
    assert.equal(await page.getByText('Passed', { exact: true }).count(), 10);
    assert.deepEqual(visit.posts, []);
    await visit.accessible('the gate');
    await visit.shot('gate-development');
  });
  await step('page: enrols by the link', async () => {
    await page.getByRole('checkbox').check();
    await visit.button('Continue without confidentiality').click();
    await visit.heading('Set up your account').waitFor();
    await page.getByLabel('Login name').fill(login);
    await page.getByLabel('Password', { exact: true }).fill('short');
    await visit.button('Create account').click();
    await page.getByText('at least 10 characters').first().waitFor();
    await visit.accessible('enrolling');
    await visit.shot('enrol');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await visit.button('Create account').click();
    await visit.heading('Ask your documents').waitFor();
    await page.getByRole('combobox', { name: 'Assistant' }).waitFor();
    await visit.accessible('the welcome');
    await visit.shot('welcome');
  });
  await step('page: uploads, shows how far it is, and says why a file could not be read', async () => {
    await visit.upload([{ name: `travel-${login}.md`, title: 'Travel policy', text: `${TRAVEL}\nFiled by ${login}.\n` }]);
    await page.getByLabel('Files to add').setInputFiles([
      { name: `torn-${login}.pdf`, mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7\nno PDF at all') },
      { name: 'empty.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) },
    ]);
    await page.getByText('The file is empty.').waitFor();
    const broken = page.getByRole('listitem').filter({ hasText: `torn-${login}` });
    await broken.locator('.document-problem').waitFor();
    assert.ok((await broken.locator('.document-problem').innerText()).length > 20, 'a sentence');
    await visit.accessible('the documents');
    await visit.shot('documents');
    await broken.getByRole('button', { name: /^Delete/ }).click();
    await visit.button('Delete for everyone').click();
    await broken.waitFor({ state: 'detached' });
  });
  await step('page: asks, reads the streamed answer, and follows a citation to the words', async () => {
    await visit.button('New conversation').click();
    await visit.ask(QUESTION);
    await visit.accessible('an answer');
    await visit.shot('answer');
    await page.getByRole('button', { name: /^Source 1:/ }).first().click();
    await visit.heading('Sources').waitFor();
    const quote = await page.locator('.sources blockquote').first().innerText();
    assert.ok(TRAVEL.replace(/\s+/g, ' ').includes(quote.replace(/\s+/g, ' ').trim()), quote);
    await visit.accessible('the sources');
    await visit.shot('sources');
    await page.keyboard.press('Escape');
    await visit.heading('Sources').waitFor({ state: 'detached' });
    const focused = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
    assert.match(focused, /^Source 1/, 'the focus is back where it was');
  });
  await step('page: says when the documents do not answer', async () => {
    await visit.ask(UNANSWERABLE);
    await page.getByText('No answer in the documents').waitFor();
    await visit.shot('refusal');
  });
  await step('page: a finished answer is announced once, not while it grows', async () => {
    const log = page.getByRole('log');
    assert.equal(await log.getAttribute('aria-live'), 'polite');
    assert.equal(await log.locator('p').count(), 1);
    assert.match(await log.innerText(), /^Answer: /);
  });
  await step('page: saves the receipt', async () => {
    const [saved] = await Promise.all([page.waitForEvent('download'), visit.button('Receipt').click()]);
    assert.match(saved.suggestedFilename(), /^rcp_.*\.json$/);
    assert.equal(typeof JSON.parse(readFileSync(await saved.path(), 'utf8')).signature, 'string');
  });
  await step('page: the shield lists every check in words, and what is not promised', async () => {
    await visit.button(/^Development/).click();
    await visit.heading('What was verified').waitFor();
    assert.equal(await page.locator('.panel .checks > li').count(), 17);
    await visit.heading('What is not promised').waitFor();
    await visit.button('Verify again').click();
    await visit.button('Verify again').waitFor();
    await visit.accessible('the shield');
    await visit.shot('shield');
    await page.keyboard.press('Escape');
  });
  await step('page: makes another assistant', async () => {
    await visit.button('New conversation').click();
    await visit.button('New assistant').click();
    await page.getByRole('dialog').getByLabel('Name').fill('Harbour desk');
    await page.getByRole('dialog').getByLabel('What it is for').fill('Knows about ferries.');
    await visit.accessible('a new assistant');
    await visit.shot('new-assistant');
    await visit.button('Make assistant').click();
    await page.getByRole('combobox', { name: 'Assistant' }).and(page.locator(':has(option:text("Harbour desk"))')).waitFor();
  });
  await step('page: a reload keeps the session, with a key that no script can read', async () => {
    await page.reload();
    await visit.button('Log out').waitFor();
    const extractable = await page.evaluate(async () => {
      const open = indexedDB.open('cloister', 1);
      await new Promise((resolve) => open.addEventListener('success', resolve));
      const get = open.result.transaction('session').objectStore('session').get('current');
      await new Promise((resolve) => get.addEventListener('success', resolve));
      return [get.result.key.extractable, ...Object.values(sessionStorage), ...Object.values(localStorage)];
    });
    assert.equal(extractable[0], false);
    assert.ok(!extractable.slice(1).join('').includes(PASSWORD));
    await page.locator('.conversations').getByRole('button', { name: QUESTION.slice(0, 20) }).first().click();
    await page.getByText('No answer in the documents').waitFor();
  });
  await step('page: an auditor sees the log and no content', () => auditor(browser, visit));
  await step('page: logs out, refuses a wrong password, and lets the right one in', async () => {
    await visit.button('Log out').click();
    await visit.heading('Log in').waitFor();
    await visit.accessible('logging in');
    await page.getByLabel('Login name').fill(login);
    await page.getByLabel('Password', { exact: true }).fill(`${PASSWORD}?`);
    await visit.button('Log in').click();
    await page.getByText('Name or password is not right.').waitFor();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.keyboard.press('Enter');
    await visit.button('Log out').waitFor();
  });
  await step('page: dark, phone-sized, mirrored: it fits and stays accessible', () => shapes(browser, login));
  await step('page: spoke to its own origin only, always sealed, and complained of nothing', async () => {
    for (const request of visit.requests) {
      if (!/^(?:blob|data):/.test(request.url())) assert.equal(new URL(request.url()).origin, new URL(options.url).origin);
    }
    for (const request of visit.posts) {
      assert.match(request.headers()['ehbp-encapsulated-key'] ?? '', /^[0-9a-f]{64}$/, request.url());
      for (const word of [PASSWORD, login, 'hotel']) assert.ok(!(request.postDataBuffer() ?? '').includes(word), word);
    }
    visit.silent();
  });
  await visit.context.close();
  await tap.test('page: the whole job by keyboard alone', async () => keyboard(browser, options));
}

async function auditor(browser, visit) {
  await visit.button('People').click();
  await visit.page.getByRole('radio', { name: /Auditor/ }).check();
  await visit.button('Make an enrolment link').click();
  const link = await visit.page.locator('.link-box code').innerText();
  await visit.accessible('people');
  await visit.shot('people');
  const other = await browser.visit();
  await other.enrol(link.split('#enrol=')[1], `auditor-${Date.now()}`, PASSWORD);
  await other.button('Export audit log').waitFor();
  assert.equal(await other.page.getByText('New conversation').count(), 0);
  const [saved] = await Promise.all([other.page.waitForEvent('download'), other.button('Export audit log').click()]);
  assert.match(saved.suggestedFilename(), /^audit-.*\.tar$/);
  await other.accessible('the audit log');
  await other.shot('auditor');
  other.silent();
  await other.context.close();
}

async function shapes(browser, login) {
  const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
  for (const [name, context] of [['dark', { colorScheme: 'dark', reducedMotion: 'reduce' }], ['phone', phone], ['mirrored', {}]]) {
    const visit = await browser.visit(context);
    const { page } = visit;
    await visit.acceptDevelopment(visit.options.url);
    await page.getByLabel('Login name').fill(login);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await visit.shot(`${name}-login`);
    await visit.button('Log in').click();
    await visit.heading('Ask your documents').waitFor();
    if (name === 'mirrored') await page.evaluate(() => document.documentElement.setAttribute('dir', 'rtl'));
    await visit.fits();
    await visit.accessible(name);
    await visit.shot(`${name}-welcome`);
    if (name === 'phone') {
      await visit.button('Open the navigation').click();
      await visit.shot(`${name}-navigation`);
    }
    await page.locator('.conversations').getByRole('button', { name: QUESTION.slice(0, 20) }).first().click();
    await page.getByRole('button', { name: /^Source 1:/ }).first().click();
    await visit.heading('Sources').waitFor();
    await visit.fits();
    await visit.accessible(`${name}: sources`);
    await visit.shot(`${name}-sources`);
    assert.ok(await page.getByText('DEVELOPMENT, NOT CONFIDENTIAL').first().isVisible());
    visit.silent();
    await visit.context.close();
  }
}

async function keyboard(browser, options) {
  const visit = await browser.visit();
  const { page } = visit;
  const type = (text) => page.keyboard.type(text);
  const press = (key) => page.keyboard.press(key);
  await page.goto(`${options.url}/#enrol=${await options.enrolmentCode('owner')}`);
  await visit.heading('This appliance is not confidential').waitFor();
  await visit.tabTo('checkbox', /understand/);
  await press('Space');
  await visit.tabTo('button', 'Continue without confidentiality');
  await press('Enter');
  await visit.heading('Set up your account').waitFor();
  await visit.tabTo('textbox', 'Login name');
  await type(`keyboard-${Date.now()}`);
  await press('Tab');
  await type(PASSWORD);
  await press('Enter');
  await visit.heading('Ask your documents').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA', 'one can ask at once');
  await type(QUESTION);
  await press('Enter');
  await page.getByRole('button', { name: /source/ }).first().waitFor();
  await visit.tabTo('button', /^Source 1:/, { key: 'Shift+Tab' });
  await press('Enter');
  await visit.heading('Sources').waitFor();
  await press('Escape');
  await visit.heading('Sources').waitFor({ state: 'detached' });
  await visit.tabTo('button', /^Development/, { key: 'Shift+Tab' });
  await press('Enter');
  await visit.heading('What was verified').waitFor();
  await press('Escape');
  await page.reload();
  await visit.button('Log out').waitFor();
  await press('Tab');
  await visit.tabTo('link', 'Skip to the content', { key: 'Shift+Tab' });
  await press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
  await visit.tabTo('button', 'Log out', { key: 'Shift+Tab' });
  await press('Enter');
  await visit.heading('Log in').waitFor();
  visit.silent();
  await visit.context.close();
}
