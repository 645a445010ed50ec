// A link that opens this scene with its seed and settings: packed into the part of an address that no server is sent.

const MOST_LINK = 8000; // characters, which mail and chat programs take
let settings = globalThis.holocineSettings; // of the tab beside the editor, once it told: {attention, steps, guidance, size}
let brought = null; // settings of a link, while the tab is not there yet: before that it hears nothing
document.addEventListener('holocine-settings', ({ detail }) => { settings = detail; handOver(); });

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

async function packed(value) {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(value)), new CompressionStream('deflate-raw'));
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream('deflate-raw'))));
}

async function copyLink(event) {
  const pressed = event.currentTarget, label = pressed.querySelector('span');
  const say = (text) => {
    label.textContent = text;
    pressed.classList.add('said'); // where only its picture is shown, the answer is shown none the less
    setTimeout(() => { label.textContent = 'Copy link'; pressed.classList.remove('said'); }, 2500);
  };
  if (pause) commit();
  const { made: video, ...scene } = draft();
  if (diced && asSeen()) scene.seed = seen.seed; // what is seen is sent; the seed that is shown is that of the next video
  const pictured = scene.references || scene.shots.some((shot) => shot.image);
  const shots = scene.shots.map(({ caption, num_frames }) => ({ caption, num_frames }));
  const link = `${location.href.split('#')[0]}#scene=${await packed({ draft: { ...scene, shots }, settings })}`;
  if (pictured || link.length > MOST_LINK) {
    notices = [pictured ? 'A link holds no pictures: send the file that "Save as" writes.' : `This scene makes a link of ${link.length} characters, but at most ${MOST_LINK} go through everywhere: send the file that "Save as" writes.`];
    showReview();
    return;
  }
  if (await copied(link)) { say('Link copied'); return; }
  const text = node('textarea', { class: 'mono', rows: 5, readonly: true, 'aria-label': 'The link', value: link }); // to be copied by hand
  dialog('A link to this scene', text);
  text.select();
}

// A scene that an address brings replaces the draft, which Undo brings back.

const whole = (value, least, most) => value == null || (Number.isInteger(value) && value >= least && value <= most);
const isScene = ({ title, global_caption, negative_prompt, fps, seed, shots }) => isDraft({ shots })
  && [title, global_caption, negative_prompt].every((text) => text == null || typeof text === 'string')
  && shots.every(({ num_frames }) => whole(num_frames, 1, 99999)) && whole(seed, 0, Number.MAX_SAFE_INTEGER)
  && (fps == null || (fps >= 1 && fps <= 240));

async function openLink() {
  const text = /^#scene=([\w-]*)/.exec(location.hash)?.[1]; // what follows is the full stop or bracket of a message around it
  if (text == null) return;
  history.replaceState(null, '', location.href.split('#')[0]);
  try {
    const { draft: given, settings: chosen } = await unpacked(text);
    if (!isScene(given)) throw new Error('no scene');
    replace({ ...given, references: {}, shots: given.shots.map(({ caption, num_frames }) => ({ caption, num_frames })) });
    brought = chosen || {};
    handOver();
  } catch {
    notices = ['The link is damaged or cut short: ask for it once more.'];
    showReview();
  }
}

function handOver() {
  if (!brought || !settings) return;
  trigger('open_link', { settings: brought });
  brought = null;
}
