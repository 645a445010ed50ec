// A row of scenes to choose from.

const root = element.querySelector('.scene-list');

function show() {
  const { title, empty, scenes = [] } = props.value || {};
  const heading = document.createElement('h2');
  heading.className = 'shelf-title';
  heading.textContent = title;
  const list = document.createElement('div');
  list.className = 'shelf';
  for (const scene of scenes) {
    const card = document.createElement('button');
    card.type = 'button';
    card.dataset.id = scene.id;
    const image = document.createElement('img');
    image.src = scene.picture;
    image.alt = '';
    const name = document.createElement('span');
    name.className = 'name';
    name.textContent = scene.name;
    const when = document.createElement('span');
    when.className = 'when';
    when.textContent = scene.when || '';
    card.append(image, name, when);
    card.addEventListener('click', () => trigger('choose', { id: scene.id }));
    list.append(card);
  }
  const nothing = document.createElement('p');
  nothing.className = 'shelf-empty';
  nothing.textContent = empty;
  root.replaceChildren(...(title ? [heading] : []), scenes.length ? list : empty ? nothing : '');
}

watch('value', show);
show();
