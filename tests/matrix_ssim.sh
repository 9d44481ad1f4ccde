#!/bin/sh
# matrix_ssim.sh OUT: mosaic_ssim.h gives the same bits with every compiler, optimisation level and processor there is here: x86 natively,
# arm64 in user-mode emulation (NEON), WebAssembly in node (SIMD and without). What is left out for want of a tool is named, with the packages
# that bring it. Each run gives two numbers, of the scalar and of the best kernels. Prints "ssim matrix: N passed, N failed".
out=$1
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$out"
passed=0
failed=0
expected=

build() { # COMMAND...: a compiler that fails counts
    "$@" && return 0
    failed=$((failed + 1))
    echo "failed: $*"
    return 1
}

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
    command -v $compiler >/dev/null 2>&1 || { echo "ssim matrix: $compiler skipped: not here (apt-get install ${compiler%++})"; continue; }
    case $compiler in *++) language="-x c++" ;; *) language= ;; esac
    for level in -O1 -O2 "-O3 -march=native" "-O2 -DMOSAIC_SSIM_NO_SIMD"; do
        build $compiler $language $level tests/ssim_hash.c -o "$out/ssim_hash" && same "$compiler $level" "$out/ssim_hash"
    done
done

if command -v aarch64-linux-gnu-gcc >/dev/null 2>&1 && command -v qemu-aarch64 >/dev/null 2>&1; then
    for compiler in aarch64-linux-gnu-gcc "clang --target=aarch64-linux-gnu"; do
        command -v ${compiler%% *} >/dev/null 2>&1 || continue
        for level in -O1 -O3; do
            build $compiler -static $level tests/ssim_hash.c -o "$out/ssim_hash_arm64" && same "$compiler $level" qemu-aarch64 "$out/ssim_hash_arm64"
        done
    done
    for source in tests/unit/test_ssim*.c; do
        build aarch64-linux-gnu-gcc -static -O2 -ffp-contract=off "$source" -o "$out/test_ssim_arm64" -lpthread &&
            if qemu-aarch64 "$out/test_ssim_arm64"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $source on arm64"; fi
    done
else
    echo "ssim matrix: arm64 skipped: no compiler or no emulator for it (apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)"
fi

if command -v clang >/dev/null 2>&1 && command -v wasm-ld >/dev/null 2>&1 && command -v node >/dev/null 2>&1; then
    printf '#include <stddef.h>\nvoid *memcpy(void *to, const void *from, size_t n);\nvoid *memset(void *to, int v, size_t n);\n' >"$out/string.h"
    cat >"$out/ssim_hash.js" <<'EOF'
const run = WebAssembly.instantiate(require('fs').readFileSync(process.argv[2]));
const text = v => BigInt.asUintN(64, v).toString(16).padStart(16, '0');
run.then(m => console.log(text(m.instance.exports.ssim_hash(1)), text(m.instance.exports.ssim_hash(0))));
EOF
    for level in -O2 "-O2 -msimd128"; do
        build clang --target=wasm32 -nostdlib -fno-builtin -ffreestanding -isystem "$out" $level -Wl,--no-entry -Wl,--export=ssim_hash -Wl,-z,stack-size=1048576 \
            tests/ssim_hash.c -o "$out/ssim_hash.wasm" && same "WebAssembly $level" node "$out/ssim_hash.js" "$out/ssim_hash.wasm"
    done
else
    echo "ssim matrix: WebAssembly skipped: no clang, wasm-ld or node (apt-get install clang lld nodejs)"
fi
echo "ssim matrix: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
