// A click or Enter on a column's head sorts by it: numbers by value, '-' last.
function value(row, index) {
  const text = row.cells[index].textContent.replace('~', '').trim();
  const number = parseFloat(text);
  return text === '-' || text === '' ? null : isNaN(number) ? text : number;
}
function sortBy(head) {
  const row = head.parentNode, index = [...row.cells].indexOf(head);
  const up = head.getAttribute('aria-sort') !== 'ascending', sign = up ? 1 : -1;
  for (const cell of row.cells) cell.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const body = head.closest('table').tBodies[0];
  body.append(...[...body.rows].sort((a, b) => {
    const x = value(a, index), y = value(b, index);
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === typeof y ? (x > y) - (x < y) : typeof x === 'number' ? -1 : 1);
  }));
}
for (const head of document.querySelectorAll('thead th')) {
  head.addEventListener('click', () => sortBy(head));
  head.addEventListener('keydown', event => { if (event.key === 'Enter') sortBy(head); });
}
