// Versions of one scene side by side: played in step, scored beside each other, and judged blind if so wished.
// {state, message, title, fps, num_frames, cuts, shots, count, blind, hidden, voted, versions, progress}

const root = element.querySelector('.compare');
const parts = partsOf(root, ['screens', 'status', 'transport', 'vote', 'table']);
let videos = [], drawn = '';

function statusText({ state, message, progress = {}, count }) {
  if (state === 'waiting') return progress.before ? `${progress.before} before yours.` : 'Yours is next.';
  if (state === 'running') {
    const { stage, version, step, of, seconds_left: left } = progress;
    if (progress.stopping) return 'Stopping after this step.';
    const which = version ? `Version ${version} of ${count}: ` : '';
    if (stage === 'denoise') return `${which}step ${step} of ${of}${left ? `, about ${duration(left)} left for it` : ''}.`;
    return which + ({ model: 'loading the model', decode: 'turning latents into pictures', files: 'writing the files', score: 'looking at the video' }[stage] || 'starting') + '.';
  }
  return message || '';
}

function show() {
  const value = props.value || { state: 'empty' };
  const begun = !LIVE.includes(root.dataset.state) && [...LIVE, 'failed'].includes(value.state);
  root.dataset.state = value.state;
  if (begun) requestAnimationFrame(() => bringIntoView(parts.status));
  if (!parts.status.firstChild) parts.status.append(node('i', { class: 'bar' }, node('b')), node('p'));
  const { progress = {}, count = 2 } = value;
  const done = Math.max(0, 'ABCD'.indexOf(progress.version || 'A'));
  const part = { model: 0.02, decode: 0.9, files: 0.93, score: 0.95 }[progress.stage] ?? (0.9 * (progress.step || 0)) / (progress.of || 1);
  parts.status.querySelector('b').style.width = value.state === 'running' ? `${(100 * (done + part)) / count}%` : '0';
  parts.status.querySelector('p').textContent = statusText(value);
  const layout = JSON.stringify([value.state === 'done', value.versions, value.voted, value.hidden, value.count, value.text]);
  if (layout === drawn) return;
  drawn = layout;
  showScreens(value);
  showVote(value);
  showTable(value);
}

function showScreens(value) {
  const versions = value.versions || [];
  const box = (letter, name, inside) => node('figure', { class: value.voted === letter ? 'chosen' : '' }, inside, node('figcaption', {}, node('b', { text: letter }), node('span', { text: name || '' })));
  videos = versions.map((version) => {
    const video = node('video', { src: version.video.url, muted: true, playsinline: true, preload: 'auto', 'aria-label': `Version ${version.letter}`, onclick: toggle });
    video.muted = true;
    return video;
  });
  const aspect = versions[0] ? versions[0].aspect : 1.75;
  root.style.setProperty('--aspect', aspect);
  if (videos.length) parts.screens.replaceChildren(...versions.map((version, index) => box(version.letter, version.name, videos[index])));
  else {
    const count = value.count || 2;
    parts.screens.replaceChildren(...[...'ABCD'.slice(0, count)].map((letter) => box(letter, '', node('div', { class: 'blank' }, node('span', { text: value.state === 'empty' ? 'Not made yet' : '' })))));
  }
  showTransport(value);
}

// All videos follow one clock; a video that strays by more than a frame is put back

let clock = 0, playing = false, last = 0, slider = null, button = null;

function showTransport(value) {
  if (!videos.length) { parts.transport.replaceChildren(); return; }
  const total = value.num_frames;
  clock = 0;
  playing = true;
  slider = node('input', { type: 'range', min: 0, max: total - 1, step: 1, value: 0, 'aria-label': 'Frame', oninput: () => { playing = false; clock = slider.value / value.fps; seek(); paint(); } });
  button = node('button', { type: 'button', class: 'quiet play', onclick: toggle });
  const cuts = (value.cuts || []).map((frame) => node('i', { class: 'cut-mark', style: `left:${(100 * frame) / total}%` }));
  parts.transport.replaceChildren(button, node('div', { class: 'scrub' }, ...cuts, slider), node('output', {}));
  const mine = videos;
  last = performance.now();
  const tick = (now) => {
    if (videos !== mine || !root.isConnected) return;
    if (playing) {
      clock += (now - last) / 1000;
      if (clock >= total / value.fps) { clock = 0; seek(); }
      for (const video of mine) {
        if (video.paused) video.play().catch(() => {});
        if (Math.abs(video.currentTime - clock) > 2.5 / value.fps && !video.seeking) video.currentTime = clock;
      }
      slider.value = Math.floor(clock * value.fps);
      paint();
    } else mine.forEach((video) => video.paused || video.pause());
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  const paint = () => {
    button.textContent = playing ? 'Pause' : 'Play';
    parts.transport.querySelector('output').textContent = `frame ${slider.value} of ${total - 1}`;
  };
  const seek = () => mine.forEach((video) => { video.currentTime = clock + 0.25 / value.fps; });
  paint();
}

function toggle() {
  playing = !playing;
}

function showVote(value) {
  if (!value.hidden) {
    const said = value.voted === 'tie' ? 'You found them equally good.' : value.voted ? `You chose ${value.voted}.` : '';
    parts.vote.replaceChildren(...(said ? [node('p', { text: said })] : []));
    return;
  }
  parts.vote.replaceChildren(node('p', { text: 'Which is better? You will then see which is which.' }),
    ...value.versions.map(({ letter }) => node('button', { type: 'button', class: 'solid', 'data-choice': letter, text: letter, onclick: () => trigger('vote', { choice: letter }) })),
    node('button', { type: 'button', class: 'quiet', 'data-choice': 'tie', text: 'Equally good', onclick: () => trigger('vote', { choice: 'tie' }) }));
}

function showTable(value) {
  const versions = value.versions || [];
  if (!versions.length || value.hidden || !versions[0].scorecard) { parts.table.replaceChildren(); return; }
  const rows = versions[0].scorecard.map((row, index) => ({ ...row, all: versions.map((version) => (version.scorecard || [])[index] || {}) })).filter((row) => row.all.some((one) => one.measured));
  const head = node('tr', {}, node('th', {}), ...versions.map((version) => node('th', { scope: 'col', text: version.letter })), node('th', { text: 'Difference' }));
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

watch('value', show);
show();
