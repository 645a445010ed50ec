// The seed beside Generate: the one that is shown is the one that is used. Its value is {seed, dice}: with dice the
// server answers a video's start with another seed, for the next one, and says `after` which video, as it may say so twice.
// `time` says how long a video takes, if that is known.

const root = element.querySelector('.seed');
const SEED_KEY = 'holocine-seed', MOST_DIGITS = 10;
const draw = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;
const whole = (text) => (/^\d+$/.test(text) && text.length <= MOST_DIGITS ? Number(text) : text);

const field = node('input', {
  type: 'text', inputmode: 'numeric', 'aria-label': 'Seed', autocomplete: 'off', maxlength: 18, onfocus: () => field.select(), onblur: () => show(),
  oninput: () => set(whole(field.value.trim()), false),
});
const mode = node('button', { type: 'button', class: 'outlined mode', onclick: () => (current().dice ? set(current().seed, false) : set(draw(), true)) });
const time = node('span', { class: 'time', 'aria-live': 'polite' });
root.append(node('label', {}, node('span', { text: 'Seed' }), field), mode, time);

const current = () => props.value || {};
let mine = ''; // the value as this script set it last
let answered = ''; // the video after which the server gave another seed last

function set(seed, dice) {
  const given = seed === '' || seed == null ? draw() : seed;
  props.value = { seed: given, dice };
  mine = JSON.stringify(props.value);
  remember(SEED_KEY, props.value);
  show();
  document.dispatchEvent(new CustomEvent('holocine-seed', { detail: { seed: typeof given === 'number' ? given : null, dice } }));
}

function show() {
  const { seed, dice } = current();
  if (document.activeElement !== field) field.value = seed ?? '';
  field.setAttribute('aria-invalid', typeof seed === 'string');
  mode.replaceChildren(icon(dice ? 'dice' : 'locked'), node('span', { text: dice ? 'New each time' : 'Kept' }));
  mode.setAttribute('aria-label', dice ? 'New each time: the seed' : 'Kept: this seed');
  mode.setAttribute('aria-pressed', !dice);
  mode.title = dice ? 'Each video gets a seed of its own; press to keep this one' : 'Every video is made with this seed; press for a new one each time';
  time.textContent = props.time ? `about ${duration(props.time)}` : '';
}

// A scene that is opened brings its seed, to be kept, or none; one that comes back brings it in the mode that is on.
const bring = ({ seed, opened }) => set(seed, opened ? seed == null : current().dice);
document.addEventListener('holocine-scene-seed', ({ detail }) => bring(detail));
document.addEventListener('holocine-seed-asked', () => current().seed != null && set(current().seed, current().dice));
watch('value', () => {
  const { opening, after } = current();
  if (opening || (after && after === answered)) props.value = JSON.parse(mine); // the page's first value comes once more after the kept one
  else if (JSON.stringify(props.value) !== mine) {
    answered = after ?? answered;
    set(current().seed, current().dice ?? true);
  }
});
watch('time', show);

const kept = remembered(SEED_KEY);
set(kept?.seed ?? null, kept?.dice ?? true);
if (globalThis.holocineSceneSeed) bring(globalThis.holocineSceneSeed);
