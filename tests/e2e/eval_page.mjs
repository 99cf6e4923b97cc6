// eval_page.mjs - the page of an evaluation in a real browser: what `eval --html` wrote, with
// a report made here inside, so that every figure and every strange name is known.
//
// Skipped without chromium and the program.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => existsSync(path));
let results = 0, failures = 0;

function check(name, ok, why) {
  results++;
  failures += !ok;
  console.log(`${ok ? 'ok' : 'not ok'} ${results} - ${name}`);
  if (!ok && why) console.log(String(why).replace(/^/gm, '# '));
}

if (!browser) {
  console.log('ok 1 - the page of an evaluation # SKIP chromium is not installed\n1..1');
  process.exit(0);
}

// ---- A report ----

const STRANGE = 'a<b>&"c\'</script><img src=x onerror="document.title=1">';
const CUTS = ['10', '50', '100', '500'];

function scores(at) {
  const every = (x) => Object.fromEntries(CUTS.map((c) => [c, x]));
  return { hit_rate: every(at), recall: every(at), mrr: at / 2, mrr_scaled: at / 2,
    ci: { hit_rate: every([at - 0.1, at + 0.1]), recall: every([at, at]), mrr: [at / 3, at], mrr_scaled: [at / 3, at] } };
}

function method(name, at, paired) {
  const bucket = { pairs: 40, queries: 20, ...scores(at) };
  return { method: name, ...scores(at), buckets: { cold: bucket, warm: { pairs: 0, queries: 0 }, hub: bucket },
    ...(paired ? { paired: { minuend: 'pinsage', ...paired } } : {}),
    curve: [[1, at / 9], [10, at / 3], [1000, at]] };
}

function reportOf() {
  const behind = scores(-0.02);
  behind.ci.hit_rate['10'] = [-0.05, 0.01];
  const first = method('pinsage', 0.5);
  first.cosines = { pairs: 9, mean: 0.1, deviation: 0.2, kurtosis: 0.434, quantiles: {}, bins: Array(64).fill(3) };
  return { pairs: 40, queries: 20, self_pairs: 2, repeated_pairs: 0, unknown_pairs: 0, bucket_edges: [3, 9],
    labels: { pairs: 40, common_board: 0.9, common_board_by_chance: 0.1 }, warnings: ['labels <favour> walks'],
    catalog: { generation: 'gen-000007', pins: 5000, boards: 70, edges: 900 },
    training: { epochs: 3, best_epoch: 2, pairs: 9, valid_pairs: 8, similarity: 'cosine', blocks: 'visual',
      curve: [3, 2, 1].map((loss) => ({ loss, violated: loss / 9, valid_hit_10: 0.1, valid_hit_100: 0.4 })) },
    blend: { pairs: 8, ahead: [0.021, 0.01, 0.03] },
    methods: [first, method(STRANGE, 0.4, scores(0.4)), method('popular', 0.3, behind)] };
}

// ---- The page ----

const dir = mkdtempSync(join(tmpdir(), 'pinsage-eval-'));

function source() { // what the program writes, put together here from the same three files
  const file = (name) => readFileSync('server/web/' + name, 'utf8');
  return file('eval.html').replace(/<link rel="icon".*\n/, '')
    .replace('<link rel="stylesheet" href="eval.css">', `<style>${file('eval.css')}</style>`)
    .replace('<script src="eval.js" defer></script>', '')
    .replace('</body>', () => `<script>${file('eval.js')}</script></body>`);
}

function shown(report, name) {
  const path = join(dir, name + '.html');
  writeFileSync(path, source().replace('type="application/json">', (tag) =>
    tag + JSON.stringify(report).replaceAll('<', '\\u003c')));
  const done = spawnSync(browser, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--user-data-dir=' + join(dir, 'profile'), '--dump-dom', 'file://' + path],
  { encoding: 'utf8', timeout: 120000 });
  return done.stdout.replace(/<script[\s\S]*?<\/script>/g, '').replace(/<style>[\s\S]*?<\/style>/g, '');
}

const times = (text, what) => text.split(what).length - 1;
const page = shown(reportOf(), 'whole');
check('it says how well the first method does, in a sentence',
  page.includes('pinsage finds the related pin among the first 100 for 50.0 % of the pairs'), page.slice(0, 900));
check('figures stand in the tables',
  page.includes('<td>50.0 <small>±10.0</small></td>') && page.includes('<td>0.43</td>'), page.slice(0, 3000));
check('differences say which way and whether they are real',
  page.includes('class="ahead">+40.0* <small>[+30.0, +50.0]</small>') && page.includes('-2.0 <small>[-5.0, +1.0]</small>'));
check('bars, curves, buckets, cosines and the training are drawn',
  times(page, '<svg ') === 4 + 1 + 2 + 1 + 3, times(page, '<svg '));
check('every drawing and every table has a name', times(page, 'aria-label=') === 11 + 2, times(page, 'aria-label='));
check('names and warnings are text, never markup',
  !page.includes('<img') && page.includes('a&lt;b&gt;&amp;') && page.includes('labels &lt;favour&gt; walks'));
check('the head tells the catalog, the training, the blend, and what was left out',
  ['gen-000007: 5,000 pins', 'epoch 2 of 3', 'gained +2.1 points', '2 of a pin with itself', '90.0 % of the test pairs']
    .every((words) => page.includes(words)));
check('no number is missing or endless', !/NaN|Infinity|undefined|\[object/.test(page), page.match(/.{60}(NaN|Infinity|undefined|\[object).{60}/));
const empty = shown({ ...reportOf(), methods: [], training: undefined, blend: undefined }, 'empty');
check('a report without methods is a page too',
  empty.includes('aria-busy="false"') && !/NaN|undefined|cannot be read/.test(empty), empty.slice(0, 900));
rmSync(dir, { recursive: true, force: true });
console.log(`1..${results}`);
process.exit(failures ? 1 : 0);
