#!/bin/sh
# Passwords for docker-compose.yaml, printed as the lines of an .env file: 32 hexadecimal digits each, which need no quotes in an address.
set -eu
for name in MONGODB_PASSWORD MLFLOW_PASSWORD MLFLOW_SECRET_KEY PREFECT_PASSWORD GRAFANA_PASSWORD; do
    echo "$name=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
done
