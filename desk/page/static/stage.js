// The stage: what is being made or was made. Its value comes from the server; files in it have a `url`.
// {state, id, message, title, fps, times, num_frames, cuts, shots, aspect, files, progress, detected, scorecard, settings, note}
// A video with an `id` can be gone on from. Takes to choose from are {state, id, title, aspect, note, retaken, takes}.

const root = element.querySelector('.stage');
const parts = partsOf(root, ['screen', 'status', 'lanes', 'shots', 'again', 'facts', 'downloads', 'card']);
let video = null, loaded = null, drawn = '', playhead = null;
let takes = 1; // of the next retake
let last = null; // the finished video, or takes to choose from, which stay until there is another
let unfolded = false; // the scores
let loss = ''; // what is said of a job that was lost
const begun = watchLoss(() => last?.files?.video?.url || '');

// Seconds at which a frame is shown: by the rate, or by its own time where that varies. Of num_frames, when all is over.
const shownAt = (value, frame) => (value.times ? value.times[Math.min(frame, value.num_frames)] : frame / value.fps);
const percent = (frame, total) => (100 * frame) / total;

// Scores of another video than the one that could not be scored are not taken for its own.
const stillShown = ({ state, message }) => (state === 'failed' && last.kind === 'scored' ? `${message} What you see is ${last.name}, which was scored before.` : message);

// What is shown of a value: where nothing can be seen yet, or nothing came of it, the video that was there before.
function seen(value) {
  if (value.state === 'done') last = value.takes || (value.files && value.files.video) ? value : null;
  const nothing = value.state !== 'done' && !value.files && !(LIVE.includes(value.state) && value.progress?.previews?.length);
  return last && nothing && value.state !== 'empty' ? { ...last, state: value.state, message: stillShown(value), progress: value.progress } : value;
}

// What was wrong with a scene is not said of the scene that it was changed into.
document.addEventListener('holocine-draft', () => {
  if (root.dataset.state === 'failed' && root.closest('#direct-panel')) parts.status.querySelector('p').textContent = '';
});

function show() {
  const shown = seen(props.value || { state: 'empty' }), value = loss ? { ...shown, state: 'failed', message: loss } : shown;
  begun.follow(value.state);
  const live = LIVE.includes(root.dataset.state), starts = !live && [...LIVE, 'failed'].includes(value.state);
  root.dataset.state = value.state;
  root.style.setProperty('--aspect', value.aspect || 1.75);
  showScreen(value);
  root.classList.toggle('bare', !LIVE.includes(value.state) && Boolean(parts.screen.querySelector('.blank')));
  showStatus(value);
  const below = last && !value.files && LIVE.includes(value.state) ? last : value; // so that nothing moves meanwhile
  const layout = JSON.stringify([value.shots, value.detected, value.state === 'failed', canRetake(below), LIVE.includes(value.state), below.id, below.shots, below.num_frames, below.fps, below.files, below.scorecard, below.settings, below.note]);
  if (layout !== drawn) {
    drawn = layout;
    showLanes(value);
    showShots(below);
    showAgain(below);
    showFacts(below);
    showDownloads(below);
    showCard(below);
  }
  ['shots', 'again', 'facts', 'downloads', 'card'].forEach((name) => { parts[name].inert = below !== value; });
  parts.again.inert = LIVE.includes(value.state);
  if (starts) bringIntoView(parts.screen);
  if (live && value.takes && !document.activeElement.matches('input, textarea')) bringIntoView(parts.screen.querySelector('.takes-head'));
}

function showScreen(value) {
  root.classList.toggle('choosing', Boolean(value.takes));
  if (value.takes) { showTakes(value); return; }
  const url = value.files && value.files.video && value.files.video.url;
  if (url) {
    if (loaded === url) return;
    loaded = url;
    video = node('video', { src: url, controls: true, loop: true, muted: true, autoplay: !calm(), preload: 'auto', playsinline: true, 'aria-label': value.title });
    video.muted = true;
    parts.screen.replaceChildren(video);
    follow(value);
    return;
  }
  loaded = video = null;
  const first = (value.progress && value.progress.first_preview) || 1;
  const pictures = (value.progress && value.progress.previews) || [];
  if (pictures.length) {
    const images = [...parts.screen.querySelectorAll('.previews img')];
    if (images.length === pictures.length) images.forEach((image, index) => { image.src = pictures[index]; });
    else {
      const columns = pictures.length < 3 ? pictures.length : Math.ceil(Math.sqrt(pictures.length));
      parts.screen.replaceChildren(node('div', { class: 'previews', style: `--columns:${columns}` },
        ...pictures.map((src, index) => node('figure', {}, node('img', { src, alt: `Preview of shot ${first + index}` }), node('figcaption', { text: first + index })))));
    }
    return;
  }
  const text = { empty: value.text || 'Your video will appear here.', waiting: 'Waiting for its turn', running: 'Setting the stage', cancelled: 'Cancelled', failed: 'No video' }[value.state] || '';
  parts.screen.replaceChildren(node('div', { class: 'blank' }, node('span', { text })));
}

