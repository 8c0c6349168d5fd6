// What the page asks of the server.

const LOST = 'The server cannot be reached: is lighthead demo still running?';

export async function fetchModel() {
  return (await ask('model')).json();
}

// The detections of an image; while the server is busy, onBusy(seconds) is called and it is
// asked again.
export async function detect(blob, signal, onBusy) {
  for (;;) {
    const response = await ask('detect?score_thr=0', { method: 'POST', body: blob, signal });
    if (response.ok) return response.json();
    if (response.status !== 503) throw new Error(await reason(response));
    const seconds = Number(response.headers.get('Retry-After')) || 1;
    onBusy(seconds);
    await pause(seconds * 1000, signal);
  }
}

async function ask(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Error(LOST);
  }
}

async function reason(response) {
  const data = await response.json().catch(() => ({}));
  return data.detail || `The server answered with status ${response.status}.`;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
