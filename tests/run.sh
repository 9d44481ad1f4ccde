#!/bin/sh
# All tests; ends with "N passed, N failed". Each step prints one or more lines "name: N passed, N failed"; a step that ends without, or
# with another exit status than its counts say, counts as one failure.
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
CC=${CC:-gcc}
out=$BUILD/test
log=$out/log
rm -rf "$out"
mkdir -p "$out"
: >"$log"

# A step's own files are named after its title: steps may run side by side.
step() { # TITLE COMMAND...
    title=$1
    shift
    said=$out/$(echo "$title" | tr -cs 'a-z0-9_\n' -)
    "$@" >"$said.step" 2>&1
    status=$?
    grep -E '[0-9]+ passed, [0-9]+ failed' "$said.step" | sed "s|^|[$title] |" >"$said.counts"
    failed=$(sed -E 's/.* ([0-9]+) failed.*/\1/' "$said.counts" | awk '{ n += $1 } END { print n + 0 }')
    if [ ! -s "$said.counts" ] || { [ $status -ne 0 ] && [ "$failed" = 0 ]; }; then
        tail -n 40 "$said.step"
        echo "[$title] ended with status $status: 0 passed, 1 failed" | tee -a "$log"
    else
        [ "$failed" = 0 ] || tail -n 60 "$said.step"
        grep -E ' skipped' "$said.step" | grep -vE 'passed,' | sed "s|^|[$title] |"
        tee -a "$log" <"$said.counts"
    fi
}

unit() { # NAME SOURCE COMPILER FLAGS...: builds and runs one test program
    program=$out/$1
    source=$2
    shift 2
    "$@" -Wall -Wextra -Werror "$source" -o "$program" -lm -lpthread && "$program"
}

# Places in the source are all that a report of the sanitizers shows: to follow the variables as well (-g) takes gcc four times as long.
# stb_image_write shifts bits into the sign when it writes a JPEG: that one check is left out where stb is in the program.
sanitizers="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"
sanitized_cli() {
    mkdir -p "$out/san"
    for example in mosaic_video mosaic_demo mosaic_still mosaic_measure flow_view assign ssim_compare; do
        sh tests/one_line.sh examples/$example.c "$out/san/$example" "$sanitizers -fno-sanitize=shift" || return 1
    done
    bash tests/cli.sh "$out/san"
}
sanitized() {
    for source in tests/unit/test_*.c; do
        name=$(basename "$source" .c)
        stb=
        [ "$name" = test_util ] && stb=-fno-sanitize=shift
        step "$name, sanitizers" unit "$name-san" "$source" $CC -std=gnu99 $sanitizers $stb
    done
    step "gpu, sanitizers" unit gpu-san tests/gpu/test_gpu.cpp g++ -std=c++14 $sanitizers
    [ ! -x "$BUILD/mosaic_video" ] || step "cli, sanitizers" sanitized_cli
}

# What runs under the sanitizers takes as long as all else together: beside it.
sanitized &
for source in tests/unit/test_*.c; do
    name=$(basename "$source" .c)
    step "$name" unit "$name" "$source" $CC -std=gnu99 -O2
    if command -v clang >/dev/null 2>&1; then
        step "$name, clang" unit "$name-clang" "$source" clang -std=gnu99 -O2
    fi
done
step gpu unit gpu tests/gpu/test_gpu.cpp g++ -std=c++14 -O2
if command -v "${NVCC:-nvcc}" >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ]; then
    step "gpu audit" sh tests/gpu/audit.sh "$out/device"
else
    echo "[gpu audit] skipped: no nvcc"
fi
step compile sh tests/compile.sh "$out"
step bits sh tests/bits.sh "$out"
if [ -x "$BUILD/mosaic_video" ]; then
    step cli bash tests/cli.sh "$BUILD"
    step "gpu cli" sh tests/gpu/cli.sh "$out/device" "$BUILD"
else
    echo "[cli] skipped: mosaic_video is not built ('make deps' installs what it needs)"
fi
wait

sed -E 's/.*[^0-9]([0-9]+) passed, ([0-9]+) failed.*/\1 \2/' "$log" | awk '{ p += $1; f += $2 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 }'
