# Prefect's server for the flows; its pins are those that work together, see requirements.txt.
FROM python:3.11.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PREFECT_HOME=/prefect PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=true
RUN pip install --no-cache-dir --disable-pip-version-check prefect==3.8.8 fastapi==0.149.0 sqlalchemy==2.0.58 \
    && useradd --uid 10001 --no-create-home prefect && mkdir /prefect && chown prefect /prefect
ENV HOME=/tmp
USER 10001
WORKDIR /prefect