const STAGES = { model: 'loading the model and reading the text', decode: 'decoding the frames', files: 'writing the files', score: 'looking at the video: cuts, characters and text' };

function statusText({ state, message, progress = {} }) {
  if (!LIVE.includes(state)) return message || '';
  const { before, stage, step, of, seconds_left: left, take, takes: count = 1, seed } = progress;
  const about = left ? `, about ${duration(left)}` : '';
  if (state === 'waiting') {
    const turn = before ? `${before} ${before === 1 ? 'scene is' : 'scenes are'} before yours` : 'Your scene is next';
    return `${turn}${about}${seed == null ? '' : count > 1 ? `, seeds ${seed} to ${seed + count - 1}` : `, seed ${seed}`}.`;
  }
  if (progress.stopping) return 'Stopping after this step.';
  if (take) { // in one line of a phone, so that nothing moves from step to step
    const now = { denoise: `step ${step} of ${of}${left ? `, ${duration(left)} left` : ''}`, model: 'beginning' }[stage] || STAGES[stage];
    return `Take ${take} of ${count}, seed ${seed}: ${now}.`;
  }
  const now = stage === 'denoise' ? `step ${step} of ${of}${about && `${about} left`}` : STAGES[stage] || 'starting';
  return `${now[0].toUpperCase()}${now.slice(1)}${seed == null || stage === 'score' ? '' : `, seed ${seed}`}.`;
}

function showStatus(value) {
  const { progress = {} } = value;
  const part = { model: 0.02, decode: 0.95, files: 0.98, score: 0.99 }[progress.stage] ?? (0.02 + (0.93 * (progress.step || 0)) / (progress.of || 1));
  const share = value.state === 'running' ? ((progress.take || 1) - 1 + part) / (progress.takes || 1) : 0;
  if (!parts.status.firstChild) parts.status.append(node('i', { class: 'bar' }, node('b')), node('p'));
  parts.status.querySelector('b').style.width = `${100 * share}%`;
  const text = statusText(value), line = parts.status.querySelector('p');
  if (line.textContent !== text) line.textContent = text;
}

// The timeline below the video: planned shots above, detected cuts below, one scale

function showLanes(value) {
  const { shots = [], detected } = value, total = shownAt(value, value.num_frames);
  const along = (frame) => percent(shownAt(value, frame), total);
  playhead = node('i', { class: 'playhead' });
  if (!shots.length) { parts.lanes.replaceChildren(); return; }
  const planned = shots.map((shot, index) => node('button', {
    type: 'button', class: 'segment', style: `left:${along(shot.first)}%;width:${along(shot.last + 1) - along(shot.first)}%`,
    title: `Shot ${index + 1}: frames ${shot.first} to ${shot.last}`, 'aria-label': `Play shot ${index + 1}, ${shownAt(value, shot.first).toFixed(1)} s`, onclick: () => jump(value, shot.first),
  }, node('b', { text: index + 1 })));
  const room = (index) => {
    const at = detected.map(along), near = [at[index] - at[index - 1], at[index + 1] - at[index]];
    return Math.min(...near.map((gap) => gap || 100));
  };
  const found = (detected || []).map((frame, index) => {
    const near = value.unplanned || value.cuts.some((cut) => Math.abs(cut - frame) <= 2);
    return node('button', { type: 'button', class: near ? 'found' : 'found stray', style: `left:${along(frame)}%;--room:${room(index)}%`, title: `Detected cut at frame ${frame}`, 'aria-label': `Detected cut at frame ${frame}`, onclick: () => jump(value, frame) });
  });
  parts.lanes.replaceChildren(
    ...(value.unplanned ? [] : [node('span', { class: 'lane-name', text: 'Planned' }), node('div', { class: 'lane planned' }, ...planned)]),
    ...(detected || LIVE.includes(value.state) ? [node('span', { class: 'lane-name', text: 'Detected' }), node('div', { class: 'lane detected' }, ...found)] : []),
    node('div', { class: 'over' }, playhead));
}

function jump(value, frame) {
  if (!video) return;
  video.currentTime = (shownAt(value, frame) + shownAt(value, frame + 1)) / 2;
  video.play().catch(() => {});
}

