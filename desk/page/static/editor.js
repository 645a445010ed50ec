// The storyboard editor. Its value is a draft {title, global_caption, fps, seed, negative_prompt, shots: [{caption,
// num_frames, origin, locked, image}], references, made}; the server only hears of it and reviews it, so that typing and dragging never wait.
// Inside, a shot's length is in latent frames: a scene of n of them has 4n - 3 frames, and every cut falls on 4t + 1.

const root = element.querySelector('.editor');
let { theatre, phrases, choices, most_shots: mostShots, most_frames: mostFrames } = props.world;
const FRAMES = 4, NEW_SHOT = 5, TYPING_PAUSE = 300, MOST_PAUSE = 1000;

// The draft

let nextKey = 1;
let scene = read(props.value);
let review = null;
let notices = [];
let lastCaption = null;
let openGuide = null;
let seen, made; // the finished video that is shown, and it again if shots may be kept of it, see editor_link.js
const see = () => { seen = props.made?.shots ? props.made : null; made = seen?.id ? seen : null; };
see();

function read(draft) {
  const shots = (draft && draft.shots) || [];
  return {
    title: (draft && draft.title) || '', global_caption: (draft && draft.global_caption) || '',
    fps: (draft && draft.fps) || 12, seed: draft ? draft.seed : null, negative_prompt: draft ? draft.negative_prompt : null,
    shots: shots.map((shot) => ({
      key: nextKey++, caption: shot.caption || '', length: Math.max(1, Math.ceil((shot.num_frames || FRAMES * NEW_SHOT) / FRAMES)),
      origin: shot.origin || null, locked: Boolean(shot.locked), image: shot.image || null,
    })),
    references: { ...((draft && draft.references) || {}) },
  };
}

const starts = () => scene.shots.reduce((at, shot) => [...at, at.at(-1) + shot.length], [0]);
const frameOf = (latent) => (latent === 0 ? 0 : FRAMES * latent - 3);
const numFrames = () => frameOf(starts().at(-1));
const framesOf = (index) => { const at = starts(); return frameOf(at[index + 1]) - frameOf(at[index]); };
const seconds = (frames) => (frames / scene.fps).toFixed(1) + ' s';

function draft() {
  return {
    title: scene.title, global_caption: scene.global_caption, fps: scene.fps, seed: scene.seed,
    negative_prompt: scene.negative_prompt, ...(made ? { made: made.id } : {}),
    ...shownReferences(),
    shots: scene.shots.map(({ caption, origin, locked, image }, index) => ({
      caption, num_frames: framesOf(index), ...(image ? { image } : {}),
      ...(made && origin ? { origin } : {}), ...(made && origin && locked ? { locked } : {}),
    })),
  };
}

// Those of characters that some caption names; the others wait in the editor, in case their words come back.
function shownReferences() {
  const words = [scene.global_caption, ...scene.shots.map((shot) => shot.caption)].join(' ').toLowerCase();
  const named = Object.entries(scene.references).filter(([name]) => words.includes(`[${name}]`));
  return named.length ? { references: Object.fromEntries(named) } : {};
}

let pause = null, typing = null, typedSince = 0;
function commit() {
  record(pause && typing);
  clearTimeout(pause);
  pause = null;
  showLinks();
  const now = draft();
  if (JSON.stringify(now) === JSON.stringify(props.value)) return;
  props.value = now;
  document.dispatchEvent(new CustomEvent('holocine-draft'));
  askForReview();
}
function typed(area) {
  if (!pause) typedSince = Date.now();
  clearTimeout(pause);
  typing = area;
  pause = setTimeout(commit, Math.max(0, Math.min(TYPING_PAUSE, typedSince + MOST_PAUSE - Date.now())));
}
const commitTyped = () => { if (pause) commit(); };
// Before a change that is not typed: what was typed until now is a change of its own.
function settle() {
  if (pause) commit();
  notices = [];
}
function replace(value, said = [], opened = true) {
  if (review) review.stale = true; // of the scene before: no guide goes by it
  settle();
  const at = place();
  scene = read(value);
  tellSeed(opened);
  link();
  notices = said;
  openGuide = null;
  show();
  goTo(at);
  commit();
}

