// The list of boxes, and the classes with their numbers.

import { colourOf } from './draw.js';

export function listBoxes(table, result, indices) {
  table.hidden = !indices.length;
  table.tBodies[0].replaceChildren(...indices.map((index) => {
    const row = document.createElement('tr');
    const box = result.boxes[index].map(Math.round).join(', ');
    for (const text of [result.names[index], result.scores[index].toFixed(2), box]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
}

// A button for each class among the detections seen: it hides the class, or shows it again.
export function listClasses(group, model, result, seen, hidden, update) {
  const counts = new Map();
  for (const index of seen) {
    const label = result.labels[index];
    counts.set(label, (counts.get(label) || 0) + 1);
  }
  for (const label of hidden) if (!counts.has(label)) counts.set(label, 0);
  const labels = [...counts.keys()].sort((a, b) => a - b);
  group.replaceChildren(...labels.map((label) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${model?.classes[label] ?? label} ${counts.get(label)}`;
    button.style.borderColor = colourOf(label);
    button.setAttribute('aria-pressed', String(!hidden.has(label)));
    button.onclick = () => {
      if (!hidden.delete(label)) hidden.add(label);
      update();
    };
    return button;
  }));
  if (result && !counts.size) {
    const best = result.scores.length ? `; the best score is ${result.scores[0].toFixed(2)}` : '';
    group.textContent = `Nothing at this threshold${best}.`;
  }
}
