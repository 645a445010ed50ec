// Two unknown videos of a storyboard, one question after the other, and then which system is which.
// {state: empty | asking | uncovered, message, token, title, global, fps, num_frames, cuts, shots, sides: [{letter, side, video}],
//  question: {name, text, number, of}, answers: [{question, choice}], names: {letter: system}}

const root = element.querySelector('.arena');
const parts = partsOf(root, ['scene', 'screens', 'transport', 'status', 'vote']);
let player = null, token = null, captions = [];
const toggle = () => player && player.toggle();

function show() {
  const value = props.value || { state: 'empty' };
  root.dataset.state = value.state;
  parts.status.textContent = value.state === 'empty' ? value.message || 'The first two videos are on their way.' : '';
  if (value.state === 'empty') {
    token = null;
    for (const name of ['scene', 'screens', 'transport', 'vote']) parts[name].replaceChildren();
    return;
  }
  if (value.token !== token) showVideos(value); // the same two go on playing from question to question
  token = value.token;
  parts.screens.querySelectorAll('figure').forEach((figure) => {
    figure.querySelector('span').textContent = (value.names || {})[figure.dataset.letter] || '';
  });
  if (value.names) showNames(value);
  else showQuestion(value);
}

function showVideos(value) {
  captions = value.shots.map((shot) => node('li', {}, node('small', { text: `from ${(shot.first / value.fps).toFixed(1)} s` }), node('span', { text: shot.caption })));
  parts.scene.replaceChildren(node('p', {}, node('b', { text: value.title }), node('span', { text: value.global })), node('ol', {}, ...captions));
  const videos = value.sides.map((side) => silentVideo(side.video, `Video ${side.letter}`, toggle));
  videos[0].addEventListener('loadedmetadata', () => root.style.setProperty('--aspect', videos[0].videoWidth / videos[0].videoHeight));
  parts.screens.replaceChildren(...value.sides.map((side, index) => node('figure', { 'data-letter': side.letter }, videos[index], node('figcaption', {}, node('b', { text: side.letter }), node('span', {})))));
  player = playTogether(videos, parts.transport, value, (frame) => value.shots.forEach((shot, index) => captions[index].classList.toggle('now', shot.first <= frame && frame <= shot.last)));
}

function showQuestion({ sides, question: { name, text, number, of } }) {
  const vote = (choice) => trigger('vote', { token, question: name, choice });
  const button = (choice, label, kind) => node('button', { type: 'button', class: kind, 'data-choice': choice, text: label, onclick: () => vote(choice) });
  const focused = parts.vote.contains(document.activeElement);
  parts.vote.replaceChildren(node('p', {}, node('small', { text: `Question ${number} of ${of}` }), node('b', { text })),
    ...sides.map(({ letter, side }) => button(side, letter, 'solid')), button('tie', 'Neither', 'outlined'),
    node('button', { type: 'button', class: 'quiet', 'data-uncover': true, text: number === 1 ? 'Show which is which without a vote' : 'Enough: show which is which', onclick: () => trigger('uncover', { token }) }));
  if (focused) parts.vote.querySelector('[data-choice]').focus({ preventScroll: true });
}

function showNames({ names, answers }) {
  const said = answers.map(({ question, choice }) => node('li', {}, node('span', { text: question }), node('b', { text: choice === 'tie' ? 'neither' : `${choice}, ${names[choice]}` })));
  const focused = parts.vote.contains(document.activeElement);
  const next = node('button', { type: 'button', class: 'solid', 'data-next': true, text: 'The next two', onclick: () => trigger('go_on', { token }) });
  parts.vote.replaceChildren(node('p', {}, node('b', { text: `A is ${names.A}, B is ${names.B}.` })), ...(said.length ? [node('ul', {}, ...said)] : []), next);
  if (focused) next.focus({ preventScroll: true });
}

watch('value', show);
show();
