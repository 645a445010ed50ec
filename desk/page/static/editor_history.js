// One history over everything that is written in the editor, whatever changed it.
// A step is what the scene was before a change; what is typed into a field without a rest is one change.

const MOST_STEPS = 200, ONE_GO = 1500;
let past = [], future = [], present = null, lastTyped = { area: null, at: 0 };
let touched = false; // by somebody: the draft that a page opens with is not worth keeping

function snapshot() {
  const shots = scene.shots.map(({ caption, length, locked, image }) => ({ caption, length, locked, image }));
  return { ...scene, references: { ...scene.references }, shots };
}
// A seed that is drawn is no change of the scene.
const written = ({ seed, ...others }) => JSON.stringify(others);

// Called after every change. area: the field that it was typed into, if it was.
function record(area = null) {
  const now = snapshot(), same = written(now) === written(present);
  if (!same) {
    const goesOn = area && lastTyped.area === area && Date.now() - lastTyped.at < ONE_GO;
    if (!goesOn) past.push(present);
    touched = true;
    if (past.length > MOST_STEPS) past.shift();
    future = [];
    lastTyped = { area, at: Date.now() };
  }
  if (same && now.seed === present.seed) return;
  present = now;
  keep();
  showHistory();
}

// What a finished video does to locks and links is nobody's change.
function forgetLinks() {
  present = { ...present, shots: present.shots.map((shot, index) => ({ ...shot, locked: Boolean(scene.shots[index]?.locked) })) };
}

function step(from, to) {
  if (pause) commit();
  if (!from.length) return;
  to.push(present);
  present = from.pop();
  lastTyped = { area: null, at: 0 };
  const at = place();
  scene = { ...present, references: { ...present.references }, shots: present.shots.map((shot) => ({ key: nextKey++, origin: null, ...shot })) };
  notices = [];
  openGuide = null;
  link();
  tellSeed(false);
  show();
  goTo(at);
  keep();
  commit();
}
const takeBack = () => step(past, future);
const putBack = () => step(future, past);

function showHistory() {
  const undo = root.querySelector('.undo'), redo = root.querySelector('.redo');
  if (!undo) return;
  undo.disabled = !past.length;
  redo.disabled = !future.length;
}

// Where the cursor is, in words that hold when everything is drawn anew.
function place() {
  const part = document.activeElement, row = root.contains(part) ? part.closest('.shot') : null;
  if (!root.contains(part)) return null;
  return { row: row && [...root.querySelectorAll('.shot')].indexOf(row), kind: part.className.split(' ').at(-1), from: part.selectionStart, to: part.selectionEnd };
}
function goTo(at) {
  if (!at || !at.kind) return;
  const within = at.row == null ? root : root.querySelectorAll('.shot')[Math.min(at.row, scene.shots.length - 1)];
  const part = within?.querySelector(`.${at.kind}`);
  part?.focus();
  if (part && at.from != null && part.setSelectionRange) part.setSelectionRange(at.from, at.to);
}

// The seed is chosen beside Generate, in seed.js. A scene that brings one has it locked there; one without gets the one
// that is shown.

function tellSeed(opened) {
  const detail = { seed: scene.seed, opened };
  globalThis.holocineSceneSeed = detail; // for the seed's own part, if the page makes it after this one
  document.dispatchEvent(new CustomEvent('holocine-scene-seed', { detail }));
}
let diced = false; // whether the next video gets another seed than the last
function listenToSeed() {
  document.addEventListener('holocine-seed', ({ detail: { seed, dice } }) => {
    diced = dice;
    if (scene.seed === seed) return;
    scene.seed = seed;
    commit();
  });
  document.dispatchEvent(new CustomEvent('holocine-seed-asked'));
}