const withoutPictures = ({ references, shots, ...others }) => ({ ...others, shots: shots.map(({ image, ...shot }) => shot) });

let asked = 0;
async function askForReview() {
  const mine = ++asked, answer = await ask('review_draft', { draft: withoutPictures(draft()), model: props.model });
  if (mine !== asked) return;
  review = answer.error ? { valid: false, findings: [{ kind: 'error', text: answer.error, shot: null }], characters: {}, readings: [] } : answer;
  showReview();
}

// Structure: every change to the list of shots goes through `change`

function change(edit, focus) {
  settle();
  edit();
  show();
  commit();
  if (focus) root.querySelector(focus)?.focus();
}
const addShot = () => change(() => {
  scene.shots.push({ key: nextKey++, caption: '', length: NEW_SHOT });
}, '.shot:last-child textarea');
const removeShot = (index) => change(() => scene.shots.splice(index, 1), `.shot:nth-child(${Math.max(1, index)}) textarea`);
const copyShot = (index) => change(() => {
  const { caption, length, image } = scene.shots[index];
  scene.shots.splice(index + 1, 0, { key: nextKey++, caption, length, image });
}, `.shot:nth-child(${index + 2}) textarea`);
const moveShot = (index, by) => change(() => {
  const [shot] = scene.shots.splice(index, 1);
  scene.shots.splice(index + by, 0, shot);
}, `.shot:nth-child(${index + by + 1}) .${by < 0 ? 'move-up' : 'move-down'}`);
function lengthen(index, by) {
  const length = scene.shots[index].length + by;
  if (length < 1 || (by > 0 && numFrames() + FRAMES * by > mostFrames)) return;
  settle();
  scene.shots[index].length = length;
  showLengths();
  commit();
}

// Building

function grow(area) {
  if (CSS.supports('field-sizing', 'content')) return;
  area.style.height = 'auto';
  area.style.height = area.scrollHeight + 2 + 'px';
}
const field = (attributes, oninput) => {
  const area = node('textarea', {
    rows: 1, dir: 'auto', spellcheck: 'true', oninput: () => { oninput(area.value); grow(area); typed(area); }, onchange: commit, onblur: () => pause && commit(),
    onfocus: () => { lastCaption = area; }, ...attributes,
  });
  return area;
};

function show() {
  const title = node('input', {
    class: 'title', dir: 'auto', 'aria-label': 'Title of the scene', placeholder: 'Untitled scene', value: scene.title, maxlength: 200,
    oninput: () => { scene.title = title.value; typed(title); }, onchange: commit,
  });
  const about = field({
    class: 'about', 'aria-label': 'The scene: setting and characters', value: scene.global_caption,
    placeholder: 'Where is the scene set, and who is in it? Introduce each character once: [character1] is …',
  }, (text) => { scene.global_caption = text; showLinks(); });
  root.replaceChildren(
    node('div', { class: 'head' }, title, node('div', { class: 'tools' },
      theatre ? button('Surprise me', 'dice', surprise, { class: 'quiet surprise', title: 'A scene that nobody thought of' }) : null,
      button('Open', 'open', openDialog, { class: 'quiet open', title: 'Open a storyboard' }),
      button('Save as', 'save', saveDialog, { class: 'quiet save', title: 'Save as text or for film tools' }),
      button('Copy link', 'link', copyLink, { class: 'quiet copy-link', title: 'A link that opens this scene, its seed and its settings' }),
      iconButton('Undo (Ctrl+Z)', 'undo', takeBack, { class: 'icon-button undo' }),
      iconButton('Redo (Ctrl+Shift+Z)', 'redo', putBack, { class: 'icon-button redo' }))),
    ...[earlierDrafts()].filter(Boolean),
    node('div', { class: 'label', text: 'Scene' }), about,
    node('div', { class: 'cast' }),
    ...(theatre ? [stageGuide()] : []),
    node('div', { class: 'label row' }, node('span', { text: 'Timeline' }), node('span', { class: 'total' })),
    node('div', { class: 'strip', role: 'group', 'aria-label': 'Timeline, cuts can be moved' }),
    node('div', { class: 'label', text: 'Shots' }),
    node('ol', { class: 'shots' }, ...scene.shots.map(shotRow)),
    button('Add a shot', 'plus', addShot, { class: 'quiet add', disabled: scene.shots.length >= mostShots }),
    node('div', { class: 'findings', 'aria-live': 'polite' }),
  );
  root.querySelectorAll('textarea').forEach(grow);
  showLengths();
  showReview();
}

