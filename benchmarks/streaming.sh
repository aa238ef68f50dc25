#!/usr/bin/env bash
# Runs a model larger than the memory, as streaming.py describes.
exec python3 "$(dirname "$0")/streaming.py" "$@"
