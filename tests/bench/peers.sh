#!/bin/sh
# Runs the peer, photomosaic-video 0.1.0 from PyPI, on a clip: tests/bench/peers.sh CLIP TILES OUTPUT [option ...]
# It is installed into build/peers on the first run (it wants an older OpenCV than the other tests, so it has a place of its own;
# the headless OpenCV has all it uses). Needs python3, ffmpeg and, the first time, the network.
set -eu
root=$(dirname "$0")/../..
if [ $# -lt 3 ] && [ "${1:-}" != --install ]; then
    echo "usage: tests/bench/peers.sh CLIP TILES OUTPUT [option of photomosaic-video ...], or peers.sh --install" >&2
    exit 2
fi
peers=$root/build/peers
peer=$peers/bin/photomosaic-video
if [ ! -x "$peer" ]; then
    rm -rf "$peers"
    python3 -m venv "$peers"
    "$peers"/bin/pip install --quiet 'numpy==2.4.6' 'scipy==1.17.1' 'opencv-python-headless==4.14.0.94'
    "$peers"/bin/pip install --quiet --no-deps 'photomosaic-video==0.1.0'
fi
[ "$1" = --install ] && exit
clip=$1 tiles=$2 output=$3
shift 3
exec "$peer" "$clip" --tiles "$tiles" --output "$output" --height 1080 "$@"
