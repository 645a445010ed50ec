// The videos behind a row of results: {system, note, cards: [{id, name, about, error, scores, video}]}

const root = element.querySelector('.reel');

function show() {
  const { system, note, cards = [] } = props.value || {};
  if (!cards.length) { root.replaceChildren(); return; }
  root.replaceChildren(node('h3', { text: `Behind ${system}` }), note ? node('p', { class: 'note', text: note }) : '', node('div', { class: 'cards' }, ...cards.map((card) => {
    const video = card.video && node('video', { src: card.video.url + '#t=0.05', controls: true, loop: true, muted: true, playsinline: true, preload: 'metadata', 'aria-label': card.name });
    if (video) video.muted = true;
    return node('article', {}, video || null, node('b', { text: card.name }), node('p', { text: card.about }),
      node('p', { class: card.error ? 'error' : 'scores', text: card.error || card.scores.join(' · ') }),
      node('button', { type: 'button', class: 'quiet', 'data-id': card.id, text: 'Open in Direct', onclick: () => trigger('open_scene', { id: card.id }) }));
  })));
}

watch('value', show);
show();
