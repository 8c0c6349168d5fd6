// Results as files.

import { drawBoxes } from './draw.js';

// Some detections of a result.
export function select(result, indices) {
  const kept = ['boxes', 'scores', 'labels', 'names'].map((key) =>
    [key, indices.map((index) => result[key][index])]);
  return { ...result, ...Object.fromEntries(kept) };
}

// An image, or a video's frame, with boxes, on a canvas of its own size.
export function picture(view, result, indices, ratio) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [result.width, result.height];
  const context = canvas.getContext('2d');
  context.drawImage(view, 0, 0, canvas.width, canvas.height);
  drawBoxes(context, result, indices, canvas.width, canvas.height, ratio);
  return canvas;
}

export function download(blob, name, suffix) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/\.\w+$/, '') || 'detections'}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
