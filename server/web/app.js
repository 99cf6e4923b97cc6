/* app.js - the explorer: from pin to pin, and to the boards they share.
 *
 * The address after '#' says what is shown, so links, the back button and bookmarks need
 * no code of their own:
 *
 *     #/                    a few pins to start from
 *     #/pin/ID?by=METHOD    a pin, its boards, and what is related to it
 *     #/board/NAME          the pins of a board
 *     #/compare/ID          two methods' answers side by side (compare.js)
 *
 * Everything shown comes from GET /version, /pins, /related and /boards, and is put into
 * the page as text, never as markup: titles are written by strangers.
 */
'use strict';

const RELATED = 48;      // pins asked for
const BOARD_STEP = 200;  // pins of a board asked for at once
// What the methods rank by, for those who do not know their names.
const METHODS = {
  pinsage: 'what was learned', blend: 'all of them', visual: 'looks', annotation: 'words',
  pixie: 'boards', popular: 'popularity',
};
const byId = (id) => document.getElementById(id);
const main = byId('content');
let asked = null;        // the request under way, to be dropped for a newer one

/* ------------------------------- Addresses -------------------------------- */

function pinAddress(pin, method) {
  const by = method ? '?by=' + encodeURIComponent(method) : '';
  return '#/pin/' + encodeURIComponent(pin) + by;
}

function boardAddress(board) {
  return '#/board/' + encodeURIComponent(board);
}

// {kind, name, method, left, right} of an address; kind '' is the start, null is not one of ours.
function readAddress(hash) {
  const match = /^#\/(?:(pin|board|compare)\/([^?]+))?(?:\?(.*))?$/.exec(hash || '#/');
  if (!match) return { kind: null };
  const query = new URLSearchParams(match[3] || '');
  const [method, left, right] = ['by', 'left', 'right'].map((name) => query.get(name) || '');
  try {
    return { kind: match[1] || '', name: decodeURIComponent(match[2] || ''), method, left, right };
  } catch {
    return { kind: null };
  }
}

/* ------------------------------- The server ------------------------------- */

// What went wrong, in words for the reader.
function problemOf(status, body) {
  if (body && body.message) return body.message;
  if (status === 404) return 'The server does not know this.';
  if (status === 429 || status === 503) return 'The server is busy. Try again in a moment.';
  return 'The server answered with status ' + status + '.';
}

// The ids near a misspelt one, which come as a detail of the error.
function nearOf(body) {
  const pins = ((body && body.details) || []).map((detail) => detail.debug && detail.debug.pins);
  return pins.find(Array.isArray) || [];
}

