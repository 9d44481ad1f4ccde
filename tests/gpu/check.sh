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
for motion in raft dis; do
    for gpu in 0 1; do
        { "$out/film" $gpu $motion 2>"$out/$motion$gpu.txt" || echo "failed"; } | sha >"$out/$motion$gpu.sha"
    done
    cmp "$out/${motion}0.sha" "$out/${motion}1.sha"
    ! grep -q failed "$out/${motion}0.txt" "$out/${motion}1.txt"
done
"$out/times" >"$out/times.txt"
# Beside it PyTorch, where Python has it.
python3 tests/gpu/torch_times.py >"$out/torch.txt" 2>/dev/null || : >"$out/torch.txt"
{
    echo "# mosaic_cuda.cu on a GPU"
    echo
    echo "Written by make gpu-check on $(date -u +%Y-%m-%d); nvcc $("$nvcc" --version | sed -nE 's/.*release ([0-9.]+).*/\1/p')."
    echo
    cat "$out/times.txt"
    echo
    if [ -s "$out/torch.txt" ]; then
        printf '| stage | ms | |\n|---|---|---|\n'
        cat "$out/torch.txt"
    else
        echo "PyTorch for this device was not there."
    fi
    echo
    echo "Kernels against the processor's code: $(tail -n 1 "$out/kernels.txt")."
    echo
    for motion in raft dis; do
        echo
        echo "The film, SHA-256 $(cat "$out/${motion}1.sha") on both: processor $(cat "$out/${motion}0.txt"); GPU $(cat "$out/${motion}1.txt")."
    done
} >"$out/RESULTS.md"
mv "$out/RESULTS.md" tests/gpu/RESULTS.md
cat tests/gpu/RESULTS.md
