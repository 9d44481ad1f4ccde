#!/bin/sh
# compile.sh OUT: every header alone under the strictest warnings, as C99 and as C++, with each compiler there is; twice in one unit; in two
# units with _STATIC; symbols; the blocks that headers share. Prints "compile: N passed, N failed".
out=$1
cd "$(dirname "$0")/.." || exit 1
passed=0
failed=0
strict="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wdouble-promotion -Wshadow -Werror"

check() { # DESCRIPTION COMMAND...
    what=$1
    shift
    if "$@" >"$out/compile.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $what"
        head -n 12 "$out/compile.log"
    fi
}

compile() { # COMPILER STANDARD LANGUAGE SOURCE FLAGS...
    compiler=$1 standard=$2 language=$3 source=$4
    shift 4
    strict_c=
    [ "$language" = c ] && strict_c=-Wstrict-prototypes
    $compiler -std=$standard $strict $strict_c -I. "$@" -x $language -c "$source" -o "$out/compile.o"
}

for header in mosaic_*.h; do
    upper=$(basename "$header" .h | tr a-z A-Z)
    printf '#include "%s"\n#include "%s"\nint mosaic_test_unit(void);\nint mosaic_test_unit(void) { return 0; }\n' "$header" "$header" >"$out/declare.c"
    # The declarations first, then the implementation twice: a unit that includes other headers that include this one.
    printf '#include "%s"\n#define %s_IMPLEMENTATION\n#include "%s"\n#include "%s"\n' "$header" "$upper" "$header" "$header" >"$out/implement.c"
    printf '#define %s_STATIC\n#define %s_IMPLEMENTATION\n#include "%s"\nint mosaic_test_unit(void);\nint mosaic_test_unit(void) { return 0; }\n' "$upper" "$upper" "$header" >"$out/static.c"
    sed 's/mosaic_test_unit(void) {/main(void) {/; s/^int mosaic_test_unit(void);//' "$out/static.c" >"$out/static_main.c"
    for file in declare implement static; do
        # What a compiler says beyond what it reads comes from making code: gcc's optimiser, which its C and its C++ share, and clang's of loops.
        # (tests/bits.sh runs what g++ -O2 makes; gcc for Windows breaks down on AVX-512 without optimising.)
        for case in "gcc c99 c -O0" "gcc c99 c -O2" "gcc c99 c -O2 -D${upper}_NO_SIMD" "g++ c++17 c++ -O0" "clang c99 c -O2" \
            "x86_64-w64-mingw32-gcc c99 c -O2" "g++ c++11 c++ -fsyntax-only" "clang++ c++11 c++ -fsyntax-only" "clang++ c++20 c++ -fsyntax-only"; do
            set -- $case
            command -v $1 >/dev/null 2>&1 || continue
            check "$header: $file.c with $case" compile $1 $2 $3 "$out/$file.c" $4 $5
        done
    done
    # The implementation must be there (a misspelt macro compiles nothing) and export nothing but its own names.
    gcc -std=c99 -I. -O0 -fno-pie -c "$out/implement.c" -o "$out/implement.o"
    nm -g --defined-only "$out/implement.o" | awk '{ print $3 }' >"$out/symbols"
    check "$header: the implementation exports functions" test -s "$out/symbols"
    check "$header: only names of ours are exported" sh -c "! grep -v '^mosaic_' '$out/symbols'"
    check "$header: no private function is exported" sh -c "! grep '__' '$out/symbols'"
    check "$header: no changeable data" sh -c "! nm '$out/implement.o' | grep -E ' [bBdDC] '"
    gcc -std=c99 -I. -O0 -c "$out/static.c" -o "$out/static.o"
    check "$header: static exports nothing" sh -c "! nm -g --defined-only '$out/static.o' | grep -v mosaic_test_unit"
    check "$header: two units with _STATIC link" gcc -std=c99 -I. -O0 "$out/static.c" "$out/static_main.c" -o "$out/static"
    check "$header: -ffast-math is refused" sh -c "! gcc -std=c99 -I. -ffast-math -fsyntax-only '$out/implement.c' 2>/dev/null || ! grep -q 'mosaic shared block' $header"
    check "$header: one half of the allocator is refused" sh -c "! gcc -std=c99 -I. -D${upper}_MALLOC -fsyntax-only '$out/implement.c' 2>/dev/null"
done

# What a program includes of the GPU's part.
printf '#include "mosaic_cuda.cu"\nint mosaic_test_unit(void);\nint mosaic_test_unit(void) { return 0; }\n' >"$out/cuda.c"
for case in "gcc c99 c" "g++ c++11 c++" "clang c99 c"; do
    set -- $case
    command -v $1 >/dev/null 2>&1 || continue
    check "mosaic_cuda.cu: interface with $case" compile $1 $2 $3 "$out/cuda.c"
done

# All implementations in one unit, as C and as C++, with other people's macros around.
{
    printf '#define min(a, b) ((a) < (b) ? (a) : (b))\n#define max(a, b) ((a) > (b) ? (a) : (b))\n#define near\n#define far\n#define small char\n'
    for header in mosaic_*.h; do printf '#define %s_IMPLEMENTATION\n' "$(basename "$header" .h | tr a-z A-Z)"; done
    for header in mosaic_*.h; do printf '#include "%s"\n' "$header"; done
} >"$out/together.c"
check "all headers in one unit of C" compile gcc c99 c "$out/together.c" -fsyntax-only
check "all headers in one unit of C++" compile g++ c++17 c++ "$out/together.c" -fsyntax-only

# The engine beside parts that are implemented elsewhere: it may use only what they declare.
printf '#define MOSAIC_TEMPORAL_SEPARATE\n#define MOSAIC_TEMPORAL_IMPLEMENTATION\n#include "mosaic_temporal.h"\n' >"$out/separate.c"
check "mosaic_temporal.h: parts elsewhere" compile gcc c99 c "$out/separate.c" -fsyntax-only

# What headers share word for word.
block() { sed -n '/^\/\* === mosaic shared block, version/,/^\/\* === end of the mosaic shared block/p; /^\/\* === mosaic shared block, closing/,/^\/\* === end of the closing part/p' "$1"; }
first=
for header in $(grep -l 'mosaic shared block' mosaic_*.h); do
    block "$header" >"$out/block.new"
    [ -z "$first" ] && { first=$header; cp "$out/block.new" "$out/block.first"; }
    check "$header: shared block as in $first" cmp "$out/block.first" "$out/block.new"
done
check "a shared block was found" test -s "$out/block.first"

echo "compile: $passed passed, $failed failed"
[ $failed = 0 ]
