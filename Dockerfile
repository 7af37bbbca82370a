# The embedded engine and the web client. Builds with BuildKit and with the classic builder.
# PYTHON_IMAGE may be any Debian image with Python 3.11 or newer, pip and venv.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python3 -m venv /opt/socketstack
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN /opt/socketstack/bin/pip install --constraint constraints.txt ".[engine,web]"

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/socketstack/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin socketstack
COPY --from=build /opt/socketstack /opt/socketstack
USER socketstack
WORKDIR /home/socketstack

FROM base AS web
# The page's server shares the push library with the functions.
COPY webclient webclient
COPY functions functions
ENV WEB_HOST=0.0.0.0 WEB_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f'http://localhost:{os.environ[\"WEB_PORT\"]}/api/config', timeout=4)"]
CMD ["python3", "-m", "webclient", "serve"]

FROM base AS engine
ENV SOCKETSTACK_HOST=0.0.0.0 SOCKETSTACK_PORT=4566
EXPOSE 4566
# A call of the control plane, not just an open port.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f'http://localhost:{os.environ[\"SOCKETSTACK_PORT\"]}/v2/apis', timeout=4)"]
CMD ["socketstack", "start"]
