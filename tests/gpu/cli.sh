#!/bin/sh
# cli.sh OUT BUILD: mosaic_video with mosaic_cuda.cu over the stand-in for a GPU (emulate.h): the same frames with it, without it, and when it fails
# on the way. Prints "gpu cli: N passed, N failed".
mkdir -p "$1"
out=$(cd "$1" && pwd)
build=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.." || exit 1
passed=0
failed=0
check() { # DESCRIPTION COMMAND...
    what=$1
    shift
    if "$@" >"$out/cli.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $what"
        head -n 5 "$out/cli.log"
        [ -z "$said" ] || echo "$said" | head -n 5
    fi
}
said=
check "mosaic_cuda.cu over the stand-in" g++ -std=c++14 -O2 -Wall -Wextra -Werror -include tests/gpu/emulate.h -x c++ -c mosaic_cuda.cu -o "$out/mosaic_cuda.o"
check "mosaic_video with MOSAIC_CUDA" sh tests/one_line.sh examples/mosaic_video.c "$out/mosaic_video" "-DMOSAIC_CUDA $out/mosaic_cuda.o -lstdc++"
"$build/mosaic_demo" "$out/demo" --photos 120 --size 32 >/dev/null || check "mosaic_demo" false

field() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$out/r.json" | head -n 1; }
run() { # PROGRAM ARGUMENTS...: leaves what it said in $said, how it ended in $code, the frames' hash in $hash
    rm -f "$out/r.json"
    program=$1
    shift
    said=$("$program" --input "$out/demo/clip" --tiles "$out/demo/tiles" --height 144 --cells 60 --count 5 --flow none --output "$out/m.mp4" \
        --encoder-preset ultrafast --report "$out/r.json" "$@" 2>&1)
    code=$?
    hash=
    [ ! -f "$out/r.json" ] || hash=$(field frames_sha256)
}
says() { case $said in *"$1"*) true ;; *) false ;; esac; }

run "$build/mosaic_video"
want=$hash
check "without mosaic_cuda.cu: it works, and says where" test "$code" = 0 -a -n "$want" -a "$(field gpu)" = off
check "without mosaic_cuda.cu: on the processor" says ", on the processor"
run "$build/mosaic_video" --gpu on
check "without mosaic_cuda.cu, --gpu on: ends with 1" test $code = 1
check "without mosaic_cuda.cu, --gpu on: says why" says "--gpu on: this program was built without mosaic_cuda.cu"
run "$build/mosaic_video" --gpu off
check "without mosaic_cuda.cu, --gpu off: the same frames" test "$hash" = "$want"
for mode in auto on; do
    run "$out/mosaic_video" --gpu $mode
    check "--gpu $mode: the same frames" test "$hash" = "$want" -a $code = 0
    check "--gpu $mode: the report names the device" test "$(field gpu)" = "emulated on the CPU"
    check "--gpu $mode: it is named" says ", on emulated on the CPU"
    check "--gpu $mode: the codec is named" test -n "$(field active_codec)"
done
run "$out/mosaic_video" --gpu off
check "--gpu off: the same frames" test "$hash" = "$want" -a "$(field gpu)" = off

# No device from the start; and one that is lost when the engine opens, in the first frame, and in a later one.
for at in 1 12 200; do
    export EMULATE_FAIL_AT=$at
    run "$out/mosaic_video" --gpu on
    check "call $at fails, --gpu on: ends with 1" test $code = 1
    check "call $at fails, --gpu on: says why" says "--gpu on: the GPU does not answer (cudaErrorLaunchFailure)"
    run "$out/mosaic_video"
    check "call $at fails: the same frames" test "$hash" = "$want" -a $code = 0
    check "call $at fails: the report says so" test "$(field gpu)" = off
    check "call $at fails: a line says so" says "the GPU does not answer (cudaErrorLaunchFailure)"
    run "$out/mosaic_video" --quiet
    check "call $at fails, --quiet: nothing is said" test $code = 0 -a -z "$said"
    unset EMULATE_FAIL_AT
done
echo "gpu cli: $passed passed, $failed failed"
[ $failed = 0 ]
