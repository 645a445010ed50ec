// Versions of one scene side by side: each is shown when it is made, all are played in step, scored beside each other, and
// judged blind if so wished.
// {state, message, title, fps, num_frames, cuts, shots, count, blind, hidden, voted, alike, versions, progress}

const root = element.querySelector('.compare');
const parts = partsOf(root, ['screens', 'status', 'transport', 'alike', 'vote', 'table']);
let drawn = '', player = null;
let last = null; // the finished comparison, which stays until there is something of another
let loss = ''; // what is said of versions that were lost
const starting = watchLoss(() => last?.versions?.[0]?.video.url || '');
const toggle = () => player && player.toggle();

function statusText({ state, message, progress = {}, count }) {
  if (state === 'waiting') return progress.before ? `${progress.before} before yours.` : 'Yours is next.';
  if (state === 'running') {
    const { stage, made = 0, step, of, seconds_left: left, seed } = progress;
    if (progress.stopping) return 'Stopping after this step.';
    if (!stage) return `Making ${count} versions; you see them when all are made.`; // blind
    const which = `Version ${made + 1} of ${count}: `;
    if (stage === 'denoise') return `${which}step ${step} of ${of}${left ? `, about ${duration(left)} left for it` : ''}, seed ${seed}.`;
    return which + ({ model: 'loading the model', decode: 'turning latents into pictures', files: 'writing the files', score: 'looking at the video' }[stage] || 'starting') + '.';
  }
  return message || '';
}

// What is shown of a value: where nothing of it can be seen yet, or nothing came of it, the comparison that was there.
function seen(value) {
  if (value.state === 'done') last = value;
  return last && value.state !== 'empty' && !(value.versions || []).length ? last : value;
}

function show() {
  const given = props.value || { state: 'empty' }, value = loss ? { ...given, state: 'failed', message: loss } : given;
  starting.follow(value.state);
  const begun = !LIVE.includes(root.dataset.state) && [...LIVE, 'failed'].includes(value.state);
  root.dataset.state = value.state;
  if (begun) requestAnimationFrame(() => bringIntoView(parts.status));
  if (!parts.status.firstChild) parts.status.append(node('i', { class: 'bar' }, node('b')), node('p'));
  parts.status.querySelector('b').style.width = value.state === 'running' ? `${100 * ((value.progress || {}).share || 0)}%` : '0';
  parts.status.querySelector('p').textContent = statusText(value);
  const below = seen(given);
  const layout = JSON.stringify([below.state === 'done', below.state === 'empty', below.blind, below.versions, below.voted, below.hidden, below.count, below.text]);
  if (layout === drawn) return;
  drawn = layout;
  showScreens(below);
  parts.alike.textContent = below.alike ? `All versions: ${below.alike}.` : '';
  showVote(below);
  showTable(below);
}

function showScreens(value) {
  const versions = value.versions || [], known = value.state === 'done' && !value.hidden;
  const box = (letter, name, inside, ...more) => node('figure', { class: value.voted === letter ? 'chosen' : '' }, inside, node('figcaption', {}, node('b', { text: letter }), node('span', { text: name || '' })), ...more);
  const videos = versions.map((version) => silentVideo(version.video, `Version ${version.letter}`, toggle));
  root.style.setProperty('--aspect', versions[0] ? versions[0].aspect : 1.75);
  const there = versions.map((version, index) => box(version.letter, version.name, videos[index], ...(known ? uses(version) : [])));
  const waited = value.state === 'done' ? [] : [...'ABCD'.slice(versions.length, value.count || 2)];
  const blank = value.state === 'empty' ? 'Not made yet' : '';
  parts.screens.replaceChildren(...there, ...waited.map((letter) => box(value.blind ? '' : letter, '', node('div', { class: 'blank' }, node('span', { text: blank })))));
  player = videos.length ? playTogether(videos, parts.transport, value) : null;
  if (!player) parts.transport.replaceChildren();
}

function uses({ letter, name, video }) {
  return [node('div', { class: 'uses' },
    node('button', { type: 'button', class: 'quiet use', 'data-use': letter, text: 'Use this one', title: 'Take its storyboard and settings to Direct', onclick: () => trigger('use', { letter }) }),
    node('a', { href: video.url, download: `${letter} ${name}.mp4`, text: 'Take along' }),
  )];
}

function showVote(value) {
  if (!value.hidden) {
    const said = value.voted === 'tie' ? 'You found them equally good.' : value.voted ? `You chose ${value.voted}.` : '';
    parts.vote.replaceChildren(...(said ? [node('p', { text: said })] : []));
    return;
  }
  const many = value.versions.length > 2;
  const asked = many ? `Which is the best? Your choice counts once, as one among ${value.versions.length}.` : 'Which is better?';
  parts.vote.replaceChildren(node('p', { text: `${asked} You will then see which is which.` }),
    ...value.versions.map(({ letter }) => node('button', { type: 'button', class: 'solid', 'data-choice': letter, text: letter, onclick: () => trigger('vote', { choice: letter }) })),
    node('button', { type: 'button', class: 'quiet', 'data-choice': 'tie', text: 'Equally good', onclick: () => trigger('vote', { choice: 'tie' }) }));
}

function showTable(value) {
  const versions = value.versions || [];
  if (!versions.length || value.hidden || !versions[0].scorecard) { parts.table.replaceChildren(); return; }
  const rows = versions[0].scorecard.map((row, index) => ({ ...row, all: versions.map((version) => (version.scorecard || [])[index] || {}) })).filter((row) => row.all.some((one) => one.measured));
  const head = node('tr', {}, node('td', {}), ...versions.map((version) => node('th', { scope: 'col', text: version.letter })), node('th', { text: 'Difference' }));
  const body = rows.map((row) => {
    const numbers = row.all.map((one) => one.number).filter((number) => number != null);
    const best = row.direction === 'lower' ? Math.min(...numbers) : Math.max(...numbers);
    const spread = Math.max(...numbers) - Math.min(...numbers);
    return node('tr', { title: row.meaning }, node('th', { scope: 'row', text: row.name }),
      ...row.all.map((one) => node('td', { class: one.number === best && spread > 0 && row.direction !== 'none' ? 'best' : '', text: one.measured ? one.value : '–' })),
      node('td', { class: 'spread', text: numbers.length > 1 ? spread.toFixed(3) : '–' }));
  });
  parts.table.replaceChildren(node('table', {}, node('thead', {}, head), node('tbody', {}, ...body)));
}

function arrived() {
  if (!props.arrived || LIVE.includes((props.value || {}).state)) return;
  loss = starting.lost();
  show();
}

watch('value', () => { loss = ''; show(); });
watch('arrived', arrived);
show();
arrived();
