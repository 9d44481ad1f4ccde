#!/bin/sh
# matrix.sh OUT: one answer on other processors: tests/bits.c, built for each of those below and run there in user-mode emulation, WebAssembly in
# node, must print tests/bits.golden; the unit tests of kernels run on arm64 as well. (bits.sh does this on the processor at hand.) What cannot be
# built or run for want of a tool is named, with the packages that bring it. Prints "matrix: N passed, N failed".
out=$1
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$out"
passed=0
failed=0
echo 'int main(void) { return 0; }' >"$out/nothing.c"

same() { # DESCRIPTION COMMAND...
    what=$1
    shift
    if "$@" >"$out/bits.txt" 2>&1 && cmp -s "$out/bits.txt" tests/bits.golden; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $what"
        diff "$out/bits.txt" tests/bits.golden | head -n 8
    fi
}

build() { # OUTPUT COMPILER...
    program=$1
    shift
    "$@" -Wall -Wextra -Werror -o "$program" >"$out/build.log" 2>&1 && return 0
    failed=$((failed + 1))
    echo "failed: $*"
    head -n 5 "$out/build.log"
    return 1
}

can() { # NAME RUNNER PACKAGES COMPILER...: whether a program that does nothing can be built and run
    name=$1 runner=$2 packages=$3
    shift 3
    "$@" "$out/nothing.c" -o "$out/nothing" >/dev/null 2>&1 && $runner "$out/nothing" >/dev/null 2>&1 && return 0
    echo "matrix: $name skipped: no compiler or nothing that runs its programs (apt-get install $packages)"
    return 1
}

# Levels are 0, the best kernels, and 1, none: the same where a header has none for a processor.
on() { # NAME RUNNER LEVELS PACKAGES COMPILER...
    name=$1 runner=$2 levels=$3 packages=$4
    shift 4
    can "$name" "$runner" "$packages" "$@" && build "$out/bits" "$@" tests/bits.c || return
    for level in $levels; do same "$name, $*, SIMD level $level" $runner "$out/bits" $level 1; done
}

for optimised in -O1 -O2; do # gcc 12 widens AVX-512 masks wrongly at -O1 only
    on "32-bit x86" "" "0 1" "gcc-i686-linux-gnu libc6-dev-i386-cross" i686-linux-gnu-gcc -static -msse2 -mfpmath=sse $optimised
done
arm64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
for optimised in -O1 -O3; do
    on arm64 qemu-aarch64 "0 1" "$arm64" aarch64-linux-gnu-gcc -static $optimised
    on arm64 qemu-aarch64 "0 1" "clang $arm64" clang --target=aarch64-linux-gnu -static $optimised
done
cat >"$out/wasi.mjs" <<'EOF'
import { readFileSync } from 'fs';
import { WASI } from 'wasi';
const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2) });
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), wasi.getImportObject());
process.exitCode = wasi.start(instance);
EOF
wasm="clang lld wasi-libc libclang-rt-14-dev-wasm32 nodejs"
for simd in -mno-simd128 -msimd128; do
    on WebAssembly "node --no-warnings $out/wasi.mjs" "0 1" "$wasm" clang --target=wasm32-wasi -Wl,-z,stack-size=1048576 $simd -O2
done
on "32-bit ARM" qemu-arm 0 "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user" arm-linux-gnueabihf-gcc -static -O2
on RISC-V qemu-riscv64 0 "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross qemu-user" riscv64-linux-gnu-gcc -static -O2
on "s390x (big-endian)" qemu-s390x 0 "gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user" s390x-linux-gnu-gcc -static -O2
on "without kernels" "" 0 gcc gcc -O2 -DMOSAIC_TEMPORAL_NO_SIMD -DMOSAIC_SSIM_NO_SIMD=

if can "arm64, unit tests" qemu-aarch64 "$arm64" aarch64-linux-gnu-gcc -static; then
    # What a test reckons itself must not be fused either, which gcc does on arm64 unless told.
    for source in tests/unit/test_ssim*.c tests/unit/test_lap.c tests/unit/test_lap_solvers.c tests/unit/test_flow_integer.c tests/unit/test_temporal_kernels.c; do
        build "$out/unit" aarch64-linux-gnu-gcc -static -O2 -ffp-contract=off "$source" -lm -lpthread || continue
        if qemu-aarch64 "$out/unit"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $source on arm64"; fi
    done
fi

echo "matrix: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
