# lighthead on a CPU, with ONNX Runtime: docker build -t lighthead . && docker run lighthead info
# --build-arg TORCH_INDEX=ADDRESS takes torch's CPU wheels, which need no CUDA libraries (5 GB less);
# "Start Locally" on pytorch.org shows the address of their index. Headless OpenCV needs no libGL.
FROM python:3.11-slim

WORKDIR /lighthead
COPY pyproject.toml setup.py constraints.txt README.md LICENSE THIRD_PARTY_NOTICES.md ./
COPY lighthead lighthead
COPY configs configs

# torch and torchvision come as a pair from one index.
ARG TORCH_INDEX=
RUN PIP_INDEX_URL=$TORCH_INDEX pip install --no-cache-dir --only-binary=:all: \
        torch==2.11.0 torchvision==0.26.0 \
    && grep -vE '^(torch|torchvision|opencv-python)==' constraints.txt > /tmp/constraints.txt \
    && pip install --no-cache-dir --only-binary=:all: -c /tmp/constraints.txt setuptools \
    && pip install --no-cache-dir -c /tmp/constraints.txt --no-build-isolation '.[lite,export]' \
    && pip uninstall -y opencv-python \
    && pip install --no-cache-dir --only-binary=:all: opencv-python-headless==5.0.0.93

WORKDIR /work
ENTRYPOINT ["lighthead"]
CMD ["--help"]
