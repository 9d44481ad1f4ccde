#!/bin/sh
# Against the real packages, at the versions named here, in an environment of their own; ends with "N passed, N failed". SEED chooses the random
# cases (1): any number gives others.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
venv=$BUILD/venv
packages="numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0"
python=${PYTHON:-python3}
mkdir -p "$BUILD"
if [ "$(cat "$venv/parity-packages" 2>/dev/null)" != "$packages" ]; then
    [ -x "$venv/bin/pip" ] || $python -m venv "$venv" || { echo "parity: '$python -m venv' failed; 'make deps' installs what it needs"; exit 1; }
    "$venv/bin/pip" install -q --disable-pip-version-check $packages || { echo "parity: pip could not install $packages"; exit 1; }
    echo "$packages" >"$venv/parity-packages"
fi
passed=0
failed=0
for script in tests/parity/*_parity.py; do
    "$venv/bin/python" "$script" "$BUILD" "${SEED:-1}" >"$BUILD/parity.log" 2>&1
    status=$?
    cat "$BUILD/parity.log"
    line=$(grep -E '[0-9]+ passed, [0-9]+ failed' "$BUILD/parity.log" | tail -n 1)
    p=$(echo "$line" | sed -E 's/.*[^0-9]([0-9]+) passed.*/\1/')
    f=$(echo "$line" | sed -E 's/.* ([0-9]+) failed.*/\1/')
    if [ -z "$line" ] || { [ $status -ne 0 ] && [ "$f" = 0 ]; }; then p=0 f=1; fi
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
