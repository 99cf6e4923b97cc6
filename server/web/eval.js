/* eval.js - an evaluation as tables and drawings.
 *
 * The report is what `pinsage eval --json` prints. It stands in the page itself when
 * `eval --html` wrote it, and is asked of the server (eval.json) otherwise. Tables come
 * first, and bars carry their figures and names, so that nothing that matters is told by a
 * shape or a colour alone. Names are put in as text, never as markup.
 */
'use strict';

const COLOURS = 12;
const BUCKETS = { cold: 'Cold', warm: 'Warm', hub: 'Hub' };
const SVG = 'http://www.w3.org/2000/svg';
const percent = (x, digits = 1) => (100 * x).toFixed(digits);
const signed = (x, digits) => (x < 0 ? '' : '+') + x.toFixed(digits);
const count = (n) => Number(n).toLocaleString('en');

/* ------------------------------- Elements --------------------------------- */

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const html = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);
const soft = (...text) => html('p', { class: 'soft' }, ...text);
const colour = (i) => 's' + (i % COLOURS);

/* -------------------------------- Tables ---------------------------------- */

function table(caption, heads, rows) {
  return html('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption },
    html('table', {}, html('caption', {}, caption),
      html('thead', {}, html('tr', {}, heads.map((head) => html('th', { scope: 'col' }, head)))),
      html('tbody', {}, rows)));
}

function row(name, first, cells) {
  return html('tr', { class: first ? 'first' : undefined }, html('th', { scope: 'row' }, name), cells);
}

function meanCell(mean, [low, high], unit, digits) {
  return html('td', {}, (unit * mean).toFixed(digits) + ' ',
    html('small', {}, '±' + (unit * (high - low) / 2).toFixed(digits)));
}

function differenceCell(mean, [low, high], unit, digits) {
  const side = low > 0 ? 'ahead' : high < 0 ? 'behind' : '';
  return html('td', { class: side }, signed(unit * mean, digits) + (side ? '* ' : ' '),
    html('small', {}, `[${signed(unit * low, digits)}, ${signed(unit * high, digits)}]`));
}

function scoresTable(report, cuts) {
  const rows = report.methods.map((m, i) => row(m.method, i === 0, [
    cuts.map((c) => meanCell(m.hit_rate[c], m.ci.hit_rate[c], 100, 1)),
    meanCell(m.mrr, m.ci.mrr, 1, 3), meanCell(m.mrr_scaled, m.ci.mrr_scaled, 1, 3),
    html('td', {}, m.cosines ? m.cosines.kurtosis.toFixed(2) : '')]));
  return table('Hit rates in percent, ± half of the 95 % interval over queries',
    ['method', ...cuts.map((c) => 'hit@' + c), 'MRR', 'scaled MRR', 'kurtosis'], rows);
}

function pairedTable(report, cuts) {
  if (report.methods.length < 2) return [];
  const rows = report.methods.slice(1).map((m) => row(m.method, false, [
    cuts.map((c) => differenceCell(m.paired.hit_rate[c], m.paired.ci.hit_rate[c], 100, 1)),
    differenceCell(m.paired.mrr, m.paired.ci.mrr, 1, 3)]));
  return [html('h2', {}, 'Is the difference real?'),
    table(`${report.methods[0].method} minus each other method, in points, with the 95 % interval ` +
      'of a paired bootstrap; * where it excludes 0',
    ['method', ...cuts.map((c) => 'hit@' + c), 'MRR'], rows)];
}

/* ------------------------------- Drawings --------------------------------- */

function scale(from, to, begin, end, logarithmic) {
  const place = logarithmic ? Math.log : (x) => x;
  const width = place(to) - place(from) || 1;
  const at = (x) => begin + (place(x) - place(from)) / width * (end - begin);
  return Object.assign((x) => +at(x).toFixed(1), { from, to, begin, end });
}

// 1, 2 or 5 times a power of ten, so that a range is cut into about n.
function step(range, n) {
  const rough = Math.max(range, 1e-9) / n, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999) || power;
}

