#!/bin/sh
# Against the real packages, at the versions named here, in an environment of their own; ends with "N passed, N failed". SEED chooses the random
# cases (1): any number gives others.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
python=${PYTHON:-python3}
mkdir -p "$BUILD"

environment() { # FOLDER PACKAGES: makes it, unless it is there
    [ "$(cat "$1/parity-packages" 2>/dev/null)" = "$2" ] && return 0
    [ -x "$1/bin/pip" ] || $python -m venv "$1" || { echo "parity: '$python -m venv' failed; 'make deps' installs what it needs"; return 1; }
    "$1/bin/pip" install -q --disable-pip-version-check $2 || { echo "parity: pip could not install $2"; return 1; }
    echo "$2" >"$1/parity-packages"
}

passed=0
failed=0

check() { # PYTHON SCRIPT ARGUMENTS...
    "$@" >"$BUILD/parity.log" 2>&1
    status=$?
    cat "$BUILD/parity.log"
    line=$(grep -E '[0-9]+ passed, [0-9]+ failed' "$BUILD/parity.log" | tail -n 1)
    p=$(echo "$line" | sed -E 's/.*[^0-9]([0-9]+) passed.*/\1/')
    f=$(echo "$line" | sed -E 's/.* ([0-9]+) failed.*/\1/')
    if [ -z "$line" ] || { [ $status -ne 0 ] && [ "$f" = 0 ]; }; then p=0 f=1; fi
    passed=$((passed + p))
    failed=$((failed + f))
}

environment "$BUILD/venv" "numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0" || exit 1
for script in tests/parity/*_parity.py; do check "$BUILD/venv/bin/python" "$script" "$BUILD" "${SEED:-1}"; done
# NumPy before 2.3 adds up a mean in another order. Its packages may not exist for a newer Python.
if environment "$BUILD/older-venv" "numpy==2.2.6 scipy==1.15.3 scikit-image==0.25.2"; then
    check "$BUILD/older-venv/bin/python" tests/parity/ssim_parity.py "$BUILD" "${SEED:-1}" 1000
else
    echo "parity: older NumPy skipped"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
