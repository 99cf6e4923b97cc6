# Dockerfile - the program and the libraries it needs, nothing else: no shell, no packages.
#
#     make image                       with docker, or with buildah where none runs
#     docker build -t pinsage .        the same by hand
#     docker run --read-only -v DIR:/data -p 8080:8080 pinsage
#
# BASE is any Debian 12 or later with apt; nothing of it stays in the last stage.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# auto: FAISS for the processor of the machine that builds, in practice AVX2 (Intel from
# 2013 on, AMD from 2015 on), which searches 3 to 7 times faster; on an older processor the
# program says so and stops. FAISS=plain runs on any x86-64.
ARG FAISS=auto
WORKDIR /src
COPY deploy/setup deploy/setup
# FAISS, when `make image` found it built; the script goes along so that there always is
# something to copy.
ENV XDG_CACHE_HOME=/cache
COPY deploy/image/rootfs.sh deploy/image/cache* /cache/pinsage/
RUN bash deploy/setup/deps.sh build faiss && bash deploy/setup/faiss.sh ${FAISS}
COPY . .
ARG REVISION=
RUN make -j"$(nproc)" FAISS=${FAISS} describe="${REVISION}" && \
    bash deploy/image/rootfs.sh build/pinsage /rootfs

FROM scratch
ARG FAISS=auto
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="pinsage" \
      org.opencontainers.image.description="Related pins from a pin-board graph and content vectors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      pinsage.faiss="${FAISS}"
COPY --from=build /rootfs/ /
# By number, so that a cluster sees that it is not root.
USER 65532:65532
WORKDIR /data
# All addresses, as the container's own are meant to be reached. Flags win over these.
ENV PINSAGE_LISTEN=*:8080 PINSAGE_ADMIN_LISTEN=*:8081
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/pinsage"]
CMD ["serve", "/data"]
