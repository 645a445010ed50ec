// A table of systems that sorts by any column; a row opens the videos behind it.
// {title, note, columns: [{name, hint}], rows: [{id, name, kind, cells: [{text, number, hint, emphasis}]}], empty}

const root = element.querySelector('.league');

let sorted = null, down = true, chosen = null;

function show() {
  const value = props.value || {};
  const { columns = [], rows = [] } = value;
  if (!rows.length) { root.replaceChildren(node('p', { class: 'empty', text: value.empty || '' })); return; }
  const order = sorted === null ? rows : ranked(rows, (row) => row.cells[sorted].number, down);
  const head = node('tr', {}, node('th', { scope: 'col', text: 'System' }), ...columns.map((column, index) => node('th', { scope: 'col', title: column.hint, 'aria-sort': sorted === index ? (down ? 'descending' : 'ascending') : 'none' },
    node('button', { type: 'button', text: column.name + (sorted === index ? (down ? ' ▾' : ' ▴') : ''), onclick: () => { down = sorted === index ? !down : true; sorted = index; show(); } }))));
  const body = order.map((row) => node('tr', { class: `${row.kind} ${row.id && row.id === chosen ? 'chosen' : ''}` },
    node('th', { scope: 'row' }, row.id ? node('button', { type: 'button', class: 'open-row', 'data-system': row.id, text: row.name, onclick: () => { chosen = row.id; show(); trigger('choose', { id: row.id }); } }) : node('span', { text: row.name })),
    ...row.cells.map((cell) => node('td', { title: cell.hint, class: cell.emphasis }, node('span', { text: cell.text })))));
  root.replaceChildren(node('h3', { text: value.title }), node('div', { class: 'scroll' }, node('table', {}, node('thead', {}, head), node('tbody', {}, ...body))), node('p', { class: 'note', text: value.note || '' }));
}

watch('value', () => { sorted = null; chosen = null; show(); });
show();
