// Frames of a video or of the webcam: they are read in the browser and sent one after the other.

const LONG_SIDE = 1280;
const canvas = document.createElement('canvas');

// A frame as a JPEG file, with a long side of 1280 pixels at most.
export function grab(video) {
  const { videoWidth: width, videoHeight: height } = video;
  const factor = Math.min(1, LONG_SIDE / Math.max(width, height));
  canvas.width = Math.round(width * factor);
  canvas.height = Math.round(height * factor);
  canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('No frame can be read.'))),
      'image/jpeg', 0.9);
  });
}

// The detections of a frame in the pixels of the video.
export function inVideo(result, video) {
  const { videoWidth: width, videoHeight: height } = video;
  const factors = [width / result.width, height / result.height];
  const boxes = result.boxes.map((box) =>
    box.map((value, side) => Math.round(1000 * value * factors[side % 2]) / 1000));
  return { ...result, width, height, boxes };
}

// Until a frame is on the screen: before that, some browsers read a black one.
function painted(video) {
  return new Promise((resolve) => {
    setTimeout(resolve, 2000);
    video.requestVideoFrameCallback?.(resolve);
  });
}

// Call detect(time) for the frame that is shown, until the signal; a frame is not asked twice.
export async function follow(video, signal, detect) {
  let last = -1;
  await painted(video);
  while (!signal.aborted) {
    if (video.readyState >= 2 && video.videoWidth && video.currentTime !== last) {
      last = video.currentTime;
      await detect(last);
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
