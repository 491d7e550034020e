#!/bin/sh
# Prints the directory of the Python packages of an SMTP server to test with: aiosmtpd and what it
# needs. Production uses the mail server that is there.
#
#   deploy/smtp-server.sh            $TIELINE_SMTP_SERVER, else the pinned packages
#
# The packages are taken through pip, checked against the hashes below, and kept in .tools/.
# Everything but the path goes to stderr.
set -eu

version=1.4.6

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$root/.tools
pinned=$tools/aiosmtpd-$version

fail() {
    echo "smtp-server.sh: $1" >&2
    exit "${2:-1}"
}

# Prints a python that has pip: some systems ship python3 without it but can make a venv.
python_with_pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        echo python3
    elif python3 -m venv "$work/venv" >/dev/null 2>&1; then
        echo "$work/venv/bin/python3"
    else
        fail 'python3 has neither pip nor venv: run apt-get install python3-pip'
    fi
}

install() {
    command -v python3 >/dev/null || fail 'python3 is missing: install it'
    mkdir -p "$tools"
    work=$(mktemp -d "$tools/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cat >"$work/pinned.txt" <<'PINNED'
aiosmtpd==1.4.6 --hash=sha256:72c99179ba5aa9ae0abbda6994668239b64a5ce054471955fe75f581d2592475
atpublic==9.0.0 --hash=sha256:449c3c4f0c74df79749d6fe225ba55e2a2fce34b303f0329211e4d6989ed6f6e
attrs==26.1.0 --hash=sha256:c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309
PINNED
    python=$(python_with_pip)
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --target "$work/packages" --requirement "$work/pinned.txt" >&2 ||
        fail "aiosmtpd $version could not be installed: set TIELINE_SMTP_SERVER to a directory that has it"
    # A rename: whoever installs at the same time finds the whole or nothing.
    mv -T "$work/packages" "$pinned" 2>/dev/null || [ -d "$pinned" ]
}

if [ -n "${TIELINE_SMTP_SERVER-}" ]; then
    [ -d "$TIELINE_SMTP_SERVER" ] || fail "TIELINE_SMTP_SERVER names $TIELINE_SMTP_SERVER, which is no directory"
    echo "$TIELINE_SMTP_SERVER"
    exit 0
fi
[ -d "$pinned" ] || install
echo "$pinned"
