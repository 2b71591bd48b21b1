# SPDX-License-Identifier: Apache-2.0
#
# The driver, and of Debian's packages just what a GlusterFS client needs. For both architectures at once:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.2.0 -t glusterfs-csi:v0.2.0 .
#
# Nothing of the other architecture runs while building: Go cross-compiles, and packages are only unpacked.

FROM --platform=$BUILDPLATFORM docker.io/library/debian:bookworm-slim AS packages
ARG TARGETARCH
WORKDIR /packages
# What the programs and translators of hack/image/pick link. A library that is missing here ends the build below.
RUN dpkg --add-architecture $TARGETARCH \
 && apt-get update -qq \
 && for package in glusterfs-client glusterfs-common libglusterfs0 libgfrpc0 libgfxdr0 \
        libc6 libgcc-s1 gcc-12-base libssl3 libtirpc3 libgssapi-krb5-2 libkrb5-3 libkrb5support0 libk5crypto3 libkeyutils1 libcom-err2 \
        libuuid1 zlib1g libacl1 mount libmount1 libblkid1 libselinux1 libpcre2-8-0; \
    do apt-get download -qq -o APT::Sandbox::User=root $package:$TARGETARCH || exit; done \
 && mkdir unpacked && for file in *.deb; do dpkg-deb -x $file unpacked/${file%.deb} || exit; done

FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26-bookworm AS build
ARG TARGETARCH
ARG VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY pkg pkg
COPY hack/image/pick hack/image/pick
COPY --from=packages /packages/unpacked /unpacked
RUN CGO_ENABLED=0 go run ./hack/image/pick /unpacked /root-of-image
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /root-of-image/usr/bin/glusterfs-csi ./cmd/glusterfs-csi

FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="glusterfs-csi" \
      org.opencontainers.image.description="Directories of a GlusterFS volume as Kubernetes volumes" \
      org.opencontainers.image.source="https://github.com/glusterfs-csi/glusterfs-csi" \
      org.opencontainers.image.documentation="https://github.com/glusterfs-csi/glusterfs-csi/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-only AND LGPL-3.0-or-later" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /root-of-image /
ENV PATH=/usr/sbin:/usr/bin
# What is in here: /usr/share/glusterfs-csi/contents.txt, with the licences in /usr/share/doc.
ENTRYPOINT ["/usr/bin/glusterfs-csi"]
