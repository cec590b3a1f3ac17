#!/usr/bin/env bash
# Builds the images: base first, then what stands on it. Skips what has not changed since.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

# Folder and tag; the base comes first.
IMAGES=(base:13 etcd:3.5.16 patroni:4.1.5 haproxy:3.0 pgbouncer:1.24 keepalived:2.3 agent:1 machine:13)
PREFIX=patroni-stack
# Where the base image comes from where no registry can be reached.
BOOTSTRAPPED=$PREFIX/debian:trixie
STOCK=debian:trixie-slim
LABEL=patroni-stack.source

base_from=auto
force=
wanted=()

usage() {
    cat <<TEXT
usage: images/build.sh [--force] [--base auto|pull|debootstrap] [NAME…]

  NAME     one of: ${IMAGES[*]%%:*} (default: all)
  --force  build anew from today's packages, changed or not
  --base   the stock Debian image from a registry (pull), one made here from Debian's
           packages (debootstrap), or whichever works (auto, the default)
TEXT
}

say() { printf '==> %s\n' "$*"; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

scratch=
cleanup() { [ -z "$scratch" ] || as_root rm -rf --one-file-system "$scratch"; }
trap cleanup EXIT

# /var/tmp, as /tmp is often mounted without devices, which debootstrap needs.
new_scratch() {
    cleanup
    scratch=$(mktemp -d -p /var/tmp)
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --force) force=1 ;;
        --base) base_from=${2:-}; shift ;;
        --base=*) base_from=${1#*=} ;;
        -h | --help) usage; exit ;;
        -*) usage >&2; die "unknown option: $1" ;;
        *) wanted+=("$1") ;;
        esac
        shift
    done
    case $base_from in auto | pull | debootstrap) ;; *) usage >&2; die "--base takes auto, pull or debootstrap" ;; esac
    local name
    for name in "${wanted[@]}"; do
        case " ${IMAGES[*]%%:*} " in *" $name "*) ;; *) die "no such image: $name (there are: ${IMAGES[*]%%:*})" ;; esac
    done
}

# Whether an image was asked for by name; the base is always looked at.
is_wanted() {
    [ ${#wanted[@]} = 0 ] || [ "$1" = base ] || [[ " ${wanted[*]} " == *" $1 "* ]]
}

# Named images are forced alone, without their base.
is_forced() {
    [ -n "$force" ] && { [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]]; }
}

# --- the stock Debian --------------------------------------------------------

pull_debian() {
    say "pulling $STOCK"
    # The engine itself gives up soon where nothing answers; a slow line may take its time.
    timeout 120 docker pull --quiet "$STOCK" >/dev/null 2>&1
}

# This host's own mirror of the archive ($1 nothing) or of its security part ($1 "-security"), if it is a Debian.
mirror() {
    local fallback=$2 found=
    # shellcheck source=/dev/null
    if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
        # shellcheck disable=SC2016 # apt expands these
        found=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
            awk -v want="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")$1" '
                $1 == want && $2 ~ /^http:/ { sub("/$", "", $2); print $2; exit }')
    fi
    echo "${found:-$fallback}"
}