const drawing = (width, height, label, ...parts) =>
  svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label }, ...parts);
const word = (kind, x, y, text) => svg('text', { class: kind, x, y }, text);
const line = (kind, x1, y1, x2, y2) => svg('line', { class: kind, x1, y1, x2, y2 });
const path = (kind, points, closed) =>
  svg('path', { class: kind, d: 'M' + points.map((p) => p.join(' ')).join('L') + (closed ? 'Z' : '') });

function bars(methods, title, rateOf) {
  const width = 533, left = 150, top = 30, height = top + 24 * methods.length + 4;
  const most = Math.max(0.001, ...methods.map((m) => rateOf(m).high));
  const x = scale(0, most, left, width - 78);
  return drawing(width, height, title, word('title', left, 16, title),
    line('axis', left, top - 6, left, height - 4),
    methods.map((m, i) => {
      const { mean, low, high } = rateOf(m), y = top + 24 * i, middle = y + 8;
      return [word('end', left - 8, y + 13, m.method),
        svg('rect', { class: 'bar ' + colour(i), x: left, y, width: Math.max(0, x(mean) - left), height: 16 }),
        line('whisker', x(low), middle, x(high), middle),
        line('whisker', x(low), middle - 4, x(low), middle + 4),
        line('whisker', x(high), middle - 4, x(high), middle + 4),
        word('figure', x(high) + 7, y + 13, percent(mean))];
    }).flat());
}

function yAxis(y, left, right, unit) {
  const by = step((y.to - y.from) * unit, 5) / unit, digits = by * unit < 0.1 ? 2 : by * unit < 1 ? 1 : 0;
  const parts = [];
  for (let v = Math.ceil(y.from / by - 1e-9) * by; v <= y.to + by * 1e-6; v += by)
    parts.push(line('grid', left, y(v), right, y(v)), word('tick end', left - 6, y(v) + 4, (v * unit).toFixed(digits)));
  return parts;
}

// Heights of the names at the ends of curves: at the curve, but a line apart.
function apart(heights, gap, top, bottom) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]), at = [...heights];
  order.forEach((i, n) => { at[i] = Math.max(at[i], n ? at[order[n - 1]] + gap : top); });
  [...order].reverse().forEach((i, n, back) => { at[i] = Math.min(at[i], n ? at[back[n - 1]] - gap : bottom); });
  return at;
}

function curves(methods) {
  const width = 1080, height = 440, last = methods[0].curve.at(-1)[0];
  const x = scale(1, last, 52, width - 150, true);
  const y = scale(0, Math.max(0.001, ...methods.map((m) => m.curve.at(-1)[1])), height - 44, 14);
  const ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].filter((k) => k <= last);
  const ends = methods.map((m) => y(m.curve.at(-1)[1])), names = apart(ends, 15, y.end, y.begin);
  return drawing(width, height, 'Hit rate of each method over K', yAxis(y, x.begin, x.end, 100),
    ticks.map((k) => [line('axis', x(k), y.begin, x(k), y.begin + 4), word('tick middle', x(k), y.begin + 18, k)]).flat(),
    methods.map((m, i) => path((i ? 'line ' : 'line strong ') + colour(i), m.curve.map(([k, rate]) => [x(k), y(rate)]))).reverse(),
    methods.map((m, i) => [line('lead ' + colour(i), x.end + 2, ends[i], x.end + 14, names[i]),
      word('name ' + colour(i), x.end + 18, names[i] + 4, m.method)]).flat(),
    word('tick middle', (x.begin + x.end) / 2, height - 6, 'K'));
}

