#!/usr/bin/env bash
# Update requirements.lock: install everything unconstrained in an empty environment, and write the installed versions
# and the download sizes of the demo and development environments.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check --quiet --quiet)
"${pip[@]}" install --editable '.[all,bench,dev]'
"${pip[@]}" freeze --all --exclude pip --exclude-editable >"$work/versions"
{
    echo "# Versions for Linux x86-64, written by 'make lock'."
    for extra in demo dev; do
        "${pip[@]}" download --constraint "$work/versions" --dest "$work/$extra" ".[$extra]" >&2
        echo "# $extra: $(du --apparent-size --block-size=1MB --summarize "$work/$extra" | cut -f1) MB"
    done
    cat "$work/versions"
} >"$work/lock"
mv "$work/lock" requirements.lock