bootstrap_debian() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg script=/usr/share/debootstrap/scripts/trixie
    local archive security root
    command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ] || die "debootstrap is missing: ./dev prepare installs it"
    [ -e "$keyring" ] || die "the package debian-archive-keyring is missing: ./dev prepare installs it"
    # An older debootstrap knows all Debians by the same script.
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    archive=$(mirror "" http://deb.debian.org/debian)
    security=$(mirror -security http://deb.debian.org/debian-security)
    new_scratch
    root=$scratch/root
    say "bootstrapping Debian 13 from $archive"
    if ! as_root env PATH="$PATH:/usr/sbin:/sbin" debootstrap --variant=minbase --keyring="$keyring" \
        trixie "$root" "$archive" "$script" >"$scratch/log" 2>&1; then
        tail -n 20 "$scratch/log" >&2
        if grep -qi 'unknown key\|invalid release signature' "$scratch/log"; then
            die "this host's debian-archive-keyring is too old to verify Debian 13: update that package, or use --base pull"
        fi
        die "debootstrap failed"
    fi
    as_root rm -f "$root/etc/apt/sources.list"
    as_root tee "$root/etc/apt/sources.list.d/debian.sources" >/dev/null <<SOURCES
Types: deb
URIs: $archive
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    # What base/slim.conf keeps out later, too. The host's resolver is no business of the image.
    as_root tar -C "$root" -c --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/info/*' --exclude='./var/lib/apt/lists/*' \
        --exclude='./var/cache/apt/*' --exclude='./dev/*' --exclude=./etc/resolv.conf . |
        docker import --change 'CMD ["bash"]' - "$BOOTSTRAPPED" >/dev/null
}

# Sets `debian` to the image that the base is built from.
stock_debian() {
    if [ "$base_from" != debootstrap ]; then
        debian=$STOCK
        if ! is_forced base && docker image inspect "$STOCK" >/dev/null 2>&1; then return; fi
        if pull_debian; then return; fi
        [ "$base_from" = auto ] || die "cannot pull $STOCK"
        say "no registry answers"
    fi
    debian=$BOOTSTRAPPED
    if is_forced base || ! docker image inspect "$BOOTSTRAPPED" >/dev/null 2>&1; then bootstrap_debian; fi
}

# --- building ----------------------------------------------------------------

# Names, modes and contents of a folder, and the image that it stands on.
source_hash() {
    { echo "$2" && (cd "$1" && find . -type f -printf '%m ' -exec sha256sum {} + | LC_ALL=C sort); } |
        sha256sum | cut -d' ' -f1
}

built_hash() {
    docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$1" 2>/dev/null || true
}

host_certificates() {
    local file
    for file in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}" /etc/ssl/certs/ca-certificates.crt; do
        if [ -s "$file" ]; then cat "$file"; return; fi
    done
}

# Builds folder $1 as $2 with source hash $3; further arguments go to docker build.
build() {
    local name=$1 tag=$2 hash=$3 key
    local options=(--force-rm --network host --tag "$tag" --label "$LABEL=$hash" "${@:4}")
    for key in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        if [ -n "${!key:-}" ]; then options+=(--build-arg "$key"); fi
    done
    if [ "$name" = patroni ] && [ -n "${PIP_INDEX_URL:-}" ]; then options+=(--build-arg PIP_INDEX_URL); fi
    # A copy, as the host's certificates are added, and never to the repository.
    new_scratch
    cp -R "$name" "$scratch/context"
    if [ "$name" = patroni ]; then host_certificates >"$scratch/context/ca-certificates.crt"; fi
    if ! docker build "${options[@]}" "$scratch/context" >"$scratch/log" 2>&1; then
        tail -n 40 "$scratch/log" >&2
        die "building $tag failed"
    fi
}

report=()
base_id=
make_image() {
    local name=${1%%:*} tag=$PREFIX/$1 hash state=unchanged started=$SECONDS options=() debian=
    is_wanted "$name" || return 0
    hash=$(source_hash "$name" "$base_id")
    if is_forced "$name" || [ "$(built_hash "$tag")" != "$hash" ]; then
        if [ "$name" = base ]; then
            stock_debian
            options+=(--build-arg "DEBIAN=$debian")
        fi
        # Without names the new base makes all layers on it new, while they still share what they have in common.
        if is_forced "$name" && { [ "$name" = base ] || [ ${#wanted[@]} -gt 0 ]; }; then options+=(--no-cache); fi
        say "building $tag"
        build "$name" "$tag" "$hash" "${options[@]}"
        state="built in $((SECONDS - started)) s"
    fi
    [ "$name" != base ] || base_id=$(docker image inspect --format '{{.Id}}' "$tag")
    report+=("$(docker image inspect --format "$(printf '%-28s {{slice .Id 7 19}}  %6s  %s' "$tag" '{{.Size}}' "$state")" "$tag")")
}

main() {
    parse "$@"
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
        die "no Docker engine answers (./dev prepare installs and starts one; a plain user has to be in the group docker)"
    local image
    for image in "${IMAGES[@]}"; do make_image "$image"; done
    # What was replaced, unless something still runs on it.
    docker image prune --force --filter "label=$LABEL" >/dev/null
    printf '%s\n' "${report[@]}" | awk '{ size = $3; rest = $0; sub(/^[^ ]+ +[^ ]+ +[^ ]+ +/, "", rest)
        printf "%-30s %s  %4d MB  %s\n", $1, $2, size / 1000000, rest }'
}

main "$@"