function shotRow(shot, index) {
  const n = index + 1, last = scene.shots.length - 1;
  const caption = field({
    class: 'caption', 'aria-label': `Caption of shot ${n}`, value: shot.caption,
    placeholder: theatre ? 'Wide shot of [character1] walking to the left. The camera is static.' : 'What does this shot show? How does the camera move?',
  }, (text) => { shot.caption = text; showLinks(); }); // at once: what moves when a button is pressed makes the press miss it
  return takesPictures(node('li', { class: 'shot', 'data-key': shot.key },
    node('div', { class: 'number', 'aria-hidden': 'true', text: n }),
    node('div', { class: 'body' }, caption, shotPicture(shot, n),
      node('div', { class: 'controls' },
        node('div', { class: 'length', role: 'group', 'aria-label': `Length of shot ${n}` },
          iconButton('Shorter', 'minus', () => lengthen(index, -1), { class: 'icon-button shorter' }),
          node('output', { class: 'frames' }),
          iconButton('Longer', 'plus', () => lengthen(index, 1), { class: 'icon-button longer' })),
        theatre ? button('Guide', 'guide', () => { openGuide = openGuide === shot.key ? null : shot.key; showGuides(); }, { class: 'quiet guide-toggle', 'aria-expanded': 'false' }) : null,
        shot.image ? null : button('Picture', 'picture', () => choosePicture(setImage(shot)), { class: 'quiet add-picture', title: `Begin shot ${n} from a picture`, 'aria-label': `Begin shot ${n} from a picture` }),
        node('span', { class: 'spring' }),
        iconButton(`Lock shot ${n}`, 'unlocked', () => toggleLock(index), { class: 'icon-button lock', hidden: true, 'aria-pressed': 'false' }),
        iconButton(`Move shot ${n} up`, 'up', () => moveShot(index, -1), { class: 'icon-button move-up', disabled: index === 0 }),
        iconButton(`Move shot ${n} down`, 'down', () => moveShot(index, 1), { class: 'icon-button move-down', disabled: index === last }),
        iconButton(`Duplicate shot ${n}`, 'copy', () => copyShot(index), { class: 'icon-button duplicate', disabled: scene.shots.length >= mostShots }),
        iconButton(`Delete shot ${n}`, 'bin', () => removeShot(index), { class: 'icon-button delete', disabled: scene.shots.length === 1 })),
      node('div', { class: 'guide' }), node('div', { class: 'offer' }))), setImage(shot));
}

// The timeline: segments to scale, a slider on every cut

function showLengths() {
  const strip = root.querySelector('.strip'), at = starts(), total = at.at(-1) || 1;
  const focused = strip.contains(document.activeElement) ? document.activeElement.dataset.cut : null;
  strip.replaceChildren(
    ...scene.shots.map((shot, index) => node('div', {
      class: 'segment', style: `left:${(100 * at[index]) / total}%;width:${(100 * shot.length) / total}%`,
      onclick: () => root.querySelectorAll('.shot textarea')[index]?.focus(),
    }, node('b', { text: index + 1 }), node('small', { text: seconds(framesOf(index)) }))),
    ...scene.shots.slice(1).map((_, index) => cutHandle(index + 1, at, total)));
  if (focused) strip.querySelector(`[data-cut="${focused}"]`)?.focus();
  root.querySelector('.total').textContent = `${numFrames()} frames, ${seconds(numFrames())} at ${scene.fps} frames a second`;
  root.querySelectorAll('.shot').forEach((row, index) => {
    const length = scene.shots[index].length;
    row.querySelector('.frames').replaceChildren(`${seconds(framesOf(index))}`, node('small', { text: ` · ${framesOf(index)} frames` }));
    row.querySelector('.shorter').disabled = length <= 1;
    row.querySelector('.longer').disabled = numFrames() + FRAMES > mostFrames;
  });
  showHistory();
  showLinks();
}

