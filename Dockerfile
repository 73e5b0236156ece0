# The production image: the server and nothing else. `docker build -t crayon-server .`
# It runs the web process; `docker run … crayon-server python manage.py worker` runs a worker.
# Pinned, since workers read what flyctl prints. Try another one with --build-arg FLYCTL_VERSION=v0.x.y
ARG FLYCTL_VERSION=v0.4.101

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/venv
WORKDIR /app
COPY requirements/production.txt requirements/
# Only wheels: no dependency's own build script runs here, and no compiler is needed.
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r requirements/production.txt
COPY . .
# Settings are read whole or not at all, so the static files need some too; these reach nothing.
RUN SECRET_KEY=only-for-this-build-step \
    ENCRYPTION_KEYS=1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    PUBLIC_URL=https://build.invalid \
    DATABASE_URL=postgres://build@build.invalid/build \
    /opt/venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && /opt/venv/bin/python -m compileall -q accounts buildkit clouddev config deployments integrations

# What workers build apps with.
FROM flyio/flyctl:${FLYCTL_VERSION} AS flyctl

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin crayon
WORKDIR /app
# Root owns the code; the server can read it and write nothing but /tmp.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY --from=flyctl /flyctl /usr/local/bin/flyctl
USER 10001
EXPOSE 3000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, tomllib, urllib.request as r; e = os.environ.get; f = tomllib.load(open(e('CONFIG_FILE'), 'rb')) if e('CONFIG_FILE') else {}; p = e('BIND') or e('PORT') or str(f.get('server', {}).get('http_port', 3000)); r.build_opener(r.ProxyHandler({})).open('http://localhost:' + p.rsplit(':', 1)[-1] + '/_/health', timeout=4)"]
CMD ["gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi:application"]