async function ask(path, signal) {
  let answer;
  try {
    answer = await fetch(path, { signal, headers: { Accept: 'application/json' } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The server does not answer. Is it still running?');
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok)
    throw Object.assign(new Error(problemOf(answer.status, body)), { near: nearOf(body) });
  if (!body) throw new Error('The server answered with something that is not JSON.');
  return body;
}

function askRelated(pin, method, signal) {
  const query = new URLSearchParams({ k: RELATED });
  if (method) query.set('method', method);
  return ask('/related/' + encodeURIComponent(pin) + '?' + query, signal);
}

/* ------------------------------- The page --------------------------------- */

// element('a', {href: '#/'}, 'text', child, ...): children that are null are left out.
function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function initialsOf(text) {
  return (text || '?').trim().slice(0, 2).toUpperCase();
}

function showInitials(box, title) {
  box.classList.add('none');
  box.replaceChildren(initialsOf(title));
}

// The title stands beside every picture, so for a screen reader the picture adds nothing.
function picture(image, title) {
  const box = element('div', { class: 'picture', 'aria-hidden': 'true' });
  if (!image) {
    showInitials(box, title);
    return box;
  }
  const img = element('img', { alt: '', loading: 'lazy', decoding: 'async' });
  img.addEventListener('error', () => showInitials(box, title));
  img.src = image;
  box.append(img);
  return box;
}

function scoreText(score) {
  return Math.abs(score) >= 100 ? score.toFixed(0) : score.toPrecision(3);
}

// The bar is a share of the best score: methods have scales of their own.
function scoreLine(score, best) {
  if (typeof score !== 'number') return null;
  const bar = element('b');
  bar.style.width = Math.max(0, Math.min(1, best > 0 ? score / best : 0)) * 100 + '%';
  return element('span', { class: 'score' }, element('i', { 'aria-hidden': 'true' }, bar),
    element('span', { class: 'unseen' }, 'score '), scoreText(score));
}

function tile(result, method, best) {
  const title = result.title || result.pin;
  const caption = element('span', { class: 'caption' },
    element('span', { class: 'name' }, title), scoreLine(result.score, best));
  const link = element('a', { href: pinAddress(result.pin, method), title: result.pin },
    picture(result.image, title), caption);
  return element('li', null, link);
}

function grid(results, method) {
  const best = Math.max(0, ...results.map((result) => result.score || 0));
  return element('ul', { class: 'grid' }, ...results.map((result) => tile(result, method, best)));
}

// Pins with one image are one picture under several ids: the first stands for them. `seen`
// holds the images shown so far and grows.
function withoutCopies(results, seen) {
  return results.filter((result) => {
    const copy = result.image && seen.has(result.image);
    seen.add(result.image);
    return !copy;
  });
}

function heading(text) {
  return element('h1', { tabindex: '-1' }, text);
}

function boardList(boards) {
  if (!boards || !boards.length) return element('p', null, 'On no board.');
  const links = boards.map((board) =>
    element('li', null, element('a', { href: boardAddress(board) }, board)));
  return element('ul', { class: 'boards' }, ...links);
}

function metadataList(metadata) {
  const rows = Object.entries(metadata || {}).filter(([, value]) => value);
  if (!rows.length) return null;
  return element('dl', null, ...rows.flatMap(([name, value]) =>
    [element('dt', null, name), element('dd', null, String(value))]));
}

/* ------------------------------- The views -------------------------------- */

// Each takes the address and a signal, and gives {title, say, nodes}.

function aboutSelf(pin) {
  const title = pin.title || pin.pin;
  const text = pin.text && pin.text !== pin.title ? element('p', null, pin.text) : null;
  return element('section', { class: 'self', 'aria-label': 'The pin' },
    picture(pin.image, title), heading(title), element('p', { class: 'id' }, pin.pin), text,
    metadataList(pin.metadata), element('h2', null, 'Boards'), boardList(pin.boards));
}

function relatedSection(pin, list, method) {
  return element('section', { 'aria-label': 'Related pins' }, element('h2', null, 'Related'),
    list.length ? grid(list, method) : element('p', null, 'Nothing is related to it this way.'),
    whyDetails(pin), element('p', null,
      element('a', { href: '#/compare/' + encodeURIComponent(pin) }, 'Compare two methods')));
}

/* ------------------------------- Why -------------------------------------- */

function neighbourLine(neighbour) {
  const boards = neighbour.boards || [];
  return element('li', null, element('a', { href: pinAddress(neighbour.pin) }, neighbour.pin),
    ` ${Math.round(neighbour.weight * 100)} %` + (boards.length ? ', both on ' : ''),
    ...boards.flatMap((board, i) =>
      [i ? ', ' : '', element('a', { href: boardAddress(board) }, board)]));
}

function aboutVector(why) {
  const age = why.vector_age_seconds;
  const days = age > 172800 ? Math.round(age / 86400) + ' days' : Math.round(age) + ' s';
  return `The vector is ${days} old` + (why.stale ? ', and the boards have changed since.' : '.');
}

// Asked for only when it is opened.
function whyDetails(pin) {
  const box = element('div');
  const details = element('details', { class: 'why' }, element('summary', null, 'Why these?'), box);
  details.addEventListener('toggle', async () => {
    if (!details.open || box.hasChildNodes()) return;
    const answer = await ask('/related/' + encodeURIComponent(pin) + '?k=1&explain=true')
      .catch((error) => error);
    if (answer instanceof Error) return box.replaceChildren(problem(answer));
    const why = answer.explanation || {};
    box.replaceChildren(element('p', null, aboutVector(why)), (why.neighbours || []).length
      ? element('ul', null, ...why.neighbours.map(neighbourLine))
      : element('p', null, 'No neighbours: it stands on its content alone.'));
  });
  return details;
}

/* ------------------------------- Pins and boards -------------------------- */

function pinNodes(pin, beside) {
  return [element('div', { class: 'pin' }, aboutSelf(pin), beside)];
}

function aboutAnswer(related, shown, spent) {
  const copies = related.results.length - shown;
  return `${shown} related pictures` + (copies ? ` (and ${copies} copies, not shown)` : '') +
    ` by ${related.method} (${related.source}), ${related.generation}, ${spent} ms`;
}

// The pin is worth showing even when the method has nothing to say of it.
async function pinView(address, signal) {
  const from = performance.now();
  const [pin, related] = await Promise.all([
    ask('/pins/' + encodeURIComponent(address.name), signal),
    askRelated(address.name, address.method, signal).catch((error) => error),
  ]);
  if (related instanceof Error && related.name === 'AbortError') throw related;
  remember(pin.pin);
  const title = pin.title || pin.pin;
  if (related instanceof Error)
    return { title, say: '', nodes: pinNodes(pin, problem(related)) };
  const list = withoutCopies(related.results, new Set([pin.image]));
  return {
    title,
    say: aboutAnswer(related, list.length, Math.round(performance.now() - from)),
    nodes: pinNodes(pin, relatedSection(pin.pin, list, address.method)),
  };
}

function askBoard(name, offset, signal) {
  return ask('/boards/' + encodeURIComponent(name) + `?limit=${BOARD_STEP}&offset=${offset}`, signal);
}

// Adds the next pins of a board to the list, and hides itself after the last.
function moreButton(board, list, seen) {
  const button = element('button', { type: 'button' }, 'Show more');
  let at = board.pins.length;
  button.hidden = at >= board.count;
  button.addEventListener('click', async () => {
    button.disabled = true;
    const next = await askBoard(board.board, at).catch((error) => error);
    button.disabled = false;
    if (next instanceof Error) return tell(next.message);
    const first = list.children.length;
    list.append(...withoutCopies(next.pins, seen).map((pin) => tile(pin, '', 0)));
    at += next.pins.length;
    button.hidden = at >= board.count || !next.pins.length;
    tell(aboutBoard(board.count, at, list.children.length));
    if (list.children[first]) list.children[first].firstChild.focus();
  });
  return button;
}

function aboutBoard(count, read, shown) {
  const some = read < count ? `, the first ${read} here` : '';
  return `${count} pins on this board${some}` +
    (read > shown ? ` (${read - shown} of them copies, not shown)` : '');
}

async function boardView(address, signal) {
  const board = await askBoard(address.name, 0, signal);
  const seen = new Set();
  const list = grid(withoutCopies(board.pins, seen), '');
  return {
    title: board.board,
    say: aboutBoard(board.count, board.pins.length, list.children.length),
    nodes: [heading(board.board), list, element('p', null, moreButton(board, list, seen))],
  };
}

// A sample pin that has meanwhile been deleted is no reason to show nothing.
async function startView(address, signal) {
  const { sample = [] } = await ask('/version', signal);
  const pins = await Promise.all(sample.map((pin) =>
    ask('/pins/' + encodeURIComponent(pin), signal).catch(() => null)));
  signal.throwIfAborted();
  const found = pins.filter(Boolean);
  found.forEach((pin) => remember(pin.pin));
  return {
    title: 'Related pins',
    say: '',
    nodes: [heading('Pick a picture to see what is related'), found.length ? grid(found, '')
      : element('p', null, 'Type the id of a pin above.')],
  };
}

/* ------------------------------- Navigation ------------------------------- */

function remember(pin) {
  const list = byId('seen');
  for (const option of list.children) if (option.value === pin) return;
  list.prepend(element('option', { value: pin }));
}

function nearList(near) {
  if (!near || !near.length) return null;
  const links = near.map((pin) => element('li', null, element('a', { href: pinAddress(pin) }, pin)));
  return element('ul', { class: 'boards near' }, ...links);
}

function problem(error) {
  const again = element('button', { type: 'button' }, 'Try again');
  again.addEventListener('click', () => show());
  return element('div', null, element('p', { class: 'problem', role: 'alert' }, error.message),
    nearList(error.near), again);
}

function tell(words) {
  byId('status').textContent = words;
}

async function viewOf(address, signal) {
  if (address.kind === 'pin') return pinView(address, signal);
  if (address.kind === 'board') return boardView(address, signal);
  if (address.kind === 'compare') return compareView(address, signal);
  if (address.kind === '') return startView(address, signal);
  throw new Error('This address leads nowhere.');
}

function failedView(address, error) {
  const name = address.name || 'PinSage';
  return { title: name, say: '', nodes: [heading(name), problem(error)] };
}

// Whoever follows a link begins to read at the heading; whoever goes back finds the place
// where they left. The browser cannot know it: the page is filled only later.
let went = false;             // by a link or a form, not by the back button
const places = new Map();     // address -> how far down it was read

function put(view) {
  document.title = view.title + ' · PinSage';
  main.classList.remove('waiting');
  main.replaceChildren(...view.nodes);
  tell(view.say);
  window.scrollTo(0, went ? 0 : places.get(location.hash) || 0);
  const top = main.querySelector('h1');
  if (went && top) top.focus({ preventScroll: true });
  went = false;
}

function go(to) {
  went = true;
  if (to === location.hash) show();
  else location.hash = to;
}

async function show() {
  const address = readAddress(location.hash);
  if (asked) asked.abort();
  const mine = asked = new AbortController();
  selectMethod(address);
  if (address.kind === 'pin' || address.kind === 'compare') byId('pin').value = address.name;
  main.classList.add('waiting');
  const view = await viewOf(address, mine.signal).catch((error) =>
    error.name === 'AbortError' ? null : failedView(address, error));
  if (view && mine === asked) put(view);
}

function selectMethod(address) {
  const select = byId('method');
  select.value = address.method || '';
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

function onFind(event) {
  event.preventDefault();
  const pin = byId('pin').value.trim();
  if (!pin) return;
  go(pinAddress(pin, byId('method').value));
}

function onMethod() {
  const address = readAddress(location.hash);
  if (address.kind === 'pin') go(pinAddress(address.name, byId('method').value));
}

function onClick(event) {
  const link = event.target.closest('a');
  if (!link) return;
  places.set(location.hash, window.scrollY);
  went = link.hash.startsWith('#/');
  if (link.hash !== '#content') return;
  event.preventDefault();
  main.focus();
}

// '/' goes to the search box, as elsewhere.
function onKey(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  byId('pin').select();
}

function offerMethods(names) {
  const select = byId('method');
  for (const name of names) {
    const label = METHODS[name] ? `${METHODS[name]} (${name})` : name;
    select.append(element('option', { value: name }, label));
  }
  selectMethod(readAddress(location.hash));
}

async function tellVersion() {
  const it = await ask('/version').catch(() => null);
  if (!it) return;
  offerMethods(it.methods || Object.keys(METHODS));
  const words = [it.version && 'PinSage ' + it.version, it.generation,
    it.pins && it.pins.toLocaleString('en') + ' pins'];
  byId('about').textContent = words.filter(Boolean).join(' · ');
}

history.scrollRestoration = 'manual';
byId('find').addEventListener('submit', onFind);
byId('method').addEventListener('change', onMethod);
document.addEventListener('click', onClick);
document.addEventListener('keydown', onKey);
window.addEventListener('hashchange', () => show());
show();
tellVersion();
