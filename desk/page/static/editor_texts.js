// Texts from elsewhere: what the server is asked about them, files, and prompts that are pasted into a field.

const MOST_SENT = 4000000; // bytes that the server takes at once

// What a function of the server answers; where nothing comes, {error}: why, in a sentence.
async function ask(name, data) {
  if (new Blob([JSON.stringify(data)]).size > MOST_SENT) return { error: `This is too large: at most ${MOST_SENT / 1e6} MB are taken. Leave out pictures, or make them smaller.` };
  const silent = { error: 'The server does not answer; is it still there?' };
  try { return (await server[name](data)) || silent; } catch { return silent; }
}

// A file's {text, name}, by which that of a film tool is known, or {error} in a sentence.
async function readText(file) {
  const remedy = 'open YAML, JSON or text, a file of a film tool, or an MP4 that was made here.';
  if (/\.(mp4|m4v|mov)$/i.test(file.name)) {
    const storyboard = await storyboardIn(file).catch(() => null);
    return storyboard ? { text: JSON.stringify(storyboard, null, 2), name: '' } : { error: `${file.name} has no storyboard inside that can be read: ${remedy}` };
  }
  if (file.size > MOST_SENT) return { error: `${file.name} has ${(file.size / 1e6).toFixed(1)} MB, but a storyboard has at most ${MOST_SENT / 1e6}: ${remedy}` };
  const text = await file.text(), foreign = text.split(/[\0\ufffd]/).length - 1;
  return foreign > text.length / 50 ? { error: `${file.name} is no text: ${remedy}` } : { text, name: file.name };
}

// The storyboard in an MP4 of ours, with the seed that it was made with; null where there is none. It is JSON in the
// comment tag, in the box `moov` of ISO/IEC 14496-12, which may be the last of the file.
async function storyboardIn(file) {
  for (let at = 0, size; at < file.size; at += size) {
    const head = new DataView(await file.slice(at, at + 16).arrayBuffer());
    size = head.getUint32(0) === 1 ? Number(head.getBigUint64(8)) : head.getUint32(0) || file.size - at;
    if (size < 8) return null;
    if (head.getUint32(4) !== 0x6d6f6f76) continue; // moov
    const comment = commentIn(new Uint8Array(await file.slice(at, at + size).arrayBuffer()));
    const { storyboard, settings } = JSON.parse(comment);
    return storyboard && { ...storyboard, seed: storyboard.seed ?? settings?.seed ?? null };
  }
  return null;
}
function commentIn(bytes) {
  const name = [0xa9, 0x63, 0x6d, 0x74]; // ©cmt, then a box `data`: its size, its name, eight bytes and the text
  for (let at = bytes.indexOf(name[0]); at >= 0; at = bytes.indexOf(name[0], at + 1)) {
    if (!name.every((byte, index) => bytes[at + index] === byte)) continue;
    const data = at + name.length, size = new DataView(bytes.buffer).getUint32(data);
    return new TextDecoder().decode(bytes.subarray(data + 16, data + size));
  }
  return '';
}

// HoloCine's prompt, pasted into the field of the scene or of a shot, becomes scene and shots.
const PROMPT = /[[［【]\s*(global|per\s+shot)\s+caption\s*[\]］】]/i;
async function takePrompt(event) {
  const text = event.clipboardData?.getData('text/plain') || '', area = event.target;
  if (!area.matches('.about, .caption') || area.readOnly || !PROMPT.test(text)) return;
  event.preventDefault();
  const answer = await ask('parse_text', { text });
  if (answer.error) { // the words stay, and what is wrong with them is said of them
    area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
    area.dispatchEvent(new Event('input'));
    return;
  }
  const { global_caption, shots } = answer.draft;
  change(() => {
    putRight({ global_caption, shots });
    notices = [`The prompt was divided into the scene and ${shots.length} shot${shots.length > 1 ? 's' : ''}.`, ...answer.notices];
  }, '.about');
}
