ARG BASE
FROM ${BASE}
COPY requirements-embedded.txt requirements-monitoring.txt requirements.lock /build/
RUN pip install --no-cache-dir -r /build/requirements-embedded.txt pymongo -c /build/requirements.lock
COPY tests/end_to_end/containers/standins/mongo.py /mongo.py
COPY tests/end_to_end/containers/standins/mongosh /usr/local/bin/mongosh
RUN chmod 755 /usr/local/bin/mongosh && mkdir -p /data/db && chown 999:999 /data/db
CMD ["python", "/mongo.py"]
