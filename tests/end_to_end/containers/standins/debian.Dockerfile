# A program of Debian's packages as its own image has it: nobody's, with the program as entry and a folder for its data.
ARG BASE
FROM ${BASE}
ARG PACKAGE
ARG FOLDER
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGE}" \
    && ln -s "/usr/bin/${PACKAGE}" /entry && mkdir -p "${FOLDER}" && chown 65534:65534 "${FOLDER}"
USER 65534:65534
ENTRYPOINT ["/entry"]
