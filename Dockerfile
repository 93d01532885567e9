# The playground for one NVIDIA GPU; without one it answers on the CPU. The base brings the libraries
# of the driver's side, torch its own CUDA.
#   docker build -t playground .
#   docker run --gpus all -p 7860:7860 -v playground:/data playground --accounts
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04

FROM ${BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY playground playground
COPY finetune finetune
RUN python3 -m venv /opt/playground \
    && /opt/playground/bin/python -m pip install --no-cache-dir -c constraints.txt '.[postgresql,oidc]'

FROM ${BASE}
# Triton compiles a launcher for each kernel.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev python3 python3-dev \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 playground \
    && install -d -o playground /data
COPY --from=build /opt/playground /opt/playground
ENV PATH=/opt/playground/bin:$PATH \
    PLAYGROUND_HOME=/data \
    PLAYGROUND_SERVER__HOST=0.0.0.0 \
    HF_HOME=/data/huggingface \
    PYTHONUNBUFFERED=1
USER 10001
VOLUME /data
EXPOSE 7860
STOPSIGNAL SIGTERM
# A 24B model takes minutes to load; until then the page answers and says so.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/ready', timeout=4)"]
ENTRYPOINT ["playground"]
