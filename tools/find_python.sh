#!/bin/sh
# Prints a Python 3.11 or 3.12 that really runs and can make virtual environments; `make setup` calls it.
#
# A name on the PATH is not enough: pyenv puts a `python3.11` there that only complains unless that version is active, and
# some distributions ship Python without `venv`. Given an argument, only that one is tried.

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1
}

if [ -n "$1" ]; then
    usable "$1" && { echo "$1"; exit 0; }
    echo "azr: PYTHON=$1 is not a Python 3.11 or 3.12 with the venv module" >&2
    exit 1
fi
for candidate in python3.11 python3.12 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python3.11 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.*/bin/python3.12 \
    "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-3.11*/bin/python3.11 \
    "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-3.12*/bin/python3.12 \
    /usr/bin/python3.11 /usr/bin/python3.12 /usr/local/bin/python3.11 /usr/local/bin/python3.12; do
    usable "$candidate" && { echo "$candidate"; exit 0; }
done
echo "azr: no Python 3.11 or 3.12 with the venv module was found. Install one (on Debian and Ubuntu:
     apt install python3.11 python3.11-venv), or say where it is: make setup PYTHON=/path/to/python3.11" >&2
exit 1
