#!/bin/sh
# make demo: the whole job on the embedded procedural film and photographs, or on INPUT and TILES.
set -e
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
out=$BUILD/demo
mkdir -p "$out"
if [ -z "$INPUT" ] || [ -z "$TILES" ]; then
    # Made once; they are the same everywhere.
    [ -f "$out/material/clip/frame_0024.png" ] && [ "$out/material/clip/frame_0024.png" -nt "$BUILD/mosaic_demo" ] || "$BUILD/mosaic_demo" "$out/material"
    INPUT=${INPUT:-$out/material/clip}
    TILES=${TILES:-$out/material/tiles}
fi
if [ -x "$BUILD/mosaic_video" ]; then
    "$BUILD/mosaic_video" --input "$INPUT" --tiles "$TILES" --output "$out/mosaic.mp4" --contact-sheet "$out/sheet.png" --report "$out/report.json"
    cat "$out/report.json"
    echo
    echo "look at $out/mosaic.mp4 and $out/sheet.png"
else
    still=$INPUT
    [ -d "$INPUT" ] && still=$INPUT/frame_0001.png
    "$BUILD/mosaic_still" "$still" "$TILES" "$out/mosaic.png"
    echo "without FFmpeg only a still: look at $out/mosaic.png ('make deps' installs what films need)"
fi
