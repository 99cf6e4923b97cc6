// page.mjs - the explorer in a real browser, against a real server with a small catalog.
//
// The browser is Debian's chromium, driven over its debugging pipe: no package, no port.
// What is skipped without: chromium, node (the runner's), the program.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';

const program = process.env.PINSAGE || 'build/pinsage';
const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => existsSync(path));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- TAP ----

let results = 0, failures = 0;

function tell(ok, name, why) {
  results++;
  failures += !ok;
  console.log(`${ok ? 'ok' : 'not ok'} ${results} - ${name}`);
  if (!ok && why) console.log(String(why).replace(/^/gm, '# '));
}

async function check(name, body) {
  try {
    await body();
    tell(true, name);
  } catch (error) {
    tell(false, name, error.stack || error);
  }
}

function equal(is, wanted) {
  if (is !== wanted) throw new Error(`is ${JSON.stringify(is)}, wanted ${JSON.stringify(wanted)}`);
}

function skipAll(why) {
  console.log(`ok 1 - the explorer in a browser # SKIP ${why}\n1..1`);
  process.exit(0);
}

// ---- A small catalog ----

const STRANGE = 'a/b c?"<é>&😀#%2F';
const MARKUP = '<img src=x onerror="document.title=1"><b>bold</b>';

function pinsOf() {
  const pins = [...Array(24).keys()].map((i) => ({
    id: `pin${i}`, title: `Pin number ${i}`, image: i === 3 ? 'missing.png' : `p${i % 20}.png`,
    boards: [`board ${i % 3}`, `all/of them`],
  }));
  pins.push({ id: STRANGE, title: MARKUP, image: '', boards: ['all/of them', 'board 1'] });
  return pins;
}

function png(red, green, blue) {
  const side = 16, raw = Buffer.alloc((side * 3 + 1) * side);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) raw.set([red, green, blue], y * (side * 3 + 1) + 1 + x * 3);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]), out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head),
    chunk('IDAT', deflateSync(raw)), chunk('IEND', Buffer.alloc(0))]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function npy(rows) {
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length}, ${rows[0].length}), }`;
  const head = Buffer.alloc(128, ' ');
  head.write('\x93NUMPY\x01\x00', 0, 'latin1');
  head.writeUInt16LE(118, 8);
  head.write(dict, 10);
  head[127] = 10;
  return Buffer.concat([head, Buffer.from(Float32Array.from(rows.flat()).buffer)]);
}

function writeCorpus(dir) {
  const pins = pinsOf();
  mkdirSync(join(dir, 'images'));
  writeFileSync(join(dir, 'pins.tsv'), 'pin\ttitle\ttext\timage\tauthor\n' +
    pins.map((p) => [p.id, p.title, 'some words', p.image, 'A. Uthor'].join('\t') + '\n').join(''));
  writeFileSync(join(dir, 'edges.tsv'), 'pin\tboard\n' +
    pins.flatMap((p) => p.boards.map((board) => `${p.id}\t${board}\n`)).join(''));
  writeFileSync(join(dir, 'visual.npy'), npy(pins.map((_, i) =>
    [...Array(8).keys()].map((j) => Math.sin(1 + i * 0.9 + j * (1 + (i % 5)))))));
  for (let i = 0; i < 20; i++)
    writeFileSync(join(dir, 'images', `p${i}.png`), png(10 * i, 255 - 9 * i, 90));
}

function makeCatalog(dir) {
  const catalog = join(dir, 'catalog');
  const run = (...args) => {
    const done = spawnSync(program, args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${args.join(' ')}: ${done.stderr}`);
  };
  run('import', catalog, '--pins', join(dir, 'pins.tsv'), '--edges', join(dir, 'edges.tsv'),
    '--feature', 'visual=' + join(dir, 'visual.npy'));
  run('index', catalog, '--vectors', 'visual');
  return catalog;
}

// ---- The server ----

function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

