#!/bin/bash
# image.sh - builds the container image; what `make image` runs.
#
#     BASE=auto         the base that the Dockerfile names, or local where it can't be had
#     BASE=local        a minimal Debian made here from this machine's package sources
#     BASE=NAME         any other
#     FAISS=auto|plain  see the Dockerfile      TAG=pinsage      VERSION=0.1.0
#
# With docker where an engine answers, else with buildah, as root and without a daemon.
set -eu
cd "$(dirname "$0")/../.."
tag=${TAG:-pinsage} faiss=${FAISS:-auto} base=${BASE:-auto} version=${VERSION:-0.0.0}
work=$PWD/${BUILD:-build}/image
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
say() { echo "image: $*"; }
mkdir -p "$work"

# ---- What is sent: the files of the tree, and FAISS when it was built here before ----

context=$work/context
rm -rf "$context"
mkdir -p "$context"
if revision=$(git describe --tags --always --dirty 2>/dev/null); then
    git ls-files -z --cached --others --exclude-standard |
        tar --null --ignore-failed-read -T - -c 2>/dev/null | tar -x -C "$context"
else
    revision=
    tar --exclude=./build -c . | tar -x -C "$context"
fi
cache=$(deploy/setup/faiss.sh --find "$faiss")
mkdir -p "$context/deploy/image/cache"
if [[ $cache == /* ]] && grep -qx 'platform debian-12-x86_64' "$cache/stamp"; then
    say "takes FAISS from $cache"
    cp -a "$cache" "$context/deploy/image/cache/"
fi

# ---- With what ----

if docker info >/dev/null 2>&1; then
    engine=docker
elif command -v buildah >/dev/null; then
    engine=buildah
    export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
else
    say "neither docker nor buildah is here: deploy/setup/deps.sh image installs one" >&2
    exit 1
fi

# local_base: a Debian from the entries that this machine's apt has, without its vendors'.
local_base()
{
    local entries name=localhost/pinsage-base:$suite container
    if $engine inspect "$name" >/dev/null 2>&1; then
        echo "$name"
        return
    fi
    command -v mmdebstrap >/dev/null || {
        say "no mmdebstrap: deploy/setup/deps.sh image installs it" >&2
        exit 1
    }
    say "makes a base from this machine's package sources" >&2
    mapfile -t entries < <(grep -ls "debian" /etc/apt/sources.list \
        /etc/apt/sources.list.d/debian*.{list,sources} 2>/dev/null)
    mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" \
        "$work/base.tar" "${entries[@]}" >&2
    if [ $engine = docker ]; then
        docker import "$work/base.tar" "$name" >&2
    else
        container=$(buildah from scratch)
        buildah add --quiet "$container" "$work/base.tar" / >&2
        buildah commit --quiet --rm "$container" "$name" >&2
    fi
    rm -f "$work/base.tar"
    echo "$name"
}

if [ "$base" = auto ]; then
    base=$(sed -n 's/^ARG BASE=//p' Dockerfile)
    timeout 120 $engine pull "$base" >/dev/null 2>&1 || base=local
fi
[ "$base" != local ] || base=$(local_base)

say "$engine builds $tag from $base"
arguments=(--build-arg "BASE=$base" --build-arg "FAISS=$faiss" --build-arg "VERSION=$version"
    --build-arg "REVISION=$revision" -t "$tag:$version" -t "$tag:latest")
if [ $engine = docker ]; then
    docker build "${arguments[@]}" "$context"
else
    buildah bud --format docker --network host "${arguments[@]}" "$context"
fi
rm -rf "$context"
say "$tag:$version is ready"
