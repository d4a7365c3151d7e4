/*
 * Plays the service that is replaced: puppeteer opens WhatsApp Web in a user data folder of its own, as whatsapp-web.js does.
 *
 *   node old-service.mjs FOLDER URL CHROME
 *
 * Prints one JSON line for each thing that happens; closes the browser and ends on SIGINT.
 */
import puppeteer from 'puppeteer-core';

const [userDataDir, url, executablePath] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
// What the old service gives to puppeteer; whatsapp-web.js adds the user agent.
const args = [
  '--no-sandbox', '--disable-setuid-sandbox', '--disable-dev-shm-usage', '--disable-accelerated-2d-canvas', '--no-first-run', '--no-zygote', '--disable-gpu',
  '--user-agent=Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/101.0.4951.67 Safari/537.36',
];

const told = new Promise((resolve) => process.once('SIGINT', resolve));
const browser = await puppeteer.launch({ executablePath, userDataDir, headless: true, handleSIGINT: false, args });
try {
  const [page] = await browser.pages();
  await page.goto(url);
  await page.waitForSelector('[data-ref]');
  say({ pid: browser.process().pid, code: await page.$eval('[data-ref]', (element) => element.dataset.ref) });
  await page.waitForSelector('#pane-side');
  say({ linked: true });
  await told;
} finally {
  await browser.close();
}