function cutHandle(cut, at, total) {
  const frame = frameOf(at[cut]), last = at.length - 1;
  const room = Math.min(cut > 1 ? at[cut] - at[cut - 1] : total, cut < last - 1 ? at[cut + 1] - at[cut] : total); // to its neighbours
  const handle = node('button', {
    type: 'button', class: 'cut', role: 'slider', 'data-cut': cut, style: `left:${(100 * at[cut]) / total}%;--room:${(100 * room) / total}%`,
    'aria-label': `Cut between shot ${cut} and shot ${cut + 1}`, 'aria-valuemin': frameOf(at[cut - 1] + 1),
    'aria-valuemax': frameOf(at[cut + 1] - 1), 'aria-valuenow': frame, 'aria-valuetext': `frame ${frame}, ${seconds(frame)}`,
    title: `Cut at frame ${frame}, ${seconds(frame)}`,
  });
  const moveTo = (latent) => {
    const to = Math.min(at[cut + 1] - 1, Math.max(at[cut - 1] + 1, latent));
    if (to === starts()[cut]) return;
    scene.shots[cut - 1].length = to - at[cut - 1];
    scene.shots[cut].length = at[cut + 1] - to;
    showLengths();
  };
  handle.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -4, PageUp: 4, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    settle();
    moveTo(at[cut] + by);
    commit();
  });
  handle.addEventListener('pointerdown', (event) => {
    event.preventDefault();
    handle.focus();
    settle();
    const strip = root.querySelector('.strip'), box = strip.getBoundingClientRect();
    const drag = (moved) => moveTo(Math.round(((moved.clientX - box.left) / box.width) * total));
    const end = () => {
      window.removeEventListener('pointermove', drag);
      window.removeEventListener('pointerup', end);
      window.removeEventListener('pointercancel', end);
      strip.classList.remove('dragging');
      commit();
    };
    strip.classList.add('dragging');
    window.addEventListener('pointermove', drag);
    window.addEventListener('pointerup', end);
    window.addEventListener('pointercancel', end);
  });
  return handle;
}

// What the server says about the draft

function showReview() {
  const box = root.querySelector('.findings'), cast = root.querySelector('.cast');
  const findings = [...notices.map((text) => ({ kind: 'warning', text, shot: null })), ...((review && review.findings) || [])];
  const lines = findings.map(findingLine);
  if (review && review.valid && !findings.length) lines.push(node('p', { class: 'fine', text: 'Ready: every cut is on a frame that the model can cut at.' }));
  if (review && review.text_tokens) {
    const share = Math.min(1, review.text_tokens / review.max_text_tokens);
    lines.push(node('div', { class: 'tokens' }, node('span', { text: `${review.text_tokens} of ${review.max_text_tokens} text tokens` }),
      node('i', {}, node('b', { style: `width:${100 * share}%` }))));
  }
  box.replaceChildren(...lines);
  root.querySelectorAll('.shot').forEach((row, index) => {
    const mine = findings.filter((finding) => finding.shot === index + 1);
    row.classList.toggle('wrong', mine.some((finding) => finding.kind === 'error'));
    row.classList.toggle('doubtful', mine.length > 0);
  });
  const characters = Object.entries((review && review.characters) || {});
  cast.replaceChildren(...characters.map(([tag, description]) => castMember(tag, description)));
  root.classList.toggle('invalid', Boolean(review) && !review.valid);
  showBesideGenerate(findings);
  showGuides();
  showStageGuide();
}

