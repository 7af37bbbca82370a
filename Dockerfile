# The embedded engine, the web client, and LocalStack with our plugin. Builds with BuildKit and with
# the classic builder, which makes what stands above a target first: the least wanted comes last.
#   docker build --target engine --tag socketstack-engine .
#   docker build --target web --tag socketstack-web .
#   docker build --target localstack --tag socketstack-localstack .
# PYTHON_IMAGE may be any image of Debian's kind with Python 3.11 or newer (3.13 for LocalStack), pip
# and venv; scripts/base-image makes one where no registry can be reached.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS tools
# An index of your own, as pip knows them. They stay in the building stages.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/socketstack
WORKDIR /source
COPY pyproject.toml constraints.txt constraints-localstack.txt ./
RUN python3 -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = p['optional-dependencies']; \
[print(*p['dependencies'], *extras[name], *extras['web'], sep='\n', file=open(name + '.txt', 'w')) \
for name in ('engine', 'localstack')]"

# What changes rarely, in a layer of its own: everything that pip brings.
FROM tools AS libraries
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
RUN /opt/socketstack/bin/pip install --constraint constraints.txt --requirement engine.txt \
    # Comes with cfn-lint, whose data is read and whose code is not run: 70 MB of tests and bytecode.
    && find /opt/socketstack -type d \( -name tests -o -name __pycache__ \) \
        \( -path '*/sympy/*' -o -path '*/networkx/*' -o -path '*/mpmath/*' \) -prune -exec rm -r {} +

# What changes often: our own package, to be laid over the libraries.
FROM tools AS package
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
COPY README.md LICENSE ./
COPY src src
RUN /opt/socketstack/bin/pip install --no-deps --ignore-installed --prefix /package .

FROM ${PYTHON_IMAGE} AS ground
# The system's authorities, to which a company's may have been added, for functions too.
ENV PATH=/opt/socketstack/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin socketstack \
    && chmod 755 /home/socketstack \
    && install --directory --owner 10001 --group 10001 /home/socketstack/.build
WORKDIR /home/socketstack

FROM ground AS base
COPY --from=libraries /opt/socketstack /opt/socketstack
COPY --from=package /package /opt/socketstack
USER 10001

FROM base AS web
# The page's server shares token and push code with the functions. Owned, so that a clone's file
# modes do not matter.
COPY --chown=10001:10001 functions functions
COPY --chown=10001:10001 webclient webclient
ENV WEB_HOST=0.0.0.0 WEB_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python3", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['WEB_PORT']), timeout=4); c.request('GET', '/api/config'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["python3", "-m", "webclient", "serve"]

FROM base AS engine
ENV SOCKETSTACK_HOST=0.0.0.0 SOCKETSTACK_PORT=4566
EXPOSE 4566
# A real call: GetApis, as AWS clients make it. Where IAM is enforced it would be refused, and each
# refusal told on the trace; there the engine's own word has to do.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python3", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['SOCKETSTACK_PORT']), timeout=4); c.request('GET', '/_socketstack/health' if os.environ.get('SOCKETSTACK_IAM') == 'enforce' else '/v2/apis'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["socketstack", "start"]

FROM tools AS localstack-libraries
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
RUN /opt/socketstack/bin/pip install --constraint constraints-localstack.txt --requirement localstack.txt

FROM ground AS localstack
COPY --from=localstack-libraries /opt/socketstack /opt/socketstack
COPY --from=package /package /opt/socketstack
USER 10001
# Its index of plugins is kept there: the user's folder is read-only.
ENV SOCKETSTACK_HOST=0.0.0.0 SOCKETSTACK_PORT=4566 XDG_CACHE_HOME=/tmp/cache
EXPOSE 4566
# A real call that LocalStack itself has to answer, DynamoDB's ListTables: it calls itself healthy
# when its services fail. As above where IAM is enforced.
HEALTHCHECK --interval=5s --timeout=5s --start-period=90s --retries=6 \
    CMD ["python3", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['SOCKETSTACK_PORT']), timeout=4); is_open = os.environ.get('SOCKETSTACK_IAM') != 'enforce'; c.request(*(('POST', '/', '{}', {'X-Amz-Target': 'DynamoDB_20120810.ListTables', 'Content-Type': 'application/x-amz-json-1.0'}) if is_open else ('GET', '/_socketstack/health'))); raise SystemExit(c.getresponse().status != 200)"]
CMD ["socketstack", "start"]