function cosines(m, i) {
  const width = 350, height = 150, c = m.cosines, n = c.bins.length;
  const x = scale(-1, 1, 12, width - 12), y = scale(0, Math.max(1, ...c.bins), height - 24, 38);
  return drawing(width, height, `Cosines of ${m.method}: kurtosis ${c.kurtosis.toFixed(2)}`,
    word('title', 12, 16, m.method),
    word('figure', 12, 32, `kurtosis ${c.kurtosis.toFixed(2)}, mean ${c.mean.toFixed(2)}`),
    path('area ' + colour(i), [[x.begin, y.begin],
      ...c.bins.map((bin, b) => [x(-1 + (b + 0.5) * 2 / n), y(bin)]), [x.end, y.begin]], true),
    line('axis', x.begin, y.begin, x.end, y.begin),
    [-1, -0.5, 0, 0.5, 1].map((t) => word('tick middle', x(t), height - 8, t)));
}

function panel(curve, best, { title, series, unit, free }) {
  const width = 350, height = 240, values = series.flatMap(([key]) => curve.map((e) => e[key] || 0));
  let least = free ? Math.min(...values) : 0;
  const most = Math.max(1e-6, ...values);
  if (free) least -= (most - least) / 10;
  const x = scale(1, curve.length, 56, width - 14), y = scale(least, most, height - 34, 32);
  const by = Math.max(1, step(curve.length, 8)), epochs = [];
  for (let e = by; e <= curve.length; e += by) epochs.push(word('tick middle', x(e), y.begin + 18, e));
  return drawing(width, height, title, word('title', 12, 16, title), yAxis(y, x.begin, x.end, unit), epochs,
    best >= 1 && best <= curve.length ? line('best', x(best), 30, x(best), y.begin) : null,
    series.map(([key, kind]) => path('line strong ' + kind, curve.map((e, i) => [x(i + 1), y(e[key] || 0)]))));
}

const PANELS = [
  { title: 'Loss by epoch', series: [['loss', 's1']], unit: 1, free: true },
  { title: 'Violated by negatives, %', series: [['violated', 's3']], unit: 100 },
  { title: 'Valid hit rate @10 (red), @100 (blue), %',
    series: [['valid_hit_10', 's0'], ['valid_hit_100', 's1']], unit: 100 },
];

/* -------------------------------- The page -------------------------------- */

function verdict(report, cuts) {
  const [first, ...others] = report.methods, at = cuts[Math.floor(cuts.length / 2)];
  const behind = others.filter((m) => m.paired.ci.hit_rate[at][1] < 0).map((m) => m.method);
  const ahead = others.filter((m) => m.paired.ci.hit_rate[at][0] > 0).length;
  const share = `${first.method} finds the related pin among the first ${at} for ${percent(first.hit_rate[at])} % of the pairs`;
  if (!others.length) return share + '.';
  if (behind.length) return `${share}, and is behind ${behind.join(', ')}.`;
  return `${share}, ahead of ${ahead} of ${others.length} other methods and behind none.`;
}

function head(report) {
  const c = report.catalog, t = report.training, b = report.blend, out = [], left = report.left_out || {};
  if (c) out.push(soft(`${c.generation}: ${count(c.pins)} pins, ${count(c.boards)} boards, ${count(c.edges)} edges; ` +
    `${count(report.pairs)} test pairs of ${count(report.queries)} queries, each ranked among all other pins.`));
  const gone = [['self_pairs', 'of a pin with itself'], ['repeated_pairs', 'repeated'], ['unknown_pairs', 'of unknown pins']]
    .filter(([key]) => report[key]).map(([key, what]) => `${count(report[key])} ${what}`);
  if (gone.length) out.push(soft(`Pairs left out: ${gone.join(', ')}.`));
  if (t && t.epochs) out.push(soft(`The model compares by ${t.similarity}, from blocks ${t.blocks || '(none)'}; trained on ` +
    `${count(t.pairs)} pairs, chosen by ${count(t.valid_pairs)} valid pairs: epoch ${t.best_epoch} of ${t.epochs}.`));
  if (b) out.push(soft(`The blend gained ${signed(100 * b.ahead[0], 1)} points of hit rate @100 over the model alone on ` +
    `${count(b.pairs)} valid pairs [${signed(100 * b.ahead[1], 1)}, ${signed(100 * b.ahead[2], 1)}].`));
  if (report.warnings.length) out.push(html('div', { class: 'warn', role: 'note' },
    html('p', {}, html('strong', {}, 'These labels may favour a method.')),
    report.warnings.map((text) => html('p', {}, text + '.'))));
  return out;
}

