# One image for every process: `tidegate gateway`, `tidegate control --apply`, `tidegate migrate`. A gateway needs no
# tidegate.yaml: what it serves comes from the database.
# It runs as user 10001, needs no writable root (only /workspace/.tidegate, a volume or tmpfs), and holds no secret.
#   docker build -t tidegate .
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/tidegate \
    && /opt/tidegate/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/tidegate/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 tidegate \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin tidegate \
    && mkdir -p /workspace/.tidegate \
    && chown -R 10001:10001 /workspace
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIDEGATE_WORKSPACE=/workspace \
    TIDEGATE_LOG_FORMAT=json
USER 10001:10001
WORKDIR /workspace
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import os, ssl, urllib.request as r; r.urlopen(os.environ.get('HEALTH_URL', 'http://127.0.0.1:8080/healthz'), timeout=2, context=ssl._create_unverified_context())"]
ENTRYPOINT ["tidegate"]
CMD ["gateway"]
