#!/bin/sh
# matrix_ssim.sh OUT: mosaic_ssim.h gives the same bits with every compiler, optimisation level and processor there is here: x86 natively,
# arm64 in user-mode emulation (NEON), WebAssembly in node (SIMD and without). Missing tools are named and left out. Each run gives two
# numbers, of the scalar and of the best kernels. Prints "ssim matrix: N passed, N failed".
# Debian: apt-get install clang lld nodejs gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
out=$1
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$out"
passed=0
failed=0
expected=

same() { # DESCRIPTION COMMAND...
    what=$1
    shift
    found=$("$@" 2>&1)
    [ -z "$expected" ] && expected=$(echo "$found" | awk '{ print $1, $1 }')
    if [ "$found" = "$expected" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $what: $found, expected $expected"
    fi
}

for compiler in gcc clang g++ clang++; do
    command -v $compiler >/dev/null 2>&1 || { echo "no $compiler"; continue; }
    case $compiler in *++) language="-x c++" ;; *) language= ;; esac
    for level in -O1 -O2 "-O3 -march=native" "-O2 -DMOSAIC_SSIM_NO_SIMD"; do
        $compiler $language $level tests/ssim_hash.c -o "$out/ssim_hash" && same "$compiler $level" "$out/ssim_hash"
    done
done

if command -v aarch64-linux-gnu-gcc >/dev/null 2>&1 && command -v qemu-aarch64 >/dev/null 2>&1; then
    for level in -O1 -O3; do
        aarch64-linux-gnu-gcc -static $level tests/ssim_hash.c -o "$out/ssim_hash_arm64" && same "arm64 $level" qemu-aarch64 "$out/ssim_hash_arm64"
    done
    aarch64-linux-gnu-gcc -static -O2 tests/unit/test_ssim.c -o "$out/test_ssim_arm64" -lpthread &&
        if qemu-aarch64 "$out/test_ssim_arm64"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: test_ssim on arm64"; fi
else
    echo "no arm64 compiler or emulator"
fi

if command -v clang >/dev/null 2>&1 && command -v wasm-ld >/dev/null 2>&1 && command -v node >/dev/null 2>&1; then
    printf '#include <stddef.h>\nvoid *memcpy(void *to, const void *from, size_t n);\nvoid *memset(void *to, int v, size_t n);\n' >"$out/string.h"
    cat >"$out/ssim_hash.js" <<'EOF'
const run = WebAssembly.instantiate(require('fs').readFileSync(process.argv[2]));
const text = v => BigInt.asUintN(64, v).toString(16).padStart(16, '0');
run.then(m => console.log(text(m.instance.exports.ssim_hash(1)), text(m.instance.exports.ssim_hash(0))));
EOF
    for level in -O2 "-O2 -msimd128"; do
        clang --target=wasm32 -nostdlib -fno-builtin -ffreestanding -isystem "$out" $level -Wl,--no-entry -Wl,--export=ssim_hash -Wl,-z,stack-size=1048576 \
            tests/ssim_hash.c -o "$out/ssim_hash.wasm" && same "WebAssembly $level" node "$out/ssim_hash.js" "$out/ssim_hash.wasm"
    done
else
    echo "no clang for WebAssembly, wasm-ld or node"
fi
echo "ssim matrix: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