function bucketCharts(report, cut) {
  const edges = report.bucket_edges;
  return [html('h2', {}, 'By how often the query was saved'),
    soft(`Cold: on fewer than ${edges[0]} boards; hub: on ${edges[1]} or more.`),
    html('div', { class: 'charts' }, Object.entries(BUCKETS)
      .filter(([key]) => report.methods[0].buckets[key].queries)
      .map(([key, name]) => bars(report.methods,
        `${name} queries (${count(report.methods[0].buckets[key].pairs)} pairs): hit rate @${cut}, %`,
        (m) => intervalOf(m.buckets[key], cut))))];
}

function intervalOf(scores, cut) {
  const [low, high] = scores.ci.hit_rate[cut];
  return { mean: scores.hit_rate[cut], low, high };
}

function show(report) {
  const main = document.getElementById('content'), methods = report.methods;
  const cuts = methods.length ? Object.keys(methods[0].hit_rate) : [];
  const withVectors = methods.map((m, i) => [m, i]).filter(([m]) => m.cosines);
  if (report.catalog) document.title = 'PinSage evaluation, ' + report.catalog.generation;
  if (methods.length) main.append(html('p', { class: 'verdict' }, verdict(report, cuts)));
  main.append(...head(report));
  if (methods.length) main.append(scoresTable(report, cuts), ...pairedTable(report, cuts),
    html('h2', {}, 'Hit rates with their intervals'),
    html('div', { class: 'charts' }, cuts.map((c) => bars(methods, `Hit rate @${c}, %`, (m) => intervalOf(m, c)))),
    html('h2', {}, 'Hit rate over K'),
    soft('The share of test pairs, in percent, whose related pin is among the first K.'),
    html('div', { class: 'charts' }, curves(methods)), ...bucketCharts(report, cuts[Math.floor(cuts.length / 2)]));
  if (withVectors.length) main.append(html('h2', {}, 'How vectors spread'),
    soft(`Cosines of ${count(withVectors[0][0].cosines.pairs)} pairs of pins taken at random. Vectors that tell pins ` +
      'apart make a wide hill; a narrow peak with long tails has a high kurtosis. The paper reports 0.43 for PinSage, ' +
      '1.20 for visual and 2.49 for annotation vectors.'),
    html('div', { class: 'charts' }, withVectors.map(([m, i]) => cosines(m, i))));
  const curve = report.training && report.training.curve;
  if (curve && curve.length > 1) main.append(html('h2', {}, 'How the model was trained'),
    soft('The dashed line is the epoch whose weights were kept.'),
    html('div', { class: 'charts' }, PANELS.map((p) => panel(curve, report.training.best_epoch, p))));
  if (report.labels.pairs) main.append(html('h2', {}, 'About the labels'),
    html('p', {}, `${percent(report.labels.common_board)} % of the test pairs lie on a common board; ` +
      `${percent(report.labels.common_board_by_chance)} % would if queries and related pins were matched at random. ` +
      'Labels that stem from saves, or from lists that a recommender had shown, favour what made them: the paper left ' +
      'Pixie out of its table for that reason.'));
  main.setAttribute('aria-busy', 'false');
}

async function start() {
  const main = document.getElementById('content'), inside = document.getElementById('report').textContent;
  try {
    if (inside.trim()) return show(JSON.parse(inside));
    const answer = await fetch('eval.json');
    if (answer.ok) return show(await answer.json());
    const problem = await answer.json().catch(() => ({}));
    main.append(html('p', { class: 'warn' }, problem.message || 'The server answered with status ' + answer.status + '.'));
  } catch (error) {
    main.append(html('p', { class: 'warn', role: 'alert' }, 'The report cannot be read: ' + error.message));
  }
  main.setAttribute('aria-busy', 'false');
}

start();
