// Boxes on a canvas, in the colours of lighthead infer.

const GOLDEN = 0.618034;

const SHADES = [[0.85, 0.95], [0.6, 1], [0.95, 0.7]]; // saturation and value, as in drawing.py

// Red, green and blue, 0 to 255.
function rgbOf(label) {
  const hue = 6 * ((0.02 + label * GOLDEN) % 1);
  const [saturation, value] = SHADES[Math.floor(label / 8) % 3];
  return [5, 3, 1].map((step) => {
    const place = (step + hue) % 6;
    return Math.round(255 * value * (1 - saturation * Math.max(0, Math.min(place, 4 - place, 1))));
  });
}

export function colourOf(label) {
  return `rgb(${rgbOf(label).join(' ')})`;
}

// Black or white, whichever can be read on the colour.
function textOf(label) {
  const [red, green, blue] = rgbOf(label);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? '#000' : '#fff';
}

// Which detections are shown: indices, best first.
export function chosen(result, threshold, hidden) {
  return result.scores
    .map((score, index) => index)
    .filter((i) => result.scores[i] >= threshold && !hidden.has(result.labels[i]));
}

// Draw into a canvas of width x height pixels; ratio is the number of them for one of the page.
export function drawBoxes(context, result, indices, width, height, ratio) {
  const line = 2 * ratio;
  const size = Math.max(11, Math.min(15, width / ratio / 30)) * ratio;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = 'top';
  context.lineWidth = line;
  for (const index of [...indices].reverse()) {
    const [x1, y1, x2, y2] = result.boxes[index].map((value, side) =>
      side % 2 ? (value * height) / result.height : (value * width) / result.width);
    const colour = colourOf(result.labels[index]);
    context.strokeStyle = colour;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const text = `${result.names[index]} ${result.scores[index].toFixed(2)}`;
    const wide = context.measureText(text).width + size / 2;
    const tall = size * 1.35;
    const left = Math.max(0, Math.min(x1 - line / 2, width - wide));
    const top = y1 - tall >= 0 ? y1 - tall : Math.min(y1, height - tall);
    context.fillStyle = colour;
    context.fillRect(left, top, wide, tall);
    context.fillStyle = textOf(result.labels[index]);
    context.fillText(text, left + size / 4, top + size * 0.18);
  }
}
