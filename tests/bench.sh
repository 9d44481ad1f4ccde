#!/bin/sh
# Our figures beside the peers', each pair measured in turn in one run: a line per figure, and all of them in build/bench.json.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
DATA=${DATA:-../shared/data}
if [ ! -d "$DATA/video" ] || [ ! -d "$DATA/tiles" ]; then
    echo "bench: skipped: no films and photographs in $DATA (set DATA to a folder with video/*.mp4 and tiles/)"
    exit 0
fi
venv=$BUILD/bench-venv
packages="numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 opencv-python-headless==4.14.0.94"
if [ "$(cat "$venv/bench-packages" 2>/dev/null)" != "$packages" ]; then
    ${PYTHON:-python3} -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check $packages || { echo "bench: pip could not install $packages"; exit 1; }
    echo "$packages" >"$venv/bench-packages"
fi
# PyTorch as pip has it today is much faster than Debian's; where it cannot be had, that is the peer.
torch=$BUILD/torch-venv
[ -x "$torch/bin/python" ] || ${PYTHON:-python3} -m venv "$torch"
"$torch/bin/python" -c "import torchvision" 2>/dev/null || "$torch/bin/pip" install -q --disable-pip-version-check torch torchvision ||
    echo "bench: pip could not install torch and torchvision"
exec "$venv/bin/python" tests/bench/bench.py "$BUILD" "$DATA" "$@"
