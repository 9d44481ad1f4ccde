#!/bin/sh
# bits.sh OUT: one answer everywhere: tests/bits.c at each optimisation level of each compiler, on each instruction set this processor has, on
# 1 to 5 threads, must print tests/bits.golden. Prints "bits: N passed, N failed". With --write as second argument: makes the golden file.
out=$1
cd "$(dirname "$0")/.." || exit 1
passed=0
failed=0

if [ "$2" = --write ]; then
    gcc -std=gnu99 -O2 tests/bits.c -o "$out/bits" -lpthread && "$out/bits" 1 1 >tests/bits.golden
    exit
fi

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

build() { # FLAGS...: builds $out/bits or counts a failure
    "$@" tests/bits.c -o "$out/bits" -lpthread >"$out/bits.log" 2>&1 && return 0
    failed=$((failed + 1))
    echo "failed: $*"
    head -n 5 "$out/bits.log"
    return 1
}

levels="0 1"
grep -qw avx2 /proc/cpuinfo 2>/dev/null && levels="$levels 2"
grep -qw avx512bw /proc/cpuinfo 2>/dev/null && levels="$levels 3"
grep -qw avx512_vnni /proc/cpuinfo 2>/dev/null && levels="$levels 4"

build gcc -std=gnu99 -O2 && {
    for level in $levels; do same "gcc -O2, SIMD level $level" "$out/bits" $level 1; done
    for threads in 2 3 4 5; do same "gcc -O2, $threads threads" "$out/bits" 0 $threads; done
}
for compiler in gcc clang; do
    command -v $compiler >/dev/null 2>&1 || continue
    for flags in "-std=gnu99 -O0" "-std=c99 -O1 -D_XOPEN_SOURCE=700" "-std=gnu11 -O3" "-std=gnu99 -O3 -march=native"; do
        build $compiler $flags && {
            same "$compiler $flags" "$out/bits" 0 2
            same "$compiler $flags, scalar" "$out/bits" 1 1
        }
    done
done
build gcc -std=gnu99 -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all && same "gcc -O1 with sanitizers" "$out/bits" 0 3
command -v g++ >/dev/null 2>&1 && build g++ -x c++ -std=gnu++17 -O2 && same "g++ -O2" "$out/bits" 0 2

echo "bits: $passed passed, $failed failed"
[ $failed = 0 ]
