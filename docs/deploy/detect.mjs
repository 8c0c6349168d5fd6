// Detect objects with an exported file in Node.js:
//   npm install --ignore-scripts onnxruntime-node jpeg-js
//   node detect.mjs model.onnx photo.jpg [least score]
// In a browser, take onnxruntime-web and the pixels of a canvas; the rest stays as it is.
import { readFileSync } from 'node:fs';
import jpeg from 'jpeg-js';
import * as ort from 'onnxruntime-node';

// The metadata of an ONNX file: field 14 of its protobuf, pairs of strings, ours in JSON.
function metadata(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0, factor = 1, byte;
    do {
      byte = bytes[at++];
      value += (byte & 127) * factor;
      factor *= 128;
    } while (byte & 128);
    return value;
  };
  const text = (from, to) => new TextDecoder().decode(bytes.subarray(from, to));
  const entries = {};
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) === 0) { varint(); continue; }
    const end = varint() + at;
    if (tag >> 3 === 14) {
      varint();
      const keyEnd = varint() + at;
      const key = text(at, keyEnd);
      at = keyEnd;
      varint();
      const valueEnd = varint() + at;
      entries[key] = JSON.parse(text(at, valueEnd));
    }
    at = end;
  }
  return entries;
}

// The size that an image is resized to: it fits into preprocess.scale, as in training.
function resizedSize(width, height, { scale, keep_ratio }) {
  if (!scale) return [width, height];
  if (!keep_ratio) return scale;
  const factor = Math.min(
    Math.max(...scale) / Math.max(width, height),
    Math.min(...scale) / Math.min(width, height),
  );
  return [Math.floor(width * factor + 0.5), Math.floor(height * factor + 0.5)];
}

// RGBA pixels to the planes (1, 3, H, W) that the network wants.
function preprocess({ data, width, height }, meta) {
  const [newWidth, newHeight] = resizedSize(width, height, meta);
  const padded = (side) => Math.ceil(side / meta.pad_divisor) * meta.pad_divisor;
  const [W, H] = [padded(newWidth), padded(newHeight)];
  const planes = new Float32Array(3 * H * W);
  const order = meta.swap_channels ? [0, 1, 2] : [2, 1, 0]; // RGB, or BGR as OpenCV reads it
  const clamp = (v, most) => Math.min(Math.max(v, 0), most);
  for (let y = 0; y < newHeight; y++) {
    const sourceY = clamp(((y + 0.5) * height) / newHeight - 0.5, height - 1);
    const y0 = Math.floor(sourceY), y1 = Math.min(y0 + 1, height - 1), dy = sourceY - y0;
    for (let x = 0; x < newWidth; x++) {
      const sourceX = clamp(((x + 0.5) * width) / newWidth - 0.5, width - 1);
      const x0 = Math.floor(sourceX), x1 = Math.min(x0 + 1, width - 1), dx = sourceX - x0;
      for (let c = 0; c < 3; c++) {
        const pixel = (py, px) => data[4 * (py * width + px) + order[c]];
        const top = pixel(y0, x0) * (1 - dx) + pixel(y0, x1) * dx;
        const bottom = pixel(y1, x0) * (1 - dx) + pixel(y1, x1) * dx;
        const value = Math.round(top * (1 - dy) + bottom * dy);
        planes[(c * H + y) * W + x] = (value - meta.mean[c]) / meta.std[c];
      }
    }
  }
  return { planes, W, H, newWidth, newHeight };
}

const [modelPath, imagePath, leastScore = '0.3'] = process.argv.slice(2);
const modelBytes = readFileSync(modelPath);
const meta = metadata(modelBytes);
const image = jpeg.decode(readFileSync(imagePath), { useTArray: true });
const { planes, W, H, newWidth, newHeight } = preprocess(image, meta.preprocess);
const session = await ort.InferenceSession.create(modelBytes);
const outputs = await session.run({
  images: new ort.Tensor('float32', planes, [1, 3, H, W]),
  sizes: new ort.Tensor('float32', Float32Array.of(newHeight, newWidth), [1, 2]),
});
for (let i = 0; i < Number(outputs.num.data[0]); i++) {
  if (outputs.scores.data[i] < Number(leastScore)) break; // best first
  const [x1, y1, x2, y2] = outputs.boxes.data.slice(4 * i, 4 * i + 4);
  const box = [
    (x1 * image.width) / newWidth, (y1 * image.height) / newHeight,
    (x2 * image.width) / newWidth, (y2 * image.height) / newHeight,
  ];
  const name = meta.classes[Number(outputs.labels.data[i])];
  console.log(`${name} ${outputs.scores.data[i].toFixed(3)} [${box.map((v) => v.toFixed(1)).join(', ')}]`);
}
