#!/usr/bin/env bash
# Installs a wheel in a bare virtual environment, uses it there beside numpy alone, and then runs the package's tests.
#
#   scripts/test_python.sh WHEEL KRYLENS [OPTION…]     the wheel, the command it is compared with, options of pytest
#
# PYTHON chooses the interpreter. Tests on SmolLM2 are left out where it is not there and cannot be fetched.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ -f "${1-}" ] || { echo "test-python: there is no wheel ${1-}: run 'make wheel' first" >&2; exit 1; }
[ -x "${2-}" ] || { echo "test-python: there is no command ${2-}: run 'make build' first" >&2; exit 1; }
wheel=$(realpath "$1") command=$(realpath "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset KRYLENS_LIBRARY PYTHONPATH

"${PYTHON:-python3}" -m venv "$work/venv"
python=$work/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check "$wheel"
# Outside the clone: what is imported is what was installed.
cd "$work"
"$python" - "$root/Tests/ModelTests/Fixtures/llama" <<'PYTHON'
import sys
import numpy as np
import krylens

with krylens.open(sys.argv[1]) as model:
    J = model.jacobian([1, 2, 3, 4], layer=2)
    U, s, Vt = J.svds(3)
    assert np.allclose(J @ Vt.T, U * s, atol=1e-4) and "scipy" not in sys.modules
print(f"test-python: krylens {krylens.__version__} works beside numpy {np.__version__} alone, Python {sys.version.split()[0]}")
PYTHON
"$python" -m pip install --quiet --disable-pip-version-check "$wheel[test]"
"$root/scripts/fetch-demo-model.sh" > /dev/null || echo "test-python: without SmolLM2" >&2
KRYLENS_COMMAND=$command MPLBACKEND=Agg "$work/venv/bin/pytest" -q "$@" "$root/python/tests"
