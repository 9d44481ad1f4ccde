#!/bin/sh
# audit.sh OUT: what nvcc makes of mosaic_cuda.cu, without a GPU: compiles it for every architecture this nvcc has, reads the PTX for operations that
# are not what was written, and reports each kernel's registers and memory. Prints "gpu audit: N passed, N failed", or a line "... skipped".
out=$1
cd "$(dirname "$0")/../.." || exit 1
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
[ -x "$nvcc" ] || {
    echo "gpu audit: skipped: no nvcc"
    exit 0
}
mkdir -p "$out"
passed=0
failed=0
check() { # DESCRIPTION COMMAND...
    what=$1
    shift
    if "$@" >"$out/audit.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $what"
        head -n 12 "$out/audit.log"
    fi
}

# Floating-point operations other than the four in IEEE rounding (1 / x too: rcp.rn is that division), anything flushed, approximate or fused, and sums
# of floats by atomics.
clean() { # PTX
    ! {
        grep -nE '^[[:space:]]*(@[^ ]+ )?(add|sub|mul|fma|mad|div|sqrt|rcp|rsqrt|ex2|lg2|sin|cos|tanh)\.[a-z0-9.]*f(16|32|64)' "$1" |
            grep -vE '[[:space:]](add|sub|mul|div|rcp)\.rn\.f(32|64)[[:space:]]'
        grep -nE '\.ftz|\.approx|\.full\.|(red|atom)\.[a-z.]*add\.(noftz\.)?[bf]?f(16|32|64)|\.bf16|(wmma|mma)\.' "$1"
    } | grep .
}

# The audit itself must see what it is there for.
printf '\tfma.rn.f64 a, b;\n' >"$out/bad1.ptx"
printf '\tadd.f32 a, b;\n' >"$out/bad2.ptx"
printf '\tmul.rn.ftz.f32 a, b;\n' >"$out/bad3.ptx"
printf '\tatom.global.add.f32 a, b;\n' >"$out/bad4.ptx"
printf '\trcp.approx.ftz.f64 a, b;\n' >"$out/bad5.ptx"
unclean() { ! clean "$1"; }
for i in 1 2 3 4 5; do check "the audit finds:$(cat "$out/bad$i.ptx")" unclean "$out/bad$i.ptx"; done

host=-Xcompiler=-O1,-fno-threadsafe-statics,-fno-exceptions,-fno-rtti
for flags in -fmad=false "-fmad=false -use_fast_math"; do
    check "PTX with $flags" "$nvcc" -O3 $flags -ptx -arch=compute_75 mosaic_cuda.cu -o "$out/audit.ptx"
    check "PTX with $flags: no operation but those written" clean "$out/audit.ptx"
    check "PTX with $flags: there are kernels in it" grep -q '\.entry' "$out/audit.ptx"
done

codes=
for code in $("$nvcc" --list-gpu-code); do codes="$codes -gencode arch=compute_${code#sm_},code=$code"; done
check "compiled for$(echo "$codes" | sed -E 's/-gencode arch=[^,]*,code=//g')" sh -c "'$nvcc' -O3 -fmad=false -Xptxas -v --threads 2 $host $codes -c mosaic_cuda.cu -o '$out/mosaic_cuda.o' 2>'$out/ptxas'"
check "no kernel spills registers" sh -c "grep -q 'spill stores' '$out/ptxas' && ! grep -E '[1-9][0-9]* bytes spill' '$out/ptxas'"
check "no C++ library is needed" sh -c "! nm -u '$out/mosaic_cuda.o' | grep -E '__cxa_guard|_ZSt|__gxx'"
# The most that any architecture takes.
awk '/Compiling entry function/ { split($0, q, "\047"); name = q[2]; match(name, /^_Z[0-9]+/); name = substr(name, RLENGTH + 1, substr(name, 3, RLENGTH - 2) + 0) }
     /bytes stack frame/ { if ($1 + 0 > stack[name] + 0) stack[name] = $1 }
     /Used [0-9]+ registers/ { match($0, /Used [0-9]+/); r = substr($0, RSTART + 5, RLENGTH - 5); if (r + 0 > registers[name] + 0) registers[name] = r
       if (match($0, /[0-9]+ bytes smem/)) { s = substr($0, RSTART, RLENGTH) + 0; if (s > shared[name] + 0) shared[name] = s } }
     END { for (name in registers) printf "  %-34s %3d registers, %5d bytes of static shared memory, %4d of stack\n", name, registers[name], shared[name], stack[name] }' \
    "$out/ptxas" | sort
echo "gpu audit: $passed passed, $failed failed"
[ $failed = 0 ]
