#!/bin/sh
# Plays the whole story of Tieline with two orgs, real processes and the public command line, and
# stays up until Ctrl-C. Everything it makes is in .demo/.
#
#   deploy/demo.sh           build, play, stay up
#   ONCE=1 deploy/demo.sh    build, play, stop; the exit code says whether all went as told
#
# TIELINE_BIN names a binary to play with instead of building one, and TIELINE_DEMO_DIR another
# directory than .demo/, which is emptied first.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
command -v python3 >/dev/null || {
    echo 'demo.sh: python3 is missing: install it, it tells the story' >&2
    exit 1
}
[ -n "${TIELINE_BIN-}" ] || command -v cargo >/dev/null || {
    echo 'demo.sh: cargo is missing: install Rust, or name a built binary with TIELINE_BIN' >&2
    exit 1
}
cd "$root"
exec python3 deploy/demo/story.py
