# The image of signicat-proxy: Python, the locked requirements, and the proxy.
#
# A tag can be moved. To fix the very bytes, take its digest from your registry and build with it:
#   docker buildx imagetools inspect python:3.13.16-slim-bookworm
#   docker build --build-arg BASE=python:3.13.16-slim-bookworm@sha256:… .
ARG BASE=python:3.13.16-slim-bookworm

FROM ${BASE} AS build
# For networks that have an index of their own; the hashes hold whichever it is.
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Two environments: /app goes into the image and has no pip; /tools stays behind. Wheels
# only: no package's own code runs here, and no compiler is needed.
COPY requirements-build.txt requirements.txt ./
RUN python -m venv --without-pip /app \
    && python -m venv /tools \
    && /tools/bin/python -m pip install --only-binary :all: --require-hashes -r requirements-build.txt \
    && /tools/bin/python -m pip --python /app/bin/python install --no-compile --only-binary :all: --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
# Nothing can be written at run time, and the base has no bytecode of the standard library:
# without this every start would compile some 400 modules. Hashes in place of times: a layer
# that changes a source is noticed whatever its times are, and each build makes the same bytes.
RUN /tools/bin/python -m pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && /tools/bin/python -m pip --python /app/bin/python install --no-compile --no-index --no-deps --find-links dist signicat-proxy \
    && PYTHONPYCACHEPREFIX=/app/bytecode /app/bin/python -m compileall -q -j 0 --invalidation-mode checked-hash \
    -x '/(ensurepip|idlelib|pydoc_data|test|tkinter|turtledemo|site-packages/pip)/' \
    /app/lib "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="signicat-proxy" \
      org.opencontainers.image.description="Local authenticating reverse proxy for the Signicat APIs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
# Whoever gets in shall find nothing that installs.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip /usr/local/lib/python3.*/site-packages/pip*
COPY --from=build /app /app
ENV PATH=/app/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/app/bytecode
USER 10001:10001
WORKDIR /app
# No EXPOSE: the ports are loopback's own unless LISTEN says otherwise, and `docker run -P`
# would publish them on every address of the host.
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s CMD ["signicat-proxy", "health"]
# The first process of a container loses signals that it has no handler for, and a busy machine
# takes its time to start Python: `env` blocks them until signicat-proxy has its handlers.
ENTRYPOINT ["env", "--block-signal=TERM,INT", "signicat-proxy"]
CMD ["run"]
