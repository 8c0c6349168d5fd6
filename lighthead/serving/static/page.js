// The page: a file or the webcam in, boxes, a list and JSON out.

import { chosen, colourOf, drawBoxes } from './draw.js';
import { follow, grab, inVideo } from './frames.js';
import { listBoxes, listClasses } from './lists.js';
import { download, picture, select } from './save.js';
import { detect, fetchModel } from './server.js';

const MOST_FRAMES = 20000;
const ids = ['model', 'facts', 'view', 'drop', 'file', 'stage', 'image', 'video', 'boxes', 'status',
  'error', 'threshold', 'shown', 'classes', 'webcam', 'json', 'picture', 'table'];
const el = Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));
const hidden = new Set();
let model = null;
let result = null; // of the image or frame that is shown
let frames = null; // of a video: its results so far, with their time
let name = '';
let running = new AbortController();

function begin(title) {
  running.abort();
  running = new AbortController();
  el.video.srcObject?.getTracks().forEach((track) => track.stop());
  for (const view of [el.image, el.video]) {
    if (view.src.startsWith('blob:')) URL.revokeObjectURL(view.src);
    view.removeAttribute('src');
    view.hidden = true;
  }
  el.video.srcObject = null;
  [result, frames, name] = [null, null, title];
  el.webcam.textContent = 'Use webcam';
  [el.error.hidden, el.drop.hidden, el.stage.hidden] = [true, false, true];
  say('');
  update();
  return running.signal;
}

function say(text) {
  el.status.textContent = text;
}

function fail(error) {
  if (error.name === 'AbortError') return;
  say('');
  el.error.textContent = error.message;
  el.error.hidden = false;
}

function busy(seconds) {
  say(`The server is busy with other requests; trying again in ${seconds} s.`);
}

function show(view) {
  el.drop.hidden = true;
  el.stage.hidden = false;
  view.hidden = false;
}

async function open(file) {
  if (!file) return;
  const isVideo = file.type.startsWith('video/');
  const signal = begin(file.name);
  try {
    if (isVideo) await openVideo(URL.createObjectURL(file), signal);
    else await openImage(file, signal);
  } catch (error) {
    fail(error);
  }
}

async function openImage(file, signal) {
  if (model && file.size > model.max_upload_bytes) {
    const [size, limit] = [file.size, model.max_upload_bytes].map((n) => (n / 2 ** 20).toFixed(1));
    throw new Error(`${file.name} has ${size} MiB, and ${limit} MiB is the limit.`);
  }
  say('Detecting...');
  const start = performance.now();
  const [answer, visible] = await Promise.all([detect(file, signal, busy), loadImage(file)]);
  if (signal.aborted) return;
  if (!visible) el.image.src = blank(answer);
  el.image.alt = file.name;
  show(el.image);
  result = answer;
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  const note = visible ? '' : ' The browser cannot show this format; the boxes are right.';
  say(`${answer.width} x ${answer.height} pixels, answered in ${seconds} s.${note}`);
  update();
}

// Whether the browser can show the image.
function loadImage(file) {
  return new Promise((resolve) => {
    el.image.onload = () => resolve(true);
    el.image.onerror = () => resolve(false);
    el.image.src = URL.createObjectURL(file);
  });
}

function blank({ width, height }) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  return canvas.toDataURL();
}

async function openVideo(address, signal) {
  el.video.src = address;
  el.video.controls = true;
  await playable(el.video);
  await watch(signal);
}

function playable(video) {
  return new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(
      `This browser cannot play ${name}: convert it to MP4 (H.264) or WebM.`));
  });
}

async function openWebcam() {
  if (el.video.srcObject) {
    begin('');
    say('The webcam is off.');
    return;
  }
  const signal = begin('webcam');
  try {
    if (!navigator.mediaDevices) {
      throw new Error('The webcam needs https, or the address http://localhost.');
    }
    const stream = await navigator.mediaDevices.getUserMedia({ video: true }).catch((error) => {
      throw new Error(`The webcam cannot be used (${error.message}).`);
    });
    el.video.srcObject = stream;
    el.video.controls = false;
    el.webcam.textContent = 'Stop webcam';
    await playable(el.video);
    await watch(signal);
  } catch (error) {
    fail(error);
  }
}

async function watch(signal) {
  show(el.video);
  frames = [];
  el.video.play().catch(() => {});
  const begun = performance.now();
  let count = 0;
  await follow(el.video, signal, async (time) => {
    const answer = inVideo(await detect(await grab(el.video), signal, busy), el.video);
    if (signal.aborted) return;
    result = answer;
    frames.push({ time: Math.round(time * 1000) / 1000, ...answer });
    if (frames.length > MOST_FRAMES) frames.shift();
    count += 1;
    const speed = (1000 * count) / (performance.now() - begun);
    say(`${count} frames, ${speed.toFixed(1)} per second.`);
    update();
  });
}

function update() {
  const indices = result ? chosen(result, threshold(), hidden) : [];
  el.shown.textContent = threshold().toFixed(2);
  el.json.disabled = el.picture.disabled = !result;
  draw(indices);
  listBoxes(el.table, result, indices);
  const seen = result ? chosen(result, threshold(), new Set()) : [];
  listClasses(el.classes, model, result, seen, hidden, update);
}

function threshold() {
  return Number(el.threshold.value);
}

function draw(indices) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth, clientHeight } = el.stage;
  el.boxes.width = clientWidth * ratio;
  el.boxes.height = clientHeight * ratio;
  if (!result) return;
  const { width, height } = el.boxes;
  drawBoxes(el.boxes.getContext('2d'), result, indices, width, height, ratio);
}

function saveJson() {
  const facts = { file: name, model: model?.model, score_thr: threshold() };
  const only = (found) => select(found, chosen(found, threshold(), hidden));
  const data = frames ? { ...facts, frames: frames.map(only) } : { ...facts, ...only(result) };
  download(new Blob([JSON.stringify(data)], { type: 'application/json' }), name, 'json');
}

function savePicture() {
  const indices = chosen(result, threshold(), hidden);
  const ratio = Math.max(1, result.width / el.stage.clientWidth);
  const canvas = picture(frames ? el.video : el.image, result, indices, ratio);
  canvas.toBlob((blob) => download(blob, name, 'png'));
}

function listen() {
  el.file.onchange = () => {
    open(el.file.files[0]);
    el.file.value = '';
  };
  document.ondragover = (event) => {
    event.preventDefault();
    el.view.classList.add('over');
  };
  document.ondragleave = () => el.view.classList.remove('over');
  document.ondrop = (event) => {
    event.preventDefault();
    el.view.classList.remove('over');
    open(event.dataTransfer.files[0]);
  };
  document.onpaste = (event) => open(event.clipboardData.files[0]);
  el.threshold.oninput = update;
  el.webcam.onclick = openWebcam;
  el.json.onclick = saveJson;
  el.picture.onclick = savePicture;
  new ResizeObserver(update).observe(el.stage);
}

async function start() {
  listen();
  update();
  try {
    model = await fetchModel();
    el.model.textContent = model.model;
    const names = model.classes.slice(0, 12).join(', ');
    const more = model.classes.length > 12 ? ` and ${model.classes.length - 12} more` : '';
    el.facts.textContent = `finds ${names}${more}`;
    el.threshold.value = model.score_thr;
    update();
  } catch (error) {
    fail(error);
  }
}

start();
