#!/bin/sh
# The same boxes on 64-bit ARM as here? Runs `lighthead infer` without torch in an arm64 Debian 12
# under qemu's user mode, and compares with this machine: slow, and no statement about speed.
# Needs qemu-aarch64-static (Debian: qemu-user-static) and apt; no root, docker or binfmt. It
# downloads about 110 MB. $PYTHON (python3) has to run `lighthead infer` here, and needs pip.
# Usage: arm64.sh MODEL.onnx FOLDER_OF_PHOTOS [WORK_FOLDER]
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
model=$(realpath "$1") photos=$(realpath "$2") python=${PYTHON:-python3} work=${3:-}
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
mkdir -p "$work" && cd "$work" && work=$(pwd)

# Debian's Python for arm64 and what it links to, from its packages.
mkdir -p apt/lists/partial apt/archives/partial root
release="${DEBIAN_RELEASE:-bookworm}"
echo "deb ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $release main" > apt/sources.list
set -- -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Debug::NoLocking=1 \
  -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
  -o "Dir::State::lists=$work/apt/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$work/apt"
apt-get "$@" update
apt-get "$@" install --download-only --yes --no-install-recommends python3 libstdc++6
for package in apt/archives/*.deb; do dpkg -x "$package" root; done

# lighthead[runtime] with wheels for arm64.
"$python" -m pip wheel --quiet --no-deps --wheel-dir . "$checkout"
platforms=$(printf -- '--platform manylinux_2_%s_aarch64 ' 17 24 26 27 28 31 34)
version=$(ls root/usr/bin | sed -n 's/^python\(3\.[0-9]*\)$/\1/p')
"$python" -m pip install --quiet --upgrade --target site --python-version "$version" \
  --only-binary=:all: --platform manylinux2014_aarch64 $platforms \
  --constraint "$checkout/constraints.txt" "$(ls "$work"/lighthead-*.whl)[runtime]"

# qemu before version 8 shows programs this machine's processors, on which ONNX Runtime stumbles.
mkdir -p root/proc
for number in $(seq 0 $(($(nproc) - 1))); do
  printf 'processor\t: %s\nFeatures\t: fp asimd crc32\nCPU implementer\t: 0x41\n' "$number"
  printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
done > root/proc/cpuinfo

arm() { PYTHONPATH="$work/site" qemu-aarch64-static -L root "root/usr/bin/python$version" "$@"; }
arm -c 'import platform, sys; print(platform.machine(), sys.version)'
set -- -m lighthead infer "$model" "$photos" --format jsonl --no-save-vis --pred-score-thr 0.05 \
  --threads 1
arm "$@" --out-dir arm64
(cd "$checkout" && "$python" "$@" --out-dir "$work/here")
"$python" "$checkout/docs/deploy/compare_boxes.py" here/predictions.jsonl arm64/predictions.jsonl
