#!/usr/bin/env bash
# Makes .venv from a lock file and installs foreproof into it, editable:  tools/setup.sh demo|dev
# Called by the Makefile; touches nothing outside .venv but src/**/__pycache__, except that root gets libgomp1 where
# LightGBM cannot load.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=${1:?usage: tools/setup.sh demo|dev}
venv=.venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '%s\n' "$*" >&2; }

fits() { # a pyenv shim may stand in the path and not run, so each candidate is run, not only found
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

version() { "$1" --version 2>/dev/null | sed -n 1p | grep . || echo nothing; }

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" && echo "$PYTHON" && return
        say "PYTHON=$PYTHON: found $(version "$PYTHON"); wanted Python 3.11, 3.12 or 3.13; set PYTHON to one of them"
        exit 2
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        fits "$candidate" && echo "$candidate" && return
    done
    say "Python: found $(version python3); wanted 3.11, 3.12 or 3.13;" \
        "install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12 ..."
    exit 2
}

apt() { # apt PACKAGE REASON
    local admin=()
    if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null && sudo -n true 2>/dev/null; then admin=(sudo -n); fi
    if ! command -v apt-get >/dev/null; then
        say "$2; install the equivalent of Debian's package $1, then run this again"
        return 1
    fi
    if [ "$(id -u)" != 0 ] && [ ${#admin[@]} = 0 ]; then
        say "$2; run: sudo apt-get install $1"
        return 1
    fi
    say "$2: installing $1"
    # lists may be old or absent on a new machine
    "${admin[@]}" apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive "${admin[@]}" apt-get install -y -qq --no-install-recommends "$1" >&2
}

make_venv() {
    local python
    python=$(find_python)
    if [ -x $venv/bin/python ] && fits $venv/bin/python; then
        # a named interpreter must be the one that is used
        [ -z "${PYTHON:-}" ] && return
        [ "$($venv/bin/python -V)" = "$("$python" -V)" ] && return
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" "$python has no venv" || exit 1
    fi
    say "making $venv with $(version "$python")"
    "$python" -m venv --clear $venv
}

loads_lightgbm() { $venv/bin/python -c 'import lightgbm' 2>"$venv/lightgbm.txt"; }

make_venv
say "installing requirements/$lock.txt (about 1.2 GB on disk)"
# Wheels only: a source archive would be built with tools that no lock names.
$venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r "requirements/$lock.txt"
$venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
# pip compiles what it copies, and an editable install copies nothing: where Python may keep nothing, every command would
# compile the program again.
$venv/bin/python -m compileall -q src || true

if ! loads_lightgbm; then
    if ! grep -q libgomp "$venv/lightgbm.txt"; then cat "$venv/lightgbm.txt" >&2; exit 1; fi
    apt libgomp1 "LightGBM needs libgomp.so.1" || exit 1
    loads_lightgbm || { cat "$venv/lightgbm.txt" >&2; exit 1; }
fi
# What dev installs holds everything of demo.
touch "$venv/.demo"
if [ "$lock" = dev ]; then touch "$venv/.installed"; fi
