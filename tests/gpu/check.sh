#!/bin/sh
# check.sh OUT: on a machine with an NVIDIA GPU: every kernel and 240 frames of film give the processor's bytes, and how long they take. Needs nvcc, a C
# compiler and this tree. Writes tests/gpu/RESULTS.md when all of it worked on a device; without nvcc or a device it says so, writes nothing there and
# ends with 3.
out=$1
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$out"
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
[ -x "$nvcc" ] || {
    echo "gpu-check: no nvcc: nothing was checked"
    exit 3
}
cc=${CC:-cc}
lib=$(dirname "$nvcc")/../lib64
flags="-O3 -fmad=false -Xcompiler=-O2,-fno-threadsafe-statics"
codes=
for code in $("$nvcc" --list-gpu-code); do codes="$codes -gencode arch=compute_${code#sm_},code=$code"; done
# Is there a device at all? The smallest program that asks.
"$nvcc" $flags -arch=compute_75 -x cu tests/gpu/times.cu -o "$out/probe" -DMOSAIC_GPU_PROBE || exit 1
"$out/probe" >/dev/null 2>"$out/probe.txt"
if [ $? = 3 ]; then
    echo "gpu-check: $(cat "$out/probe.txt"): nothing was checked, and no results are written"
    exit 3
fi
set -e
"$nvcc" $flags $codes --threads 2 -x cu tests/gpu/test_gpu.cpp -o "$out/test_gpu"
"$nvcc" $flags $codes --threads 2 -x cu tests/gpu/times.cu -o "$out/times"
"$nvcc" $flags $codes --threads 2 -Xcompiler=-fno-exceptions,-fno-rtti -c mosaic_cuda.cu -o "$out/mosaic_cuda.o"
$cc -O2 tests/gpu/film.c "$out/mosaic_cuda.o" -L"$lib" -lcudart_static -lpthread -ldl -lrt -lm -o "$out/film"
"$out/test_gpu" | tee "$out/kernels.txt"
sha() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
{ "$out/film" 0 2>"$out/film0.txt" || echo "failed"; } | sha >"$out/sha0"
{ "$out/film" 1 2>"$out/film1.txt" || echo "failed"; } | sha >"$out/sha1"
cmp "$out/sha0" "$out/sha1"
! grep -q failed "$out/film0.txt" "$out/film1.txt"
"$out/times" >"$out/times.txt"
{
    echo "# mosaic_cuda.cu on a GPU"
    echo
    echo "Written by make gpu-check on $(date -u +%Y-%m-%d); nvcc $("$nvcc" --version | sed -nE 's/.*release ([0-9.]+).*/\1/p')."
    echo
    cat "$out/times.txt"
    echo
    echo "Kernels against the processor's code: $(tail -n 1 "$out/kernels.txt")."
    echo
    echo "The film, SHA-256 $(cat "$out/sha1") on both: processor $(cat "$out/film0.txt"); GPU $(cat "$out/film1.txt")."
} >"$out/RESULTS.md"
mv "$out/RESULTS.md" tests/gpu/RESULTS.md
cat tests/gpu/RESULTS.md