// What forbids a video, or else the first doubt in a line, is said beside Generate too, which stays in sight.
function showBesideGenerate(findings) {
  const bar = root.closest('#direct-panel')?.querySelector('.desk-actions');
  bar?.querySelectorAll(':scope > :is(.forbids, .doubts)').forEach((line) => line.remove());
  const forbidding = findings.find((finding) => finding.kind === 'error');
  if (forbidding) bar?.prepend(node('div', { class: 'desk forbids' }, findingLine(forbidding)));
  else if (findings.length) bar?.prepend(node('div', { class: 'desk doubts' }, doubtLine(findings)));
}

function doubtLine([{ text }, ...others]) {
  const show = () => root.querySelector('.findings').scrollIntoView({ block: 'center' });
  const more = others.length ? `And ${others.length} more` : 'Show';
  return node('p', { class: 'warning' }, node('span', { text }), node('button', { type: 'button', class: 'fix', text: more, onclick: show }));
}

function findingLine({ kind, text, shot, fix, remedy, words = [] }) {
  const offer = (label, act) => node('button', { type: 'button', class: 'fix', text: label, onclick: () => change(act) });
  return node('p', { class: kind }, node('span', { text }),
    fix ? offer(remedy, () => putRight(fix)) : null,
    ...words.map(([word, known]) => offer(`${word} → ${known}`, () => exchange(shot, word, known))));
}

function putRight({ lengths, shots, ...fields }) {
  Object.assign(scene, fields, shots ? { shots: read({ shots }).shots } : {});
  (lengths || []).forEach((frames, index) => { if (scene.shots[index]) scene.shots[index].length = Math.max(1, Math.ceil(frames / FRAMES)); });
}

// A word of one caption, that of the scene where no shot is named, becomes another wherever it stands alone.
function exchange(shot, word, known) {
  const alone = new RegExp(`(?<![\\p{L}])${word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\p{L}])`, 'gu');
  if (shot) scene.shots[shot - 1].caption = scene.shots[shot - 1].caption.replace(alone, known);
  else scene.global_caption = scene.global_caption.replace(alone, known);
}

function insert(tag) {
  const areas = [...root.querySelectorAll('.caption')];
  const area = areas.includes(lastCaption) ? lastCaption : areas[0];
  if (!area) return;
  area.focus();
  area.setRangeText(tag, area.selectionStart, area.selectionEnd, 'end');
  area.dispatchEvent(new Event('input'));
}

async function surprise() {
  const answer = await ask('surprise_me', {});
  if (answer.error) { notices = [answer.error]; showReview(); } else replace({ ...answer.draft, seed: null });
}

// Keys that work wherever the keyboard is in this tab, but in a field of text elsewhere, which has a history of its own.
const OWN_HISTORY = 'textarea, [contenteditable], input:not([type=range], [type=checkbox], [type=radio])';
document.addEventListener('keydown', (event) => {
  const { target } = event, inside = root.contains(target);
  if (!(event.ctrlKey || event.metaKey) || event.altKey || !root.offsetParent || document.querySelector('dialog[open]')) return;
  if (!inside && target.matches(OWN_HISTORY)) return;
  const submit = inside || target === document.body ? () => { commit(); trigger('submit'); } : null;
  const act = { Enter: submit, z: event.shiftKey ? putBack : takeBack, y: putBack }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault(); // a field's own undo would know nothing of the rest
  act();
});

document.addEventListener('visibilitychange', commitTyped);
window.addEventListener('pagehide', commitTyped);
root.addEventListener('paste', takePrompt);

new ResizeObserver(() => root.querySelectorAll('textarea.about, textarea.caption').forEach(grow)).observe(root);

watch('value', () => {
  const value = props.value;
  if (value.opening) { commit(); return; } // it comes once more after the draft that this browser kept
  if (JSON.stringify(value) === JSON.stringify(draft())) return;
  replace(value);
  askForReview();
});
watch('made', () => {
  see();
  link();
  forgetLinks();
  commit();
});
watch('model', askForReview);
watch('world', () => {
  ({ theatre, phrases, choices, most_shots: mostShots, most_frames: mostFrames } = props.world);
  show();
});

listenToSeed();
bringBack();
show();
askForReview();
openLink();
window.addEventListener('hashchange', openLink);
