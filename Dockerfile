FROM python:3.13.16-slim-trixie AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /app
COPY scripts/uv.txt scripts/
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --require-hashes --requirement scripts/uv.txt
# The packages first: they change less often than the code, so most builds take them from the layer cache.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-project
COPY saga saga
COPY adapters adapters
COPY api api
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-editable

FROM python:3.13.16-slim-trixie
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Batuta" \
      org.opencontainers.image.description="An event-driven saga orchestrator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
RUN groupadd --gid 10001 batuta \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin batuta \
    && install --directory --owner 10001 --group 10001 /var/lib/batuta
COPY --from=build /app/.venv /app/.venv
# Listening beyond loopback is refused without SAGA_API_TOKENS. Mount a volume on the folder
# of the embedded default to keep its processes, and to run with a read-only root.
ENV PATH="/app/.venv/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SAGA_DATA=/var/lib/batuta \
    SAGA_HTTP_HOST=0.0.0.0
WORKDIR /var/lib/batuta
USER 10001:10001
EXPOSE 8003
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('SAGA_HTTP_PORT', '8003') + '/readyz', timeout=4)"]
ENTRYPOINT ["saga"]
CMD ["serve"]
