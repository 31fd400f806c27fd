# The driftline image: every command of the command line, from the lock, as a user without rights.
FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/driftline
# The libraries first: this layer stays as long as the lock does. --no-deps keeps out what the lock leaves out.
COPY requirements.lock ./
RUN /opt/driftline/bin/pip install --no-deps --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY driftline driftline
COPY offline offline
COPY producers producers
COPY schemas schemas
COPY stream_app stream_app
RUN /opt/driftline/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim

# libgomp is xgboost's.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/driftline driftline \
    && install -d -o driftline -g driftline /var/lib/driftline/home /var/cache/driftline
COPY --from=build /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/driftline \
    DO_NOT_TRACK=1 \
    DRIFTLINE_HOME=/var/lib/driftline/home
USER driftline
WORKDIR /var/lib/driftline
# Compile the kernels now, so that a container does not start by compiling. On another kind of processor it compiles anew.
COPY deploy/warm_kernels.py /opt/driftline/warm_kernels.py
RUN python /opt/driftline/warm_kernels.py
VOLUME ["/var/lib/driftline/home"]
CMD ["driftline", "--help"]
