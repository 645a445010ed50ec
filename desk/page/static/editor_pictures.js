// Pictures in the editor: one that a shot begins from, one that says who a character is. They are data URLs in the draft,
// reduced here, so that no file has to be kept anywhere else.

const MOST_SIDE = 832, PICTURE_QUALITY = 0.88;

async function readPicture(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = node('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const drawn = canvas.getContext('2d');
  drawn.fillStyle = '#fff';
  drawn.fillRect(0, 0, canvas.width, canvas.height);
  drawn.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL('image/jpeg', PICTURE_QUALITY);
}

async function takePicture(file, take) {
  if (!file) return;
  try {
    const picture = await readPicture(file);
    change(() => take(picture));
  } catch {
    notices = [`${file.name} is no picture that this browser can read: save it as PNG or JPEG.`];
    showReview();
  }
}

// Lets a picture be dropped on a part of the editor

function takesPictures(part, take) {
  const holds = (event) => [...event.dataTransfer.types].includes('Files');
  part.addEventListener('dragover', (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    part.classList.add('dropping');
  });
  part.addEventListener('dragleave', (event) => { if (!part.contains(event.relatedTarget)) part.classList.remove('dropping'); });
  part.addEventListener('drop', (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    event.stopPropagation();
    part.classList.remove('dropping');
    takePicture(event.dataTransfer.files[0], take);
  });
  return part;
}

function choosePicture(take) {
  const file = node('input', { type: 'file', accept: 'image/*', hidden: true, onchange: () => { takePicture(file.files[0], take); file.remove(); } });
  root.append(file);
  file.click();
}

const pictureOf = (picture, label, drop) => node('span', { class: 'picture' }, node('img', { src: picture, alt: label }),
  iconButton(`Remove: ${label}`, 'close', drop, { class: 'icon-button remove-picture' }));

const setImage = (shot) => (picture) => { if (!shot.locked) shot.image = picture; };
const setReference = (name) => (picture) => { scene.references = { ...scene.references, [name]: picture }; };

const shotPicture = (shot, n) => (shot.image ? pictureOf(shot.image, `The picture that shot ${n} begins from`, () => change(() => { shot.image = null; })) : null);

function castMember(tag, description) {
  const name = tag.slice(1, -1), picture = scene.references[name];
  const label = `The picture of ${name.replace('character', 'character ')}`;
  const chip = node('button', {
    type: 'button', class: 'chip', title: `Insert ${tag}`, onpointerdown: (event) => event.preventDefault(), onclick: () => insert(tag),
  }, node('b', { text: name.replace('character', '') }), node('span', { text: description }));
  const drop = () => change(() => { const { [name]: gone, ...others } = scene.references; scene.references = others; });
  return takesPictures(node('span', { class: 'member' }, chip, picture ? pictureOf(picture, label, drop)
    : iconButton(`${label}: all shots see it`, 'picture', () => choosePicture(setReference(name)), { class: 'icon-button add-picture' })), setReference(name));
}