async function startServer(dir) {
  const catalog = makeCatalog(dir), port = await freePort(), url = `http://127.0.0.1:${port}`;
  const child = spawn(program, ['serve', catalog, '--listen', `127.0.0.1:${port}`,
    '--images', join(dir, 'images'), '--drain-delay', '0s'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (data) => { log = (log + data).slice(-4000); });
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null) throw new Error('the server ended: ' + log);
    if (await fetch(url + '/readyz').then((answer) => answer.ok, () => false)) return { url, child };
    await sleep(50);
  }
  throw new Error('the server is not ready: ' + log);
}

// ---- The browser ----

class Browser {
  constructor(profile) {
    this.child = spawn(browser, ['--headless=new', '--no-sandbox', '--disable-gpu',
      '--disable-dev-shm-usage', '--no-first-run', '--remote-debugging-pipe',
      '--window-size=1200,900', `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.waiting = new Map();
    this.complaints = [];
    this.last = 0;
    let rest = '';
    this.child.stdio[4].setEncoding('utf8').on('data', (data) => {
      const parts = (rest + data).split('\0');
      rest = parts.pop();
      parts.forEach((part) => this.onMessage(JSON.parse(part)));
    });
  }

  onMessage(message) {
    const { method, params } = message;
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.level === 'error')
      this.complaints.push(params.entry.text + ' ' + (params.entry.url || ''));
    const waiter = this.waiting.get(message.id);
    if (!waiter) return;
    this.waiting.delete(message.id);
    if (message.error) waiter.fail(new Error(message.error.message));
    else waiter.done(message.result);
  }

  send(method, params = {}) {
    const id = ++this.last;
    this.child.stdio[3].write(JSON.stringify({ id, method, params, sessionId: this.session }) + '\0');
    return new Promise((done, fail) => this.waiting.set(id, { done, fail }));
  }

  async open(url) {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    this.session = (await this.send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
    for (const domain of ['Page', 'Runtime', 'Log']) await this.send(domain + '.enable');
    await this.send('Page.navigate', { url });
  }

  async eval(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate',
      { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception.description);
    return result.value;
  }

  // Waits until the expression is true, which is how a reader waits.
  async until(expression) {
    for (let i = 0; i < 100; i++) {
      if (await this.eval(`Boolean(${expression})`).catch(() => false)) return;
      await sleep(50);
    }
    throw new Error(`never true: ${expression}\n` + await this.eval('document.body.innerText'));
  }

  async press(key, code = key, text) {
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, code, text });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key, code });
  }
}

// ---- The tests ----

const heading = `document.querySelector('h1')?.textContent`;
const settled = `!document.querySelector('main.waiting')`;

async function testPage(page, url) {
  await check('the start shows pins to begin with', () =>
    page.until(`${settled} && document.querySelectorAll('.grid a[href^="#/pin/"]').length > 3`));

  await check('a click on a picture leads to the pin, its boards and related pins', async () => {
    await page.eval(`location.hash = '#/pin/pin1'`);
    await page.until(`${heading} === 'Pin number 1' && document.querySelectorAll('.grid li').length`);
    const title = await page.eval(`document.querySelector('.grid .name').textContent`);
    await page.eval(`document.querySelector('.grid a').click()`);
    await page.until(`${heading} === ${JSON.stringify(title)}`);
    equal(await page.eval(`document.activeElement.tagName`), 'H1');
    equal(await page.eval(`document.title`), title + ' · PinSage');
  });

  await check('back returns to the pin before', async () => {
    await page.eval('history.back()');
    await page.until(`${heading} === 'Pin number 1' && ${settled}`);
  });

  await check('a board shows its pins', async () => {
    await page.eval(`[...document.querySelectorAll('.boards a')]
      .find((a) => a.textContent === 'board 1').click()`);
    await page.until(`${heading} === 'board 1'`);
    equal(await page.eval(`document.querySelectorAll('.grid li').length`), 9);
  });

  await check('a deep link to a strange id works, and its title is text, not markup', async () => {
    await page.send('Page.navigate', { url: 'about:blank' });
    await page.send('Page.navigate', { url: `${url}/#/pin/${encodeURIComponent(STRANGE)}` });
    await page.until(`${heading} === ${JSON.stringify(MARKUP)}`);
    equal(await page.eval(`document.querySelector('h1').children.length`), 0);
    equal(await page.eval(`document.querySelector('.id').textContent`), STRANGE);
  });

  await check('another method asks for another ranking and is part of the address', async () => {
    await page.eval(`(() => { const m = document.getElementById('method'); m.value = 'pixie';
      m.dispatchEvent(new Event('change')); })()`);
    await page.until(`location.hash.endsWith('?by=pixie') && ${settled}`);
    await page.until(`/by pixie/.test(document.getElementById('status').textContent)`);
  });

  await check('without its picture a pin shows the beginning of its title', async () => {
    await page.eval(`location.hash = '#/pin/pin3'`);
    await page.until(`document.querySelector('.self .picture')?.textContent === 'PI'`);
  });

  await check('the slash key goes to the search box, Enter to the pin', async () => {
    await page.press('/', 'Slash', '/');
    equal(await page.eval('document.activeElement.id'), 'pin');
    await page.send('Input.insertText', { text: 'pin7' });
    await page.press('Enter', 'Enter', '\r');
    await page.until(`${heading} === 'Pin number 7'`);
  });

  await check('everything can be reached with the tab key', async () => {
    await page.until(settled);
    const wanted = ['#pin', '#find button', '#method', '.boards a', '.grid a'];
    const reached = new Set();
    for (let i = 0; i < 60 && reached.size < wanted.length; i++) {
      await page.press('Tab', 'Tab');
      for (const part of wanted)
        if (await page.eval(`document.activeElement.matches('${part}')`)) reached.add(part);
    }
    equal([...reached].sort().join(', '), wanted.sort().join(', '));
  });

  await check('why these pins is told when it is asked', async () => {
    await page.eval(`location.hash = '#/pin/pin1'`);
    await page.until(`${heading} === 'Pin number 1' && ${settled}`);
    await page.eval(`document.querySelector('.why').open = true`);
    await page.until(`/The vector is/.test(document.querySelector('.why').textContent)`);
  });

  await check('two answers are compared blindly, a vote is kept, and the names are told', async () => {
    await page.eval(`location.hash = '#/compare/pin1?left=visual&right=pixie'`);
    await page.until(`document.querySelectorAll('.sides .grid li').length > 2 && ${settled}`);
    equal(await page.eval(`/visual|pixie/.test(document.querySelector('.sides').textContent)`), false);
    await page.eval(`document.querySelector('.vote button').click()`);
    await page.until(`/A was (visual|pixie), B was (visual|pixie)\\. 1 vote /.test(main.textContent)`);
    await page.eval(`[...document.querySelectorAll('a')]
      .find((a) => a.textContent === 'Next pin').click()`);
    await page.until(`${heading} !== 'Pin number 1' && document.querySelector('.vote button')`);
  });

  await check('nothing complained: no script error, no blocked or missing file', () => {
    const odd = page.complaints.filter((text) => !text.includes('missing.png'));
    equal(odd.join('\n'), '');
  });

  await check('an unknown pin is answered in words', async () => {
    await page.eval(`location.hash = '#/pin/nobody'`);
    await page.until(`document.querySelector('[role=alert]')?.textContent.length > 10`);
  });
}

async function testStopped(page, server) {
  await check('a stopped server is said in words', async () => {
    server.child.kill('SIGTERM');
    await new Promise((done) => server.child.on('exit', done));
    await page.eval(`location.hash = '#/pin/pin2'`);
    await page.until(`/does not answer/.test(document.querySelector('[role=alert]')?.textContent)`);
  });
}

if (!existsSync(program)) skipAll(`${program} is not built`);
if (!browser) skipAll('chromium is not installed');
const dir = mkdtempSync(join(tmpdir(), 'pinsage-page-'));
let server, page;
try {
  writeCorpus(dir);
  server = await startServer(dir);
  page = new Browser(join(dir, 'profile'));
  await page.open(server.url + '/');
  await testPage(page, server.url);
  await testStopped(page, server);
} catch (error) {
  tell(false, 'the page can be tested', error.stack);
} finally {
  if (server) server.child.kill('SIGKILL');
  if (page) {
    page.child.kill('SIGKILL');
    await sleep(200);
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`1..${results}`);
process.exit(failures ? 1 : 0);
