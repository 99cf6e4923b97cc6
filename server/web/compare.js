/* compare.js - which of two methods has the better answer? Somebody looks, and says.
 *
 *     #/compare/ID?left=METHOD&right=METHOD
 *
 * The two answers stand side by side without names, in an order drawn by lot, so that
 * nobody judges a name. A judgement goes to POST /votes; then the names are told, and a
 * further pin is offered.
 *
 * Pieces of the page come from app.js, which is read after this file and before any view.
 */
'use strict';

const COMPARED = 12; // pins of each answer

function compareAddress(pin, left, right) {
  return '#/compare/' + encodeURIComponent(pin) + '?' + new URLSearchParams({ left, right });
}

// The first two methods, unless the address names others.
async function comparedMethods(address, signal) {
  const { methods = [] } = await ask('/version', signal);
  const left = address.left || methods[0];
  const right = address.right || methods.find((name) => name !== left);
  return { methods, left, right };
}

function methodChoice(label, methods, chosen, onChange) {
  const select = element('select', null, ...methods.map((name) => {
    const option = element('option', { value: name }, name);
    option.selected = name === chosen;
    return option;
  }));
  select.addEventListener('change', () => onChange(select.value));
  return element('label', null, label + ' ', select);
}

function answerColumn(name, related, pin) {
  const list = withoutCopies(related.results, new Set([pin.image])).slice(0, COMPARED);
  return element('section', { 'aria-label': 'Answer ' + name },
    element('h2', null, 'Answer ' + name), list.length
      ? element('ul', { class: 'grid small' }, ...list.map((r) => tile({ ...r, score: null }, '', 0)))
      : element('p', null, 'Nothing.'));
}

async function sendVote(vote) {
  const answer = await fetch('/votes', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(vote),
  }).catch(() => null);
  if (!answer) throw new Error('The server does not answer. Is it still running?');
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(problemOf(answer.status, body));
  return body.votes;
}

// After a judgement: who was who, and where to go on.
function afterVote(state, votes) {
  const others = state.shown.filter((pin) => pin !== state.pin.pin);
  const next = others[Math.floor(Math.random() * others.length)];
  return element('p', { role: 'status' },
    `A was ${state.first}, B was ${state.second}. ${votes} vote${votes === 1 ? '' : 's'} so far. `,
    next ? element('a', { href: compareAddress(next, state.left, state.right) }, 'Next pin') : null);
}

function voteButtons(state) {
  const bar = element('p', { class: 'vote' });
  const choices = [['A is better', state.first], ['About equal', ''], ['B is better', state.second]];
  for (const [label, method] of choices) {
    const button = element('button', { type: 'button' }, label);
    button.addEventListener('click', async () => {
      const winner = !method ? 'draw' : method === state.left ? 'left' : 'right';
      for (const other of bar.children) other.disabled = true;
      try {
        const votes = await sendVote({
          query: state.pin.pin, left: { method: state.left }, right: { method: state.right }, winner,
        });
        bar.replaceWith(afterVote(state, votes));
      } catch (error) {
        for (const other of bar.children) other.disabled = false;
        tell(error.message);
      }
    });
    bar.append(button);
  }
  return bar;
}

async function compareView(address, signal) {
  const { methods, left, right } = await comparedMethods(address, signal);
  const [pin, a, b] = await Promise.all([
    ask('/pins/' + encodeURIComponent(address.name), signal),
    askRelated(address.name, left, signal), askRelated(address.name, right, signal),
  ]);
  const swapped = Math.random() < 0.5;
  const state = {
    pin, left, right, first: swapped ? right : left, second: swapped ? left : right,
    shown: [...a.results, ...b.results].map((result) => result.pin),
  };
  const to = (l, r) => go(compareAddress(pin.pin, l, r));
  const title = pin.title || pin.pin;
  return {
    title: 'Compare: ' + title,
    say: '',
    nodes: [
      element('section', { class: 'judged' }, picture(pin.image, title), heading(title),
        element('p', null, 'Which answer goes better with this pin?')),
      voteButtons(state),
      element('div', { class: 'sides' }, answerColumn('A', swapped ? b : a, pin),
        answerColumn('B', swapped ? a : b, pin)),
      element('p', { class: 'choices' },
        methodChoice('Between', methods, left, (name) => to(name, right)),
        methodChoice('and', methods, right, (name) => to(left, name))),
    ],
  };
}
