#!/bin/sh
# The same boxes on 64-bit ARM as here? Runs detect.py in an arm64 Debian under qemu, without
# torch: slow, and no statement about speed. Needs docker (or podman) with binfmt for arm64:
#   docker run --privileged --rm tonistiigi/binfmt --install arm64
# Usage: arm64.sh MODEL.onnx PHOTO
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/detect.py" "$work/"
cp "$1" "$work/model.onnx"
cp "$2" "$work/photo"
"${DOCKER:-docker}" run --rm --platform linux/arm64 -v "$work:/work" -w /work python:3.11-slim sh -c '
  pip install --quiet numpy onnxruntime opencv-python-headless &&
  python -c "import platform; print(platform.machine())" && python detect.py model.onnx photo 0.05' \
  > "$work/arm64"
head -n 1 "$work/arm64" | grep -q aarch64
python3 "$here/detect.py" "$work/model.onnx" "$work/photo" 0.05 > "$work/here"
tail -n +2 "$work/arm64" | diff "$work/here" - && echo "the same $(wc -l < "$work/here") boxes"
