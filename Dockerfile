# The image of signicat-proxy: Python, the locked requirements, and the compiled proxy.
#
# BUILDER compiles and stays behind; the image is BASE's. Both have the same Python at the same
# place. A tag can be moved. To fix the very bytes, take the digests of both from your registry
# and build with them:
#   docker buildx imagetools inspect python:3.13.16-slim-bookworm
#   docker buildx imagetools inspect python:3.13.16-bookworm
#   docker build --build-arg BASE=python:3.13.16-slim-bookworm@sha256:… \
#     --build-arg BUILDER=python:3.13.16-bookworm@sha256:… .
ARG BASE=python:3.13.16-slim-bookworm
ARG BUILDER=python:3.13.16-bookworm

FROM ${BUILDER} AS build
# For networks that have an index of their own; the hashes hold whichever it is.
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# pip in /app imports what it finds there, and would leave bytecode that differs from build to build.
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
# Two environments: /app goes into the image and has no pip; /tools stays behind, and so does
# the compiler. Wheels only: what is installed runs no code of its own.
COPY requirements/compile.txt requirements/runtime.txt requirements/
RUN python -m venv --without-pip /app \
    && python -m venv /tools \
    && /tools/bin/python -m pip install --only-binary :all: --require-hashes -r requirements/compile.txt \
    && /tools/bin/python -m pip --python /app/bin/python install --no-compile --only-binary :all: --require-hashes -r requirements/runtime.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY proxy proxy
# mypyc reads the types of the requirements where they are installed, in /app.
#
# Nothing can be written at run time, and the base has no bytecode of the standard library:
# without this every start would compile some 400 modules. Hashes in place of times: a layer
# that changes a source is noticed whatever its times are, and each build makes the same bytes.
RUN COMPILE_FOR=/app/bin/python /tools/bin/python -m pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && /tools/bin/python -m pip --python /app/bin/python install --no-compile --no-index --no-deps --find-links dist signicat-proxy \
    && PYTHONPYCACHEPREFIX=/app/bytecode /app/bin/python -m compileall -q -j 0 --invalidation-mode checked-hash \
    -x '/(ensurepip|idlelib|pydoc_data|test|tkinter|turtledemo|site-packages/pip)/' \
    /app/lib "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

FROM ${BASE}
ARG BASE
ARG VERSION=1.0.0
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
# Where BASE and BUILDER do not fit each other, let it be seen here and not where it is deployed:
# all that `run` imports is there, and what was compiled is what gets imported.
RUN ["python", "-c", "import proxy.server.process, proxy.build; assert proxy.build.build() == 'compiled'"]
# No EXPOSE: the ports are loopback's own unless LISTEN says otherwise, and `docker run -P`
# would publish them on every address of the host.
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s CMD ["signicat-proxy", "health"]
# The first process of a container loses signals that it has no handler for, and a busy machine
# takes its time to start Python: `env` blocks them until signicat-proxy has its handlers.
ENTRYPOINT ["env", "--block-signal=TERM,INT", "signicat-proxy"]
CMD ["run"]
