// The page in a real Chromium, against a real enclave; started by tests/js/run.mjs.

import { Browser } from './browser.mjs';
import { journey } from './journey.mjs';
import { refusals } from './refusals.mjs';

export async function page(tap, options) {
  const browser = await Browser.start(options);
  try {
    await journey(tap, browser, options);
    await refusals(tap, browser, options);
  } finally {
    await browser.stop();
  }
}