function follow(value) {
  const mine = video, total = shownAt(value, value.num_frames);
  const tick = () => {
    if (video !== mine || !root.isConnected) return;
    if (playhead) playhead.style.left = `${percent(Math.min(mine.currentTime, total), total)}%`;
    const now = mine.currentTime;
    const index = (value.shots || []).findIndex((shot) => now >= shownAt(value, shot.first) && now < shownAt(value, shot.last + 1));
    parts.shots.querySelectorAll('.thumb').forEach((thumb, at) => thumb.classList.toggle('now', at === index));
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function showShots(value) {
  const { shots = [] } = value, retakes = canRetake(value);
  const lasts = (shot) => shownAt(value, shot.last + 1) - shownAt(value, shot.first);
  const about = (shot) => ` ${lasts(shot).toFixed(1)} s${shot.take > 1 ? `, take ${shot.take}` : ''}`;
  const thumb = (shot, index) => node('button', {
    type: 'button', class: 'thumb', onclick: () => jump(value, shot.first), title: shot.caption, 'aria-label': `Play shot ${index + 1}${about(shot)}: ${shot.caption}`,
  }, node('img', { src: shot.picture, alt: '' }), node('span', {}, node('b', { text: index + 1 }), about(shot)));
  const again = (index) => node('button', { type: 'button', class: 'outlined retake', text: 'Retake', disabled: LIVE.includes(value.state), 'aria-label': `Retake shot ${index + 1}`, onclick: () => trigger('retake', { id: value.id, shot: index + 1, takes }) });
  parts.shots.replaceChildren(...shots.filter((shot) => shot.picture).map((shot, index) => node('div', {}, thumb(shot, index), retakes ? again(index) : null)));
}

// Retakes, and takes to choose from

// While a video is still being scored its buttons are there, so that nothing moves, but rest.
const canRetake = (value) => Boolean(value.id && value.files) && (value.shots || []).length > 1;
const COUNTS = { 1: 'One take', 4: 'Four takes' };

function showAgain(value) {
  if (!canRetake(value)) { parts.again.replaceChildren(); return; }
  const choose = (count) => { takes = count; showAgain(value); parts.again.querySelector('[aria-checked=true]').focus(); };
  const move = (event) => { if (/^Arrow/.test(event.key)) { event.preventDefault(); choose(takes === 1 ? 4 : 1); } };
  const choices = Object.entries(COUNTS).map(([count, text]) => node('button', {
    type: 'button', role: 'radio', 'aria-checked': String(takes === +count), tabindex: takes === +count ? 0 : -1, text, onclick: () => choose(+count), onkeydown: move,
  }));
  parts.again.replaceChildren(
    node('div', { class: 'segmented', role: 'radiogroup', 'aria-label': 'Takes of a shot' }, ...choices),
    node('p', { text: 'A retake makes one shot anew from the same words. The other shots stay as they are.' }));
}

function showTakes(value) {
  const key = `takes ${value.id}`;
  if (loaded === key) return;
  loaded = key;
  video = null;
  const use = (take, text, kind, name) => node('button', { type: 'button', class: kind, text, 'aria-label': name ? `Use take ${name}` : text, onclick: () => trigger('use', { id: value.id, take }) });
  const box = ({ take, name, seed, video: file }) => {
    const shown = node('video', { src: file.url, controls: true, loop: true, muted: true, autoplay: !calm(), preload: 'auto', playsinline: true, 'aria-label': `Take ${name}` });
    shown.muted = true;
    return node('div', { class: 'take' }, shown, node('p', {}, node('b', { text: `Take ${name}` }), ` seed ${seed}`), use(take, 'Use this one', 'outlined first', name));
  };
  const shots = value.retaken, which = `shot${shots.length > 1 ? 's' : ''} ${shots.join(', ')}`;
  parts.screen.replaceChildren(
    node('div', { class: 'takes-head' }, node('h2', { text: `Which take of ${which}?` }), use(0, 'Keep it as it was', 'outlined')),
    node('div', { class: 'takes' }, ...value.takes.map(box)));
}

function showFacts(value) {
  const made = value.settings;
  const facts = made ? [['Seed', made.seed], ['Steps', made.steps], ['Guidance', made.guidance], ['Attention', made.attention], ['Size', `${made.width} × ${made.height}`], ['Made in', made.seconds != null ? `${made.seconds} s` : null]] : [];
  (value.shots || []).forEach((shot, index) => { if (shot.take > 1) facts.push([`Shot ${index + 1}`, `take ${shot.take}, seed ${shot.seed}`]); });
  const edit = value.shared ? [node('button', { type: 'button', class: 'outlined', text: 'Edit this scene', onclick: () => trigger('open_scene', { id: value.shared }) })] : [];
  parts.facts.replaceChildren(...(value.note ? [node('p', { class: 'note', text: value.note })] : []), ...edit, ...facts.filter(([, fact]) => fact != null).map(([name, fact]) => node('span', {}, `${name} `, node('b', { text: fact }))));
}

// The server sends files under their names on disk, so the page itself gives them readable ones
async function download(event) {
  event.preventDefault();
  const { href, download: name } = event.currentTarget;
  const answer = await fetch(href);
  if (!answer.ok) { window.open(href); return; }
  const url = URL.createObjectURL(await answer.blob());
  node('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const copyAddress = (id) => async ({ currentTarget: button }) => {
  const address = new URL(`?video=${encodeURIComponent(id)}`, location.href.split(/[?#]/)[0]).href;
  if (await copied(address)) button.textContent = 'Link copied';
  else prompt('The link to this video', address);
};

function showDownloads(value) {
  const files = value.files || {};
  const names = { video: 'Video', sheet: 'Contact sheet', storyboard: 'Storyboard', scorecard: 'Scorecard', report: 'Report' };
  const links = Object.entries(names).filter(([name]) => files[name]).map(([name, text]) => node('a', { href: files[name].url, download: files[name].orig_name || true, text, onclick: download }));
  const shots = (value.shots || []).filter((shot) => shot.video && shot.video.url);
  if (shots.length > 1) {
    links.push(node('details', {}, node('summary', { text: 'Single shots' }), ...shots.map((shot, index) => node('a', { href: shot.video.url, download: shot.video.orig_name || true, onclick: download, text: `Shot ${index + 1}` }))));
  }
  if (value.id && !value.takes) links.push(node('button', { type: 'button', class: 'link', text: 'Copy a link to it', title: 'Whoever has the link sees this video, for as long as it is kept here', onclick: copyAddress(value.id) }));
  parts.downloads.replaceChildren(...(links.length ? [node('span', { class: 'lane-name', text: 'Download' })] : []), ...links);
}

// What the first rows say that have a verdict; of a video without a request what was found in it.
function inOneSentence(rows, detected) {
  const measured = rows.filter((row) => row.measured), told = measured.filter((row) => row.verdict).slice(0, 3);
  if (told.length) return told.map((row) => `${row.name}: ${row.verdict}.`).join(' ');
  const values = measured.map((row) => `${row.name}: ${row.value}.`).join(' '), cuts = detected?.length;
  const found = detected ? `${cuts || 'No'} cut${cuts === 1 ? ' was' : 's were'} found.` : '';
  return `${[found, values].filter(Boolean).join(' ')} The other scores compare with a storyboard, or need more to look at.`;
}

function showCard(value) {
  const rows = value.scorecard || [];
  const line = (row) => node('details', { class: row.measured ? 'score' : 'score absent' },
    node('summary', { title: 'What does this mean?' }, node('span', { class: 'name', text: row.name }), node('span', { class: 'verdict', text: row.verdict }), ...(row.trust && row.trust !== 'good' ? [node('span', { class: 'trust', text: `trust: ${row.trust}` })] : []), node('b', { text: row.measured ? row.value : '' })),
    node('p', { text: row.meaning }));
  const lines = rows.filter((row) => row.measured).map(line), absent = rows.filter((row) => !row.measured);
  if (absent.length) lines.push(node('details', { class: 'unmeasured' }, node('summary', { text: `Not measured: ${absent.map((row) => row.name.toLowerCase()).join(', ')}` }), ...absent.map(line)));
  const notes = (value.score_notes || []).filter((text) => !(value.note || '').includes(text)).map((text) => node('p', { class: 'score-note', text }));
  if (!lines.length) { parts.card.replaceChildren(...notes); return; }
  parts.card.replaceChildren(node('details', { class: 'scores', open: unfolded, ontoggle: (event) => { if (event.target.classList.contains('scores')) unfolded = event.target.open; } },
    node('summary', {}, node('h2', { text: value.kind === 'scored' && value.state === 'failed' ? `How ${value.name} came out` : 'How it came out' }), node('p', { text: inOneSentence(rows, value.detected) })), ...lines, ...notes));
}

function arrived() {
  if (!props.arrived || LIVE.includes((props.value || {}).state)) return;
  loss = begun.lost();
  show();
}

watch('value', () => { loss = ''; show(); });
watch('arrived', arrived);
show();
arrived();
