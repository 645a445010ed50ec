// The videos behind a row of results, some at a time, in the order of the suite or of a score:
// {system, note, cards: [{id, name, about, error, scores: [{name, text, number}], video}]}

const root = element.querySelector('.reel');
const AT_ONCE = 12;

let order = '', open = AT_ONCE;

function show() {
  const { system, note, cards = [] } = props.value || {};
  if (!cards.length) { root.replaceChildren(); return; }
  const shown = inOrder(cards).slice(0, open), left = cards.length - shown.length, next = Math.min(AT_ONCE, left);
  root.replaceChildren(
    node('header', {}, node('h2', { text: `Behind ${system}` }), cards.length > 1 ? orders(cards) : null),
    note ? node('p', { class: 'note', text: note }) : '',
    node('div', { class: 'cards' }, ...shown.map(article)),
    left ? node('p', { class: 'more' }, node('button', { type: 'button', class: 'quiet', 'data-more': true, text: left > next ? `Show ${next} more of ${left}` : `Show the last ${left}`, onclick: more })) : '');
}

function orders(cards) {
  const names = [...new Set(cards.flatMap((card) => card.scores.map((score) => score.name)))];
  const choices = [['', 'as in the suite'], ...names.flatMap((name) => [[`low ${name}`, `lowest ${name} first`], [`high ${name}`, `highest ${name} first`]])];
  const select = node('select', { 'aria-label': 'Order of the scenes', onchange: () => { order = select.value; open = AT_ONCE; show(); root.querySelector('select').focus(); } },
    ...choices.map(([value, text]) => node('option', { value, text })));
  select.value = choices.some(([value]) => value === order) ? order : '';
  return node('label', {}, node('span', { text: 'Order:' }), select);
}

function inOrder(cards) {
  const [way, name] = order.split(' ');
  return name ? ranked(cards, (card) => card.scores.find((score) => score.name === name)?.number, way === 'high') : cards;
}

function article(card) {
  const video = card.video && node('video', { src: card.video.url + '#t=0.05', controls: true, loop: true, muted: true, playsinline: true, preload: 'metadata', 'aria-label': card.name });
  if (video) video.muted = true;
  return node('article', {}, video || null, node('b', { text: card.name }), node('p', { text: card.about }),
    node('p', { class: card.error ? 'error' : 'scores', text: card.error || card.scores.map((score) => `${score.name} ${score.text}`).join(' · ') }),
    node('button', { type: 'button', class: 'quiet', 'data-id': card.id, text: 'Open in Direct', onclick: () => trigger('open_scene', { id: card.id }) }));
}

// The keyboard goes on at the first of the new scenes.
function more() {
  const before = open;
  open += AT_ONCE;
  show();
  root.querySelectorAll('article [data-id]')[before]?.focus();
}

watch('value', () => { open = AT_ONCE; show(); });
show();
