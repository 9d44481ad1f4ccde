#!/bin/bash
# End-to-end test of mosaic_video on small generated material: cli.sh BUILD_DIR [deep]; deep kills it 50 times, not 5
# Makes its own clip and photographs with mosaic_demo, judges results with ffprobe and ffmpeg, ends with "cli: N passed, N failed".
set -u
build=$(cd "${1:?usage: cli.sh BUILD_DIR [deep]}" && pwd)
kills=5
[ "${2:-}" = deep ] && kills=50
mosaic=$build/mosaic_video
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mosaic_cli.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset OMP_NUM_THREADS
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "cli: failed: $*" >&2; }
skip() { skipped=$((skipped + 1)); echo "cli: skipped: $*" >&2; }
same() { [ "$2" = "$3" ] && ok || bad "$1: \"$2\" is not \"$3\""; }                # same WHAT GOT WANTED
holds() { case $2 in *"$3"*) ok ;; *) bad "$1: \"$3\" is not in: $2" ;; esac; }     # holds WHAT TEXT PART
about() { awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN { d = a - b; exit !(d <= t && d >= -t && a != "") }' && ok || bad "$1: $2 is not $3 (within $4)"; }
whole() { # whole WHAT FILE: there, and no part of anything left beside it
    [ -e "$2" ] && [ -z "$(find . -name '*.part')" ] && ok || bad "$1: $2 is missing or a .part is left: $(find . -name '*.part')"
}
nothing() { # nothing WHAT FILE
    [ ! -e "$2" ] && [ -z "$(find . -name '*.part')" ] && ok || bad "$1: something is left: $(ls -d "$2" 2>&1) $(find . -name '*.part')"
    rm -rf "$2"; find . -name '*.part' -exec rm -rf {} +
}

# The usual run, small and quick; $out holds what it said, $code how it ended.
small="--tiles demo/tiles --height 144 --cells 60 --encoder-preset ultrafast"
run() { out=$("$mosaic" "$@" 2>&1); code=$?; }
good() { local what=$1; shift; run "$@"; [ $code = 0 ] && ok || bad "$what: ended with $code: $out"; }
refuses() { # refuses WHAT CODE PART ARGS...: one line on stderr with PART in it, nothing on stdout, no crash
    local what=$1 want=$2 part=$3; shift 3
    run "$@"
    same "$what: how it ends" "$code" "$want"
    same "$what: lines" "$(printf '%s\n' "$out" | wc -l | tr -d ' ')" 1
    holds "$what" "$out" "$part"
}
field() { sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$1" | head -1; } # field REPORT NAME
probe() { ffprobe -v error -select_streams "$2:0" -show_entries "stream=$3" -of csv=p=0 "$1" 2>&1 | head -1 | sed 's/,$//'; } # probe FILE v|a FIELD
frames() { ffprobe -v error -select_streams v:0 -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$1" 2>&1 | sed 's/,$//'; }
raw_hash() { ffmpeg -v error -i "$1" -pix_fmt rgb24 -f rawvideo - 2>/dev/null | sha256sum | cut -d' ' -f1; }
make_clip() { ffmpeg -v error -y -nostdin "$@" || bad "ffmpeg could not make the clip: $*"; }

"$build/mosaic_demo" demo --photos 300 --size 64 >/dev/null || { echo "cli: mosaic_demo failed" >&2; exit 1; }
source=demo/clip
have_ffmpeg=1
command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || { have_ffmpeg=0; skip "everything that needs the ffmpeg and ffprobe programs"; }

# ---- words on the command line ----
good "--help" --help
for name in flow raft-weights flow-size flow-iterations input frames tiles output preset cells tile-size cell-aspect mask mask-shows height coherence max-uses min-distance rerank variants hue-variants turns crf encoder-preset fps start count threads simd gpu pool \
    mean-strength recolour histogram bleed border border-width gamma saturation sharpness config dump-config placements report atlas contact-sheet diagnose diagnose-picture quiet help version; do
    holds "--help names --$name" "$out" "--$name "
done
good "--version" --version
holds "--version" "$out" "mosaic_video 0."
refuses "unknown option" 2 "did you mean --output?" --outptu x.mp4
refuses "hopeless option" 2 "--help lists all" --qqqqqqqqqq
refuses "unknown preset" 2 'did you mean "legacy"?' --preset legasy
refuses "unknown encoder preset" 2 'did you mean "veryfast"?' --encoder-preset veryfsat
refuses "unknown instruction set" 2 'did you mean "avx2"?' --simd avx3
refuses "unknown variant" 2 'did you mean "mirror"?' --input $source --output x.mp4 $small --variants plain,miror
refuses "no number" 2 "--cells: \"many\" is not a whole number" --cells many
refuses "number out of range" 2 "from 0 to 1" --coherence 1.5
refuses "no value" 2 "--crf wants a value" --crf
refuses "stray word" 2 "belongs to no option" film.mp4
refuses "flag with a value" 2 "takes no value" --quiet=1
refuses "no input" 2 "--input FILE is missing" --tiles demo/tiles --output x.mp4
refuses "no tiles" 2 "--tiles DIR is missing" --input $source --output x.mp4
refuses "no output" 2 "--output FILE is missing" --input $source --tiles demo/tiles
refuses "input twice" 2 "another name for --input" --input $source --frames $source --tiles demo/tiles --output x.mp4
refuses "unknown ending" 2 "does not say what to write" --input $source --tiles demo/tiles --output x.xyz
refuses "bad cell size" 2 "is no size in pixels" --input $source --output x.mp4 --tiles demo/tiles --tile-size 12by9
refuses "bad rate" 2 "is no frame rate" --input $source --output x.mp4 --tiles demo/tiles --fps fast
refuses "bad time" 2 "is no time" --input $source --output x.mp4 --tiles demo/tiles --start noon

# ---- every kind of output ----
good "mp4" --input $source $small --output a.mp4 --report a.json --placements a.jsonl --contact-sheet a.png --diagnose
holds "summary" "$out" "24 frames of"
holds "diagnosis" "$out" "photographs: 300 in the pool"
whole "mp4" a.mp4
hash=$(field a.json frames_sha256)
width=$(field a.json width) height=$(field a.json height) cols=$(field a.json cols) rows=$(field a.json rows)
same "hash has 64 digits" ${#hash} 64
for name in frames width height cols rows photos tiles fps active_codec encoder preset flow gpu threads simd total pool decode describe assign rerank render encode p50 p95 \
    peak_memory_mb churn frames_sha256; do
    [ -n "$(field a.json $name)" ] && ok || bad "the report has no $name"
done
grep -q '"cuts":' a.json && ok || bad "the report has no cuts"
same "frames in the report" "$(field a.json frames)" 24
same "height" "$height" 144
same "placements: lines" "$(wc -l < a.jsonl | tr -d ' ')" 25
holds "placements: head" "$(head -1 a.jsonl)" "{\"format\":\"mosaic-placements\",\"version\":1,\"cols\":$((cols + 1)),\"rows\":$((rows + 1)),\"cell\":"
holds "placements: photographs" "$(head -1 a.jsonl)" '"photos":["0000.jpg","0001.jpg",'
holds "placements: variants" "$(head -1 a.jsonl)" '"variants":["plain","mirror",'
holds "placements: frame" "$(sed -n 2p a.jsonl)" '{"frame":0,"cut":true,"origin":[0,0],"photo":['
same "placements: cells" "$(sed -n 3p a.jsonl | sed 's/.*"photo":\[\([^]]*\)\].*/\1/' | tr ',' '\n' | wc -l | tr -d ' ')" $(((cols + 1) * (rows + 1)))
good "the same again" --input $source $small --output b.mp4 --quiet
same "--quiet says nothing" "$out" ""
cmp -s a.mp4 b.mp4 && ok || bad "two runs gave different files"
good "--frames, --name=value" --frames=$source $small --output=c.mp4
cmp -s a.mp4 c.mp4 && ok || bad "--frames differs from --input"
good "folder" --input $source $small --output pngs/
same "folder: files" "$(ls pngs | wc -l | tr -d ' ')" 24
refuses "folder with frames in it" 1 "already holds frames" --input $source $small --output pngs
mkdir there && echo kept > there/notes.txt
good "existing folder" --input $source $small --output there --count 3
same "existing folder: files" "$(ls there | tr '\n' ' ')" "frame_000001.png frame_000002.png frame_000003.png notes.txt "
good "png" --input $source $small --output one.png
cmp -s one.png pngs/frame_000001.png || [ -s one.png ] && ok || bad "no picture"
good "jpg from one picture" --input $source/frame_0003.png $small --output one.jpg
"$mosaic" --input $source $small --output - > a.y4m 2>err.txt && ok || bad "y4m: $(cat err.txt)"
same "y4m: head" "$(head -c 200 a.y4m | head -1)" "YUV4MPEG2 W$width H$height F25:1 Ip A1:1 C444 XCOLORRANGE=LIMITED"
same "y4m: size" "$(wc -c < a.y4m | tr -d ' ')" $(($(head -1 a.y4m | wc -c) + 24 * (6 + 3 * width * height)))
"$mosaic" --input $source $small --output - 2>err.txt | head -c 1000 >/dev/null
holds "the reader goes away" "$(cat err.txt)" "has ended"
good "cell size" --input $source --tiles demo/tiles --output x.png --tile-size 18x12 --height 144 --report x.json
same "cell size: height" "$(($(field x.json height) / $(field x.json rows)))x$(($(field x.json width) / $(field x.json cols)))" "12x18"
good "cell shape" --input $source $small --output x.png --cell-aspect 3:2 --report x.json
same "cell shape: twice the width is three times the height" $((2 * $(field x.json width) / $(field x.json cols))) $((3 * $(field x.json height) / $(field x.json rows)))
refuses "no shape" 2 "is no shape; write 3:2" --input $source $small --output x.png --cell-aspect 3by2
refuses "a needle" 2 "is no shape" --input $source $small --output x.png --cell-aspect 17:1
refuses "shape twice" 2 "--tile-size 60x40 gives the shape itself" --input $source $small --output x.png --cell-aspect 3:2 --tile-size 12
good "every dial" --input $source $small --output d.mp4 --coherence 0 --max-uses 0 --min-distance 0 --rerank 4 --mean-strength .8 --spread-strength 0 --bleed 0 --variants plain,mirror --crf 30 --count 4 --preset legacy
for preset in legacy ultra natural vivid vivid_b tile fast; do
    good "--preset $preset" --input $source $small --output d.mp4 --preset $preset --count 3
done
# ---- options from a file ----
good "films to compare" --input $source $small --output c1.mp4 --report c1.json --count 3 --preset vivid_b --bleed .2 --border laplacian --variants plain,mirror
good "--dump-config" --input $source $small --output c2.mp4 --report c2.json --count 3 --preset vivid_b --bleed .2 --border laplacian --variants plain,mirror --dump-config
"$mosaic" --input $source $small --output c2.mp4 --report c2.json --count 3 --preset vivid_b --bleed .2 --border laplacian --variants plain,mirror --dump-config > dump.json
same "a dump writes no film" "$(ls c2.mp4 2>/dev/null)" ""
holds "a dump holds the preset's values" "$(cat dump.json)" '"saturation":	2.1,'
good "--config" --config dump.json
same "a dump makes the same film" "$(field c2.json frames_sha256)" "$(field c1.json frames_sha256)"
same "a dump of a dump is the same" "$("$mosaic" --config dump.json --dump-config)" "$(cat dump.json)"
good "the command line counts more" --config dump.json --bleed 0 --tiles demo/tiles --output c3.mp4 --report c3.json
[ "$(field c3.json frames_sha256)" != "$(field c1.json frames_sha256)" ] && ok || bad "--bleed beside --config changes nothing"
echo '{"profile_name": "vivid_b", "size": "60", "beta": 0.3, "ema_alpha": 0.15, "flow_size": [480, 272], "keep_intermediate": false, "silent": false, "png_compression": 3, "device": "cuda", "solver": "scipy", "pipeline": "stream", "ssim_impl": "skimage", "swap_impl": "python", "assemble_impl": "numpy", "postprocess_impl": "gpu"}' > seed.json
"$mosaic" --config seed.json --input $source --tiles demo/tiles --height 144 --output c4.mp4 --count 2 2> err.txt && ok || bad "another program's configuration: $(cat err.txt)"
holds "what means nothing is named" "$(cat err.txt)" "mean nothing here: ema_alpha, keep_intermediate, png_compression, device, solver, pipeline, ssim_impl, swap_impl, assemble_impl, postprocess_impl"
holds "another program's names" "$("$mosaic" --config seed.json --dump-config | tr -d '\t\n')" '"preset":"vivid_b","cells":60,'
damaged() { # WHAT TEXT JSON
    printf '%s' "$3" > bad.json
    refuses "$1" 2 "$2" --config bad.json
}
damaged "unknown field" 'did you mean "preset"? known: input' '{"presett": "vivid"}'
damaged "number out of range" '"9" is not a number from 0 to 0.5' '{"bleed": 9}'
damaged "no number" '"inf" is not a number' '{"bleed": 1e999}'
damaged "no whole number" 'not a whole number' '{"cells": 60.5}'
damaged "no flag" 'wants true or false' '{"quiet": 1}'
damaged "no text" 'wants FILE' '{"input": {"a": 1}}'
damaged "no texts" 'wants strings' '{"tiles": [1]}'
damaged "no such preset" 'there is no "3"' '{"preset": 3}'
damaged "not for files" 'no field "help"' '{"help": true}'
damaged "cut off" 'no JSON in line 2' "{\"cells\":
60"
damaged "empty" 'no JSON in line 1' ''
damaged "no object" 'one object' '[1]'
damaged "two objects" 'something follows' '{} {}'
damaged "nested without end" 'no JSON' "$(head -c 100000 /dev/zero | tr '\0' '[')"
damaged "too long" 'more than a megabyte' "$(head -c 1100000 /dev/zero | tr '\0' ' ')"
refuses "no such file" 2 'No such file' --config nowhere.json
refuses "a folder" 2 'folder.json' --config $(mkdir -p folder.json && echo folder.json)
good "the calmest" --input $source $small --output d.mp4 --coherence 1 --max-uses 2 --min-distance 1 --count 4
whole "no parts left" d.mp4

# ---- the same bytes for every number of threads and instruction set ----
for n in 1 2 3 5; do
    good "--threads $n" --input $source $small --output t.mp4 --threads $n --report t.json
    same "--threads $n: frames" "$(field t.json frames_sha256)" "$hash"
    cmp -s a.mp4 t.mp4 && ok || bad "--threads $n: another file"
done
for level in scalar avx2 avx512 avx512vnni; do
    run --input $source $small --output t.mp4 --simd $level --report t.json
    if [ $code = 1 ]; then
        skip "--simd $level, which this processor lacks"
    else
        same "--simd $level: frames" "$(field t.json frames_sha256)" "$hash"
    fi
done

# ---- the pool file ----
mkdir worse && ln -s ../demo/tiles worse/good && echo no picture > worse/a.jpg && : > worse/b.png && head -c 300 demo/tiles/0001.jpg > worse/c.jpg && ln -s a.jpg worse/d.jpg
good "bad pictures are left out" --input $source --tiles worse --height 144 --cells 60 --output x.png --report x.json
holds "bad pictures are named" "$out" "skipped worse/a.jpg: "
same "bad pictures are counted" "$(field x.json photos) $(field x.json skipped)" "300 3"
rm -r worse
good "pool: made" --input $source $small --output p.png --pool pool.bin
cp pool.bin pool.good
good "pool: used" --input $source $small --output p.mp4 --pool pool.bin --report p.json
holds "pool: used" "$out" "from the pool file"
same "pool: same frames" "$(field p.json frames_sha256)" "$hash"
for damage in 'head -c 1000 pool.good' 'head -c 40000 /dev/urandom' 'tail -c +2 pool.good' 'true'; do
    eval "$damage" > pool.bin
    cp pool.bin pool.bad
    refuses "damaged pool ($damage)" 1 "pool.bin: not a " --input $source $small --output x.mp4 --pool pool.bin --quiet
    nothing "damaged pool ($damage)" x.mp4
    cmp -s pool.bin pool.bad && ok || bad "damaged pool ($damage): not left alone"
    rm -f pool.bin
done
cp pool.good pool.bin
cp -r demo/tiles more
good "pool: same photographs elsewhere" --input $source --tiles more --height 144 --cells 60 --output p.mp4 --pool pool.bin
changed() { # changed WHAT: after a change the pool file must lead to what the photographs themselves lead to
    good "pool: $1" --input $source --tiles more --height 144 --cells 60 --output p.mp4 --pool pool.bin --report p.json
    case $out in *"from the pool file"*) bad "pool: $1: not noticed" ;; *) ok ;; esac
    good "pool: $1, afresh" --input $source --tiles more --height 144 --cells 60 --output p.mp4 --report q.json
    same "pool: $1: frames" "$(field p.json frames_sha256)" "$(field q.json frames_sha256)"
}
cat demo/tiles/0009.jpg > more/0000.jpg; changed "one replaced"
cp demo/tiles/0007.jpg more/0100a.jpg; changed "one added"
rm more/0100.jpg; changed "one removed"
mv more/0200.jpg more/zz.jpg; changed "one renamed"
good "pool: nothing changed" --input $source --tiles more --height 144 --cells 60 --output p.mp4 --pool pool.bin
holds "pool: nothing changed" "$out" "from the pool file"
good "pool: other cells" --input $source --tiles more --height 144 --cells 20 --output p.png --pool pool.bin
holds "pool: other cells" "$out" "was made for cells of"
refuses "pool: no place for it" 1 "nowhere/pool.bin: cannot be written" --input $source $small --output x.mp4 --pool nowhere/pool.bin --quiet
nothing "pool: no place for it" x.mp4

# ---- looks: turned hues, turned photographs ----
looks="--hue-variants 2 --turns"
good "looks" --input $source $small --output l.mp4 $looks --count 6 --report l.json --placements l.jsonl --pool look.bin
same "looks: tiles" "$(field l.json tiles)" $((300 * 4 * 12))
holds "looks: their names" "$(head -1 l.jsonl)" '"variants":["plain","mirror","bright","dark","plain, turned 90","mirror, turned 90",'
holds "looks: their names" "$(head -1 l.jsonl)" '"dark, hue 120, turned 180",'
grep -o '"variant":.*' l.jsonl | grep -qE '[[,](1[6-9]|[2-4][0-9])[],]' && ok || bad "looks: no turned hue is shown"
good "looks: from the pool file" --input $source $small --output l.mp4 $looks --count 6 --report q.json --pool look.bin --threads 1 --simd scalar
holds "looks: from the pool file" "$out" "from the pool file"
same "looks: from the pool file" "$(field q.json frames_sha256)" "$(field l.json frames_sha256)"
good "looks: others than in the pool file" --input $source $small --output l.mp4 --turns --count 6 --report q.json --pool look.bin
holds "looks: others than in the pool file" "$out" "was made with --hue-variants 2 --turns; making the pool anew"
[ "$(field q.json frames_sha256)" != "$(field l.json frames_sha256)" ] && ok || bad "looks: the hues change nothing"
good "looks: no squares" --input $source $small --output l.png --cell-aspect 3:2 --turns --report q.json
same "looks: no squares" "$(field q.json tiles)" $((300 * 4 * 2))
refuses "looks: too many" 2 "a whole number from 0 to 7" --input $source $small --output y.png --hue-variants 8

# ---- photographs ----
mkdir -p mixed/deep/er empty && cp demo/tiles/00[0-9]*.jpg mixed && cp demo/tiles/01[0-9]*.jpg mixed/deep/er
: > mixed/zero.png; echo "no picture" > mixed/broken.jpg; head -c 500 demo/tiles/0001.jpg > mixed/deep/cut.jpg; echo text > mixed/readme.txt
ln -s ../mixed mixed/deep/loop; ln -s 0001.jpg mixed/again.jpg
good "mixed folder" --input $source --tiles mixed mixed/deep --height 144 --cells 60 --output m.png --report m.json
holds "mixed folder: names one" "$out" "skipped mixed/broken.jpg"
same "mixed folder: each photograph once" "$(field m.json photos)" "$(ls demo/tiles/00[0-9]*.jpg demo/tiles/01[0-9]*.jpg | wc -l | tr -d ' ')"
same "mixed folder: skipped" "$(field m.json skipped)" 3
run --input $source --tiles mixed --height 144 --cells 60 --output m.png --diagnose
holds "--diagnose names the skipped" "$out" "mixed/zero.png: is empty"
good "two folders" --input $source --tiles demo/tiles mixed/deep --height 144 --cells 60 --output m.png
refuses "missing folder" 1 "nowhere: No such file" --input $source --tiles nowhere --output x.mp4 --height 144
refuses "empty folder" 1 "no photographs found" --input $source --tiles empty --output x.mp4 --height 144
mkdir few && cp demo/tiles/000[0-4].jpg few
refuses "too few photographs" 1 "cells (5 are there, 0 unreadable)" --input $source --tiles few --output x.mp4 --height 144 --cells 60
mkdir broken && echo x > broken/a.jpg
refuses "only unreadable photographs" 1 ", 1 unreadable)" --input $source --tiles broken --output x.mp4 --height 144 --cells 60 --quiet
nothing "too few photographs" x.mp4

# ---- bad sources ----
refuses "missing source" 1 "nowhere.mp4" --input nowhere.mp4 $small --output x.mp4
refuses "empty folder as source" 1 "empty" --input empty $small --output x.mp4
refuses "not a video" 1 "notes.txt" --input there/notes.txt $small --output x.mp4
: > zero.mp4
refuses "empty file" 1 "zero.mp4" --input zero.mp4 $small --output x.mp4
refuses "impossible cells" 1 "no grid" --input $source --tiles demo/tiles --output x.mp4 --height 100 --tile-size 4000
nothing "bad sources" x.mp4
mkdir gap && cp $source/frame_000[1-3].png gap && : > gap/frame_0002.png
run --input gap $small --output gap.mp4 --quiet
case $code in 1 | 3) ok ;; *) bad "a frame without bytes: ended with $code: $out" ;; esac
holds "a frame without bytes" "$out" "frame_0002.png"
same "a frame without bytes: lines" "$(printf '%s\n' "$out" | wc -l | tr -d ' ')" 1

# ---- bad places for the output ----
refuses "no such folder" 1 "make its folder first" --input $source $small --output nowhere/x.mp4
refuses "a file as a folder" 1 "cannot be written" --input $source $small --output zero.mp4/x.mp4
refuses "report in no folder" 1 "nowhere/r.json" --input $source $small --output x.mp4 --report nowhere/r.json
refuses "sheet in no folder" 1 "nowhere/s.png" --input $source $small --output x.mp4 --contact-sheet nowhere/s.png
refuses "placements in no folder" 1 "nowhere/p.jsonl" --input $source $small --output x.mp4 --placements nowhere/p.jsonl
cp $source/frame_0001.png same.png
refuses "output is the input" 1 "is given to --input and to --output" --input same.png $small --output same.png
cmp -s same.png $source/frame_0001.png && ok || bad "the input was overwritten"
odd=$(run --input $source --tiles demo/tiles --output x.mp4 --tile-size 17x13 --height 143; echo "$code $out")
case $odd in "1 "*"even sizes"* | "0 "*) ok ;; *) bad "odd cells: $odd" ;; esac
rm -f x.mp4
nothing "bad places" x.mp4
# A file size limit stands for a full disk: writes beyond it fail.
for target in full.mp4 full.mkv full/ full.png; do
    out=$(trap '' XFSZ; ulimit -f 8; "$mosaic" --input $source --tiles demo/tiles --height 288 --cells 60 --output $target --quiet 2>&1); code=$?
    same "full disk: $target" "$code" 1
    holds "full disk: $target" "$out" "cannot be written"
    nothing "full disk: $target" ${target%/}
done
out=$(trap '' XFSZ; ulimit -f 1; "$mosaic" --input $source $small --output x.png --count 1 --placements full.jsonl --quiet 2>&1); code=$?
same "full disk: placements" "$code" 1
nothing "full disk: placements" full.jsonl
rm -f x.png
if [ -c /dev/full ]; then
    "$mosaic" --input $source $small --output - --quiet > /dev/full 2> err.txt; code=$?
    same "full device: y4m" "$code" 1
    holds "full device: y4m" "$(cat err.txt)" "standard output: cannot be written"
    refuses "full device: report" 1 "/dev/full: cannot be written" --input $source $small --output x.png --report /dev/full --quiet
fi
if mkdir disk && mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null; then
    refuses "full disk for real" 1 "disk/x.mp4: cannot be written" --input $source --tiles demo/tiles --height 288 --cells 60 --output disk/x.mp4 --quiet
    same "full disk for real: nothing left" "$(ls disk)" ""
    umount disk
fi

# ---- interruption ----
# A long run, once it has made a few frames.
begin_long() {
    "$mosaic" --input long.mp4 $small --encoder-preset veryslow --output long_out.mp4 --placements long.jsonl --quiet 2> err.txt &
    long=$!
    for _ in $(seq 200); do
        [ "$(cat long.jsonl.*.part 2>/dev/null | wc -l)" -gt 3 ] && return
        sleep 0.02
    done
}
if [ $have_ffmpeg = 1 ]; then
    make_clip -f lavfi -i testsrc2=s=160x90:r=25:d=120 -c:v libx264 -preset ultrafast long.mp4
    for signal in INT TERM; do
        begin_long; kill -$signal $long; wait $long; code=$?
        same "$signal: how it ends" "$code" 130
        holds "$signal: says so" "$(cat err.txt)" "frames so far"
        whole "$signal" long_out.mp4
        made=$(frames long_out.mp4)
        [ "$made" -gt 0 ] && [ "$made" -lt 3000 ] && ok || bad "$signal: $made frames"
        same "$signal: placements" "$(wc -l < long.jsonl | tr -d ' ')" $((made + 1))
        rm -f long_out.mp4 long.jsonl
    done
    begin_long; kill -9 $long; wait $long 2>/dev/null
    [ ! -e long_out.mp4 ] && [ ! -e long.jsonl ] && ok || bad "kill -9: half a file under the final name"
    rm -f ./*.part
fi

# Killed at any moment: what has its final name is whole, byte for byte what an undisturbed run writes.
mkdir killed
all_files() { exec "$mosaic" --input $source $small --threads 1 --output "$1/film.mp4" --placements "$1/p.jsonl" --contact-sheet "$1/sheet.png" --pool "$1/pool" --atlas "$1/atlas" --quiet; }
mkdir killed/whole && begun=$(date +%s%N)
(all_files killed/whole) && ok || bad "kill -9: the run to compare with"
taken=$((($(date +%s%N) - begun) / 1000000))
landed=0
for i in $(seq $kills); do
    mkdir killed/run
    all_files killed/run 2>/dev/null &
    victim=$!
    after=$((taken * (2 * i - 1) / (2 * kills) + RANDOM % (taken / kills + 1) - taken / kills / 2))
    sleep "$(awk "BEGIN { print ($after < 0 ? 0 : $after) / 1000 }")"
    kill -9 $victim 2>/dev/null && landed=$((landed + 1))
    wait $victim 2>/dev/null
    for file in film.mp4 p.jsonl sheet.png pool atlas/draw.jsonl atlas/atlas-1.png; do
        [ ! -e killed/run/$file ] || cmp -s killed/run/$file killed/whole/$file && ok || bad "kill -9 after $after of $taken ms: $file is not whole"
    done
    rm -rf killed/run
done
[ $landed -gt 0 ] && ok || bad "kill -9: every run had ended before"
rm -rf killed

# ---- what ffprobe says, and every kind of source ----
if [ $have_ffmpeg = 1 ]; then
    same "mp4: stream" "$(probe a.mp4 v codec_name,width,height,pix_fmt)" "h264,$width,$height,yuv420p"
    same "mp4: frames" "$(frames a.mp4)" 24
    about "mp4: length" "$(probe a.mp4 v duration)" 0.96 0.001
    same "mp4: index first" "$(head -c 48 a.mp4 | tr -d '\0' | grep -c moov)" 1
    ffmpeg -v error -i pngs/frame_%06d.png -pix_fmt rgb24 -f rawvideo - | sha256sum | grep -q "^$hash" && ok || bad "the hash is not that of the frames in the folder"
    same "y4m: frames" "$(frames a.y4m)" 24
    same "one.png is the first frame" "$(raw_hash one.png)" "$(raw_hash pngs/frame_000001.png)"
    about "contact sheet" "$(probe a.png v width)" 1600 0
    same "jpg" "$(probe one.jpg v codec_name,width,height)" "mjpeg,$width,$height"

    clip="-framerate 25 -i $source/frame_%04d.png"
    tone='-f lavfi -i aevalsrc=0.5*sin(2764*t)*gt(t\,0.5):s=48000:d=2' # silent for half a second
    make_clip $clip -i $source/frame_0001.png $tone -map 0 -map 2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -t 0.96 sound.mp4
    make_clip $clip $tone -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a pcm_s16le -t 0.96 sound.mkv
    make_clip $clip -c:v ffv1 -pix_fmt yuv420p10le ten.mkv
    make_clip $clip -c:v ffv1 -pix_fmt yuv444p 444.mkv
    make_clip $clip -c:v ffv1 -pix_fmt gray gray.mkv
    make_clip $clip -vf scale=101:77 -c:v ffv1 odd.mkv
    make_clip $clip -vf scale=160:180,setsar=2/1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p sar.mp4
    make_clip $clip -c:v libx264 -preset ultrafast -pix_fmt yuv420p upright.mp4
    ffmpeg -v quiet -y -display_rotation:v:0 90 -i upright.mp4 -c copy turned.mp4 || make_clip -i upright.mp4 -c copy -metadata:s:v rotate=90 turned.mp4
    make_clip $clip -vf "select='not(between(n,5,11))'" -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p uneven.mkv
    make_clip $clip -color_range pc -colorspace bt470bg -color_primaries bt470bg -color_trc smpte170m -vf scale=out_range=pc:out_color_matrix=bt601 -c:v libx264 \
        -preset ultrafast -pix_fmt yuv420p pal.mp4
    head -c 15 $source/frame_0001.png > dot.raw
    make_clip -f rawvideo -pix_fmt rgb24 -s 1x1 -r 25 -i dot.raw -c:v ffv1 -pix_fmt gbrp dot.mkv
    for kind in ten.mkv 444.mkv gray.mkv odd.mkv sar.mp4 turned.mp4 uneven.mkv pal.mp4; do
        good "$kind" --input $kind $small --output k.mp4 --report k.json
        same "$kind: frames" "$(frames k.mp4)" 24
        about "$kind: length" "$(probe k.mp4 v duration)" 0.96 0.001
    done
    good "turned" --input turned.mp4 $small --output k.mp4 --report k.json
    [ "$(field k.json width)" -lt "$(field k.json height)" ] && ok || bad "a clip turned by 90 degrees is not upright"
    run --input sar.mp4 $small --output k.mp4 --report k.json
    about "wide samples" "$(awk "BEGIN { print $(field k.json width) / $(field k.json height) }")" 1.78 0.25
    run --input pal.mp4 $small --output k.mp4
    same "colour tags" "$(probe k.mp4 v color_range,color_space,color_transfer,color_primaries)" "tv,bt470bg,smpte170m,bt470bg"
    run --input dot.mkv $small --output k.mp4
    case $code in 0) same "1x1 source: frames" "$(frames k.mp4)" 5 ;; 1) holds "1x1 source" "$out" "1x1" ;; *) bad "1x1 source: $out" ;; esac

    # sound: copied where the container takes it, the same packets; else encoded; offset and cut like the pictures
    begins() { ffmpeg -i "$1" -af silencedetect=n=-30dB:d=0.01 -f null - 2>&1 | sed -n 's/.*silence_end: \([0-9.]*\).*/\1/p' | head -1; }
    sound_hash() { ffmpeg -v error -i "$1" -map 0:a -c copy -f md5 -; }
    good "sound: copied" --input sound.mp4 $small --output s.mp4
    same "sound: copied: packets" "$(sound_hash s.mp4)" "$(sound_hash sound.mp4)"
    good "sound: into mkv" --input sound.mp4 $small --output s.mkv
    same "sound: into mkv" "$(probe s.mkv a codec_name)" aac
    good "sound: pcm into mkv" --input sound.mkv $small --output s.mkv
    same "sound: pcm into mkv" "$(probe s.mkv a codec_name)" pcm_s16le
    same "sound: pcm into mkv: packets" "$(sound_hash s.mkv)" "$(sound_hash sound.mkv)"
    good "sound: pcm into mp4" --input sound.mkv $small --output s.mp4
    case $(probe s.mp4 a codec_name) in aac | pcm_s16le) ok ;; *) bad "sound: pcm into mp4: $(probe s.mp4 a codec_name)" ;; esac
    about "sound: pcm into mp4: in time" "$(begins s.mp4)" 0.5 0.003
    about "sound: pcm into mp4: length" "$(probe s.mp4 a duration)" 0.96 0.03
    for from in sound.mp4 sound.mkv; do
        for to in s.mp4 s.mkv; do
            good "sound: part of $from in $to" --input $from $small --output $to --start 0.4 --count 8
            same "sound: part of $from in $to: frames" "$(frames $to)" 8
            about "sound: part of $from in $to: in time" "$(begins $to)" 0.1 0.003
        done
        about "sound: part of $from: length" "$(probe s.mp4 a duration)" 0.32 0.03
    done
    good "no sound" --input upright.mp4 $small --output s.mp4
    same "no sound" "$(probe s.mp4 a codec_name)" ""

    # rates
    good "--fps 12.5" --input upright.mp4 $small --output f.mp4 --fps 12.5
    same "--fps 12.5: frames" "$(frames f.mp4)" 12
    about "--fps 12.5: length" "$(probe f.mp4 v duration)" 0.96 0.001
    good "--fps 50 with sound" --input sound.mp4 $small --output f.mkv --fps 50
    same "--fps 50: frames" "$(frames f.mkv)" 48

    # damage: what can be decoded becomes a whole file, one line says what is missing
    make_clip $clip -c:v libx264 -preset ultrafast -pix_fmt yuv420p -movflags faststart first.mp4
    head -c $(($(wc -c < first.mp4) * 6 / 10)) first.mp4 > cut.mp4
    refuses "truncated mp4" 3 "cut.mp4" --input cut.mp4 $small --output k.mp4 --quiet
    whole "truncated mp4" k.mp4
    made=$(frames k.mp4)
    [ "$made" -gt 0 ] && [ "$made" -lt 24 ] && ok || bad "truncated mp4: $made frames"
    size=$(wc -c < first.mp4)
    { head -c $((size / 2)) first.mp4; head -c 4000 /dev/zero; tail -c +$((size / 2 + 4001)) first.mp4; } > holes.mp4
    refuses "damaged mp4" 3 "holes.mp4" --input holes.mp4 $small --output k.mp4 --quiet
    same "damaged mp4: frames" "$(frames k.mp4)" 24
    head -c 300 first.mp4 > stump.mp4
    rm -f k.mp4
    refuses "mp4 without pictures" 1 "stump.mp4" --input stump.mp4 $small --output k.mp4 --quiet
    nothing "mp4 without pictures" k.mp4
    refuses "start behind the end" 1 "start" --input upright.mp4 $small --output k.mp4 --start 100 --quiet
    nothing "start behind the end" k.mp4
fi

# ---- no file in two parts ----
cp $source/frame_0001.png film.png
for option in placements report contact-sheet pool; do
    refuses "--$option over the input" 1 "film.png: is given to --input and to --$option" --input film.png $small --output two.png --$option film.png
    cmp -s film.png $source/frame_0001.png && ok || bad "--$option over the input: the input is not what it was"
    refuses "--$option over a folder" 1 "is a folder" --input film.png $small --output two.png --$option demo
done
refuses "output over the input" 1 "is given to --input and to --output" --input film.png $small --output ./film.png
refuses "pool over what is no pool" 1 "not a pool file; give --pool another name" --input film.png $small --output two.png --pool demo/clip/frame_0002.png
refuses "placements over the report" 1 "is given to --placements and to --report" --input film.png $small --output two.png --report r --placements r
nothing "no file in two parts" two.png

# ---- a grid that may move, where there are too few photographs for a column and a row more ----
mkdir crowd && for name in $(ls demo/tiles | head -260); do cp demo/tiles/$name crowd; done
crowd="--tiles crowd --height 144 --cells 280 --max-uses 1 --encoder-preset ultrafast --count 2" # 21 x 12 cells
good "grid: it stays" --input $source $crowd --output g.mp4 --report g.json --placements g.jsonl
holds "grid: it stays" "$(head -1 g.jsonl)" "\"cols\":$(field g.json cols),\"rows\":$(field g.json rows),"
good "grid: fixed" --input $source $crowd --output h.mp4 --grid fixed
cmp -s g.mp4 h.mp4 && ok || bad "a grid that stays differs from one that is fixed"
refuses "grid: it cannot follow" 1 "photographs are missing" --input $source $crowd --output x.mp4 --grid follow

# ---- masks: the left half and a little more of the right one ----
printf 'P5 4 1 255\n\377\377\177\000' > half.pgm
good "mask" --input $source $small --output mask.mp4 --mask half.pgm --count 5 --placements mask.jsonl --report mask.json --contact-sheet mask.png
same "mask: filled" "$(field mask.json filled)" $((cols * rows / 2))
same "mask: first row" "$(sed -n 2p mask.jsonl | sed 's/.*"photo":\[//' | cut -d, -f1-$cols | tr ',' '\n' | grep -c -- '^-1$')" $((cols / 2))
mkdir half && for f in $(ls demo/tiles | head -$((cols * rows / 2))); do ln -s "../demo/tiles/$f" half; done
few="--tiles half --height 144 --cells 60 --max-uses 1 --min-distance 0"
good "mask: a photograph for each filled cell" --input $source $few --output x.png --mask half.pgm
refuses "no mask: half are missing" 1 "$((cols * rows / 2)) photographs are missing for $((cols * rows)) cells" --input $source $few --output y.png
good "mask: the source elsewhere" --input $source $small --output x.mp4 --mask half.pgm --mask-shows source --count 5
holds "mask: said" "$out" "$((cols * rows / 2)) filled"
printf 'P5 4 1 65535\n\377\377\377\377\177\177\000\000' > deep.pgm
good "mask: 16 bits" --input $source $small --output x.mp4 --mask deep.pgm --count 1 --report deep.json
same "mask: 16 bits" "$(field deep.json filled)" "$(field mask.json filled)"
printf 'P5 1 1 255\n\000' > none.pgm
refuses "mask: nothing left" 1 "leaves out every cell" --input $source $small --output y.png --mask none.pgm
refuses "mask: not there" 1 "nowhere.png" --input $source $small --output y.png --mask nowhere.png
head -c 700 demo/clip/frame_0001.png > cut.png
refuses "mask: cut off" 1 "cut.png" --input $source $small --output y.png --mask cut.png
refuses "mask over the output" 1 "is given to --mask and to --report" --input $source $small --output y.png --mask half.pgm --report half.pgm
refuses "mask: shows what" 2 'did you mean "source"?' --input $source $small --output y.png --mask half.pgm --mask-shows sourc
nothing "mask: refused" y.png

# ---- what the photographs lack ----
shares() { sed -n "/\"share\"/,/}/s/.*\"$2\":[[:space:]]*\([0-9.]*\).*/\1/p" "$1"; } # shares REPORT PART
good "diagnosis" --input $source $small --output x.mp4 --count 4 --diagnose --report dx.json --diagnose-picture dx.png
holds "diagnosis: whose error" "$out" "of its square"
about "diagnosis: the parts are the whole" "$(echo "$(shares dx.json colour) $(shares dx.json stock) $(shares dx.json rules)" | awk '{ print $1 + $2 + $3 }')" 1 .0003
same "diagnosis: never used" "$(sed -n '/never_used/,/]/p' dx.json | grep -o '\.jpg' | wc -l | tr -d ' ')" "$(printf '%s' "$out" | sed -n 's/.* used, \([0-9]*\) never.*/\1/p')"
whole "diagnosis: picture" dx.png
good "diagnosis: nothing but the colours" --input $source $small --output x.mp4 --count 4 --diagnose --report dx.json --max-uses 0 --min-distance 0 --coherence 0 --rerank 0
same "diagnosis: nothing but the colours" "$(shares dx.json colour) $(shares dx.json stock) $(shares dx.json rules)" "1.0000 0.0000 0.0000"
good "diagnosis: used up" --input $source $few --output x.mp4 --mask half.pgm --count 2 --diagnose --report dx.json --coherence 0 --rerank 0
[ "$(shares dx.json stock | tr -d .)" -gt 0500 ] && same "diagnosis: no rules" "$(shares dx.json rules)" 0.0000 || bad "diagnosis: one use each, and the stock suffices: $(shares dx.json stock)"
refuses "diagnosis picture over the report" 1 "is given to --report and to --diagnose-picture" --input $source $small --output y.mp4 --report y.json --diagnose-picture y.json
nothing "diagnosis: refused" y.mp4

# ---- the window: SDL's own driver without a screen ----
if [ -x "$build/mosaic_live" ]; then
    mosaic=$build/mosaic_live
    live() { SDL_VIDEODRIVER=dummy ASAN_OPTIONS=detect_leaks=0 good "$@"; }
    make_live() { local what=$1; shift; live "$what" --tiles demo/tiles --height 144 --cells 60 "$@"; }
    make_live "mosaic_live: a folder of frames" --input $source
    holds "mosaic_live: all frames" "$out" "mosaic_live: 24 frames; "
    shape=$(printf '%s' "$out" | sed -n 's/.* fps, \(.* cells\).*/\1/p')
    make_live "mosaic_live: keys" --input $source --press '>p'
    holds "mosaic_live: the dial, a preset" "$out" "$shape, dial 0.6, legacy"
    make_live "mosaic_live: keys" --input $source --press '<<++'
    holds "mosaic_live: the dial" "$out" "dial 0.3, default"
    case $out in *"$shape"*) bad "mosaic_live: as many cells as before: $out" ;; *) ok ;; esac
    make_live "mosaic_live: keys" --input $source --press '+-'
    holds "mosaic_live: fewer cells again" "$out" "$shape"
    make_live "mosaic_live: keys" --input $source --press 'tf q'
    holds "mosaic_live: pause, and the end" "$out" "mosaic_live: 15 frames; "
    holds "mosaic_live: the source" "$out" "default, source, paused"
    make_live "mosaic_live: a device" --camera testsrc2=size=160x90:rate=25 --camera-format lavfi --count 12
    holds "mosaic_live: a device" "$out" "mosaic_live: 12 frames; "
    export SDL_VIDEODRIVER=dummy ASAN_OPTIONS=detect_leaks=0
    refuses "mosaic_live: no such device" 1 "cannot open this device" --camera /dev/nowhere --tiles demo/tiles
    refuses "mosaic_live: no such kind of device" 1 "knows no devices of this kind" --camera x --camera-format y --tiles demo/tiles
    refuses "mosaic_live: no input" 2 "give --input FILE or --camera DEVICE" --tiles demo/tiles
    refuses "mosaic_live: no photographs" 2 "--tiles DIR is missing" --input $source
    refuses "mosaic_live: not there" 1 "nowhere.mp4" --input nowhere.mp4 --tiles demo/tiles
    SDL_VIDEODRIVER=nonsense refuses "mosaic_live: no screen" 1 "no window can be opened" --input $source --tiles demo/tiles
    unset SDL_VIDEODRIVER ASAN_OPTIONS
    mosaic=$build/mosaic_video
else
    skip "mosaic_live, which needs SDL2 ('make deps' installs it)"
fi

# ---- the atlas: whoever has it and the draw lists paints the same bytes ----
if ${CC:-cc} -O1 "$tests/atlas_paint.c" $(pkg-config --cflags --libs libcjson) -lm -o atlas_paint; then
    good "atlas" --input $source $small --output x.mp4 --bleed 0 --grid fixed --atlas at --report x.json
    same "atlas: painted from it alone" "$(./atlas_paint at | sha256sum | cut -d' ' -f1)" "$(field x.json frames_sha256)"
    good "atlas: with a mask, by a folder that is there" --input $source $small --output x.mp4 --bleed 0 --atlas at --mask half.pgm --variants mirror,dark --report x.json
    same "atlas: with a mask, painted from it alone" "$(./atlas_paint at | sha256sum | cut -d' ' -f1)" "$(field x.json frames_sha256)"
    same "atlas: files" "$(ls at | tr '\n' ' ')" "atlas-1.png draw.jsonl "
    "$mosaic" --input $source --tiles demo/tiles --tile-size 1024 --height 4096 --count 1 --output - --bleed 0 --atlas pages --min-distance 0 --max-uses 1 --report x.json --quiet >/dev/null && ok || bad "atlas: more than a page"
    same "atlas: more than a page, painted from it alone" "$(./atlas_paint pages | sha256sum | cut -d' ' -f1) $(ls pages | wc -l | tr -d ' ')" "$(field x.json frames_sha256) 3"
    good "atlas: with looks" --input $source $small --output x.mp4 --bleed 0 --grid fixed --atlas at $looks --report x.json
    same "atlas: with looks, painted from it alone" "$(./atlas_paint at | sha256sum | cut -d' ' -f1)" "$(field x.json frames_sha256)"
    good "atlas: the source is needed" --input $source $small --output x.mp4 --bleed .1 --atlas at --count 2
    ./atlas_paint at >/dev/null; same "atlas: the source is needed" $? 3
else
    bad "tests/atlas_paint.c does not compile"
fi
echo here > taken
refuses "atlas where a file is" 1 "taken" --input $source $small --output y.mp4 --atlas taken
refuses "atlas nowhere" 1 "make its folder first" --input $source $small --output y.mp4 --atlas no/where
same "atlas: the file is kept" "$(cat taken)" here
nothing "atlas: refused" y.mp4

# ---- the other examples: what they make, what they refuse ----
export ASAN_OPTIONS=detect_leaks=0 # a program on one page leaves its memory to the system when it ends with an error
still=$build/mosaic_still
out=$("$still" demo/clip/frame_0020.png demo/tiles still.png 2>&1) && ok || bad "mosaic_still: $out"
holds "mosaic_still" "$out" "300 photographs"
"$still" demo/clip/frame_0020.png demo/tiles still.jpg >/dev/null 2>&1 && [ -s still.jpg ] && ok || bad "mosaic_still: no JPEG"
mosaic=$still
good "mosaic_still: options" demo/clip/frame_0020.png demo/tiles x.png --cells 60 --height 144 --cell-aspect 3:2 --mask half.pgm
holds "mosaic_still: options" "$out" "of them filled"
# Two rows of four pixels, blue, green, red and white; the upper row opaque, the lower one clear.
printf '\0\0\2\0\0\0\0\0\0\0\0\0\4\0\2\0\40\50\377\0\0\377\0\377\0\377\0\0\377\377\377\377\377\377' > clear.tga
printf '\377\0\0\0\0\377\0\0\0\0\377\0\377\377\377\0' >> clear.tga
good "mosaic_still: a transparent picture" clear.tga demo/tiles clear.png --cells 8 --height 32
holds "mosaic_still: a transparent picture" "$out" "4 x 2 cells, 4 of them filled"
if [ $have_ffmpeg = 1 ]; then
    same "mosaic_still: clear stays clear" "$(ffmpeg -v error -i clear.png -pix_fmt rgba -f rawvideo - | od -An -v -tu1 -w4 | awk '{ n[int((NR - 1) / 1024)] += $4 } END { print n[0], n[1] }')" "261120 0"
    good "mosaic_still: the source shows" clear.tga demo/tiles clear.png --cells 8 --height 32 --mask-shows source
    same "mosaic_still: the source shows" "$(ffmpeg -v error -i clear.png -pix_fmt rgba -f rawvideo - | od -An -v -tu1 -w4 | awk '$4 != 255' | wc -l | tr -d ' ')" 0
fi
good "mosaic_still: the default is a preset" demo/clip/frame_0020.png demo/tiles x1.png --cells 60 --height 144 --preset default --bleed .12
good "mosaic_still: another preset" demo/clip/frame_0020.png demo/tiles x2.png --cells 60 --height 144 --preset vivid
good "mosaic_still: changed" demo/clip/frame_0020.png demo/tiles x3.png --cells 60 --height 144 --preset vivid --saturation 1 --border laplacian
good "mosaic_still: looks" demo/clip/frame_0020.png demo/tiles x4.png --cells 60 --height 144 --turns --hue-variants 2
good "mosaic_still: as before" demo/clip/frame_0020.png demo/tiles x5.png --cells 60 --height 144
cmp -s x1.png x5.png && ok || bad "mosaic_still: --preset default is not the default"
same "mosaic_still: all differ" "$(cksum x2.png x3.png x4.png x5.png | cut -d' ' -f1 | sort -u | wc -l | tr -d ' ')" 4
refuses "mosaic_still: unknown preset" 2 'did you mean "vivid"?' demo/clip/frame_0020.png demo/tiles x.png --preset vivit
refuses "mosaic_still: out of range" 2 "from 0 to 0.5" demo/clip/frame_0020.png demo/tiles x.png --bleed 3
same "mosaic_still: as mosaic_video" "$("$build/mosaic_video" --input demo/clip/frame_0020.png --tiles demo/tiles --output v.png --cells 60 --height 144 --preset vivid --quiet && cmp v.png x2.png; echo $?)" 0
good "mosaic_still: 16 bits" deep.pgm demo/tiles x.png --cells 4 --height 32
good "mosaic_still: help" --help
holds "mosaic_still: help" "$out" "--cell-aspect W:H"
refuses "mosaic_still: no arguments" 2 "usage"
refuses "mosaic_still: unknown option" 2 "did you mean --cells?" demo/clip/frame_0020.png demo/tiles x.png --cels 5
refuses "mosaic_still: no shape" 2 "is no shape" demo/clip/frame_0020.png demo/tiles x.png --cell-aspect 0:1
refuses "mosaic_still: nothing left" 1 "leaves out every cell" demo/clip/frame_0020.png demo/tiles x.png --mask none.pgm
refuses "mosaic_still: no picture" 1 "nowhere.png" nowhere.png demo/tiles x.png
refuses "mosaic_still: no photographs" 1 "no pictures in it" demo/clip/frame_0020.png nowhere x.png
run demo/clip/frame_0020.png demo/tiles nowhere/x.png
same "mosaic_still: no place: how it ends" "$code" 1
holds "mosaic_still: no place" "$out" "cannot be written"
unset ASAN_OPTIONS
measure=$build/mosaic_measure
if [ $have_ffmpeg = 1 ] && [ -x "$measure" ]; then
    mosaic=$build/mosaic_video
    good "mosaic_measure: a mosaic" --input $source $small --output m.mp4 --crf 1 --placements m.jsonl
    mosaic=$measure
    good "mosaic_measure" --source $source --mosaic m.mp4 --placements m.jsonl --tiles demo/tiles
    same "mosaic_measure: lines" "$(printf '%s\n' "$out" | wc -l | tr -d ' ')" 1
    for figure in ssim3 de3 churn repeat4 photo_ncc contrast photo_churn distinct_photos most_uses nearest_copy repaint_rate; do
        printf '%s' "$out" | grep -qE "\"$figure\":[0-9]" && ok || bad "mosaic_measure: no $figure in: $out"
    done
    for figure in flow_churn far_churn far_follow ewarp; do holds "mosaic_measure without flow" "$out" "\"$figure\":null"; done
    good "mosaic_measure: a film against itself" --source m.mp4 --mosaic m.mp4 --cols 10 --rows 6
    holds "mosaic_measure: a film against itself" "$out" '"ssim3":1,"de3":0,'
    refuses "mosaic_measure: no grid" 2 "--cols" --source $source --mosaic m.mp4
    refuses "mosaic_measure: no mosaic" 1 "nowhere.mp4" --source $source --mosaic nowhere.mp4 --cols 10 --rows 6
fi

# ---- flow_view, and --flow ----
mosaic=$build/flow_view
a=demo/clip/frame_0010.png b=demo/clip/frame_0011.png
good "flow_view --help" --help
for name in method preset weights iterations arithmetic out picture truth; do holds "flow_view --help names --$name" "$out" "--$name "; done
good "flow_view: .flo and picture" $a $b --method dis --out f.flo --picture f.png
same "flow_view: says nothing" "$out" ""
good "flow_view: against itself" $a $b --truth f.flo
same "flow_view: against itself" "$out" "EPE 0.0000"
good "flow_view: KITTI" $a $b --out k.png
good "flow_view: KITTI read" $a $b --truth k.png
about "flow_view: KITTI is rounded to 1/64 px" "${out#EPE }" 0.006 0.006
good "flow_view: what raft alone needs is left unread" $a $b --method dis --weights nowhere.pth --iterations 12 --truth f.flo
same "flow_view: what raft alone needs is left unread" "$out" "EPE 0.0000"
good "flow_view: another preset" $a $b --preset ultrafast --out u.flo --truth f.flo
[ "$(head -c 4 f.flo)" = PIEH ] && [ "$(wc -c <u.flo)" = "$(wc -c <f.flo)" ] && ok || bad "flow_view: no .flo"
good "flow_view: none" $a $b --method none --truth k.png --out n.flo
[ "$(tail -c +13 n.flo | tr -d '\0' | wc -c | tr -d ' ')" = 0 ] && ok || bad "flow_view: none moves"
head -c 5000 f.flo >cut.flo
cat f.flo f.flo >long.flo
head -c 12 f.flo | sed 's/PIEH/PIEX/' >no.flo
printf 'PIEH\377\377\377\177\377\377\377\177' >huge.flo
refuses "flow_view: truncated .flo" 1 "truncated" $a $b --truth cut.flo
refuses "flow_view: a .flo too long" 1 "damaged" $a $b --truth long.flo
refuses "flow_view: no .flo" 1 "is no .flo file" $a $b --truth no.flo
refuses "flow_view: a huge .flo" 1 "1 to 32767" $a $b --truth huge.flo
refuses "flow_view: 8 bits are no field" 1 "16 bits" $a $b --truth f.png
refuses "flow_view: truth of another size" 1 "px" demo/tiles/$(ls demo/tiles | head -1) demo/tiles/$(ls demo/tiles | head -1) --truth f.flo
refuses "flow_view: no pictures" 2 "two pictures" --method dis --out x.flo
refuses "flow_view: one picture" 2 "two pictures" $a --method dis --out x.flo
refuses "flow_view: nothing wanted" 2 "nothing is wanted" $a $b
refuses "flow_view: unknown flag" 2 "did you mean --method?" $a $b --methot dis
refuses "flow_view: unknown method" 2 'did you mean "dis"?' $a $b --method diz --out x.flo
refuses "flow_view: raft without weights" 2 "--weights" $a $b --method raft --out x.flo
refuses "flow_view: no such weights" 1 "nowhere.pth: No such file" $a $b --method raft --weights nowhere.pth --out x.flo
refuses "flow_view: no weights" 1 "no weight file" $a $b --method raft --weights k.png --out x.flo
refuses "flow_view: missing picture" 1 "nowhere.png" $a nowhere.png --out x.flo
refuses "flow_view: unequal sizes" 1 "of one size" $a demo/tiles/$(ls demo/tiles | head -1) --out x.flo
refuses "flow_view: no place" 1 "nowhere/x.flo" $a $b --out nowhere/x.flo
nothing "flow_view: refusals" x.flo
mosaic=$build/mosaic_video
refuses "unknown flow" 2 'did you mean "raft"?' --input $source $small --output x.mp4 --flow rafd
refuses "raft without weights" 2 "--raft-weights FILE" --input $source $small --output x.mp4 --flow raft
refuses "bad flow size" 2 "--flow-size: \"big\"" --input $source $small --output x.mp4 --flow-size big
refuses "no weights" 1 "no weight file" --input $source $small --output x.mp4 --flow raft --raft-weights f.png
good "--flow none" --input $source $small --output fn/ --count 12 --flow none --raft-weights nowhere.pth --flow-iterations 3 --report fn.json
good "--flow dis, one thread" --input $source $small --output fd/ --count 12 --flow dis --threads 1 --report fd.json
good "--flow is dis, scalar" --input $source $small --output fe/ --count 12 --threads 3 --simd scalar --report fe.json
same "report: no flow" "$(field fn.json flow)" none
same "report: flow" "$(field fd.json flow) $(field fd.json flow_size)" "dis 480x272"
same "the same frames with any threads and instruction set" "$(field fd.json frames_sha256)" "$(field fe.json frames_sha256)"
[ "$(field fd.json frames_sha256)" != "$(field fn.json frames_sha256)" ] && ok || bad "flow changes nothing"
good "--flow-size" --input $source $small --output fs/ --count 4 --flow-size 96x54 --report fs.json
same "report: flow size" "$(field fs.json flow_size)" 96x54

# ---- assign: a table in, pairs and a proof out ----
export ASAN_OPTIONS=detect_leaks=0
mosaic=$build/assign
assigned() { # assigned WHAT TABLE WANTED ARGS...: what it prints, lines joined by spaces
    local what=$1 table=$2 want=$3; shift 3
    printf -- "$table" > costs.csv
    run costs.csv "$@"
    same "assign: $what" "$(printf '%s' "$out" | tr '\n' ' ')" "$want"
}
clashes() { # clashes WHAT TABLE CODE PART ARGS...
    local what=$1 table=$2 want=$3 part=$4; shift 4
    printf -- "$table" > costs.csv
    refuses "assign: $what" "$want" "$part" costs.csv "$@"
}
assigned "decimals" '0.1,0.2,0.3\n0.2,inf,0.1\n0.3,0.1,0.1\n' \
    'row,column,cost 1,1,0.1 2,3,0.1 3,2,0.1 total 0.3 proven: no other total is smaller row prices 0.1 0.1 0.1 column prices 0.0 0.0 0.0'
assigned "the largest total" '0.1,0.2,0.3\n0.2,inf,0.1\n0.3,0.1,0.1\n' \
    'row,column,cost 1,2,0.2 2,3,0.1 3,1,0.3 total 0.6 proven: no other total is larger row prices 0.2 0.0 0.1 column prices 0.2 0.0 0.1' --maximize
assigned "SciPy's order" '1;1\n1;1\n' \
    'row,column,cost 1,1,1 2,2,1 total 2 proven: no other total is smaller; in double precision row prices 1 1 column prices 0 0' --scipy
assigned "uses" '1\t7\n2\t9\n-3e0\t 9.50 \r\n\n' \
    'row,column,cost 1,1,1.0 2,1,2.0 3,1,-3.0 total 0.0 proven: no other total is smaller row prices 1.0 2.0 -3.0 column prices 0.0 0.0' --max-uses 3
assigned "more than a double holds" '\357\273\2779007199254740993,9007199254740992\n9007199254740992,9007199254740993' \
    'row,column,cost 1,2,9007199254740992 2,1,9007199254740992 total 18014398509481984 proven: no other total is smaller row prices 9007199254740995 9007199254740996 column prices -4 -3'
assigned "double precision" '1e-30,2,1e10\n3,4,5\n' \
    'row,column,cost 1,1,1.0000000000000001e-30 2,2,4 total 4 proven: no other total is smaller; in double precision row prices 1 4 column prices -1 0 0'
clashes "ragged" '1,2\n3\n' 1 "line 2 has 1 cells, not 2"
clashes "empty" '' 1 "there are no numbers"
clashes "text" '1,2\n3,four\n' 1 'line 2, cell 2: "four" is not a number'
clashes "an empty cell" '1,,2\n' 1 'cell 2: "" is not a number'
clashes "nan" '1,nan\n' 1 '"nan" is not a number'
clashes "-inf" '-inf,1\n' 1 '"-inf" is not a number'
clashes "too large" '1,1e999\n' 1 '"1e999" is not a number'
clashes "hexadecimal" '0x10,1\n' 1 '"0x10" is not a number'
clashes "two dots" '1.2.3,1\n' 1 '"1.2.3" is not a number'
clashes "no text file" '1,2\000\n' 1 "not a text file"
clashes "rows that clash" '1,inf,inf\n2,inf,inf\n1,2,3\n' 1 "for rows 1, 2 there are only columns 1"
clashes "columns that clash" '1,inf\n2,inf\n1,inf\n' 1 "for columns 2 there are only rows: none"
clashes "uses with SciPy's order" '1,2\n' 2 "do not go together" --scipy --max-uses 2
clashes "no uses" '1,2\n' 2 "--max-uses takes a number" --max-uses 0
clashes "an unknown flag" '1,2\n' 2 "usage" --minimize
refuses "assign: no file" 1 "nowhere.csv: No such file" nowhere.csv
refuses "assign: a folder" 1 "demo: Is a directory" demo
refuses "assign: no arguments" 2 "usage"
unset ASAN_OPTIONS

# ---- ssim_compare ----
mosaic=$build/ssim_compare
printf 'P5 9 9 65535\n%0162d' 0 > gray16.pgm
printf 'P5 9 9 255\n%081d' 0 > gray.pgm
printf 'P6 9 9 255\n%0243d' 0 > colour.ppm
for pair in "gray16.pgm gray16.pgm" "gray16.pgm gray.pgm" "colour.ppm gray.pgm"; do
    good "ssim_compare $pair" $pair
done
good "ssim_compare, the same" colour.ppm colour.ppm
same "ssim_compare, the same" "$out" 1
refuses "ssim_compare: gray of 16 bits beside colours" 1 "gray16.pgm: a gray picture of 16 bits" gray16.pgm colour.ppm
refuses "ssim_compare: no file" 1 "nowhere.png" nowhere.png colour.ppm
refuses "ssim_compare: no arguments" 2 "usage"

# ---- mosaic_mem_demo: a place seen again, files, edits ----
mosaic=$build/mosaic_mem_demo
if [ -x "$mosaic" ]; then
    good "mosaic_mem_demo" demo --output mem --num-frames 8 --width 48 --height 32
    same "mosaic_mem_demo: files" "$(ls mem | wc -l | tr -d ' ')" 27
    holds "mosaic_mem_demo: says that its models are synthetic" "$out" "(synthetic models)"
    count=$(printf '%s' "$out" | tail -1 | sed 's/.* keyframes: \([0-9]*\) patches.*/\1/')
    points=$(printf '%s' "$out" | tail -1 | sed 's/.*, \([0-9]*\) points.*/\1/')
    same "mosaic_mem_demo: points" "$(sed -n 's/^element vertex //p' mem/points.ply)" "$points"
    same "mosaic_mem_demo: a line each" "$(sed '1,/^end_header/d' mem/points.ply | wc -l | tr -d ' ')" "$points"
    same "mosaic_mem_demo: poses" "$(grep -c timestamp mem/trajectory.json)" 8
    good "mosaic_mem_demo inspect" inspect mem/memory.mosaicmem
    holds "mosaic_mem_demo inspect" "$out" "$count patches in "
    good "mosaic_mem_demo inspect: points" inspect mem/points.ply
    holds "mosaic_mem_demo inspect: points" "$out" "$points points, x "
    good "mosaic_mem_demo inspect: trajectory" inspect mem/trajectory.json
    holds "mosaic_mem_demo inspect: trajectory" "$out" "8 poses"
    good "mosaic_mem_demo: a trajectory of its own" demo --output mem2 --trajectory mem/trajectory.json --width 48 --height 32
    same "mosaic_mem_demo: a trajectory of its own" "$("$mosaic" inspect mem2/trajectory.json)" "$("$mosaic" inspect mem/trajectory.json)"
    same "mosaic_mem_demo: a trajectory of its own: files" "$(ls mem2 | wc -l | tr -d ' ')" 27
    printf '# one\n0 0 1 -5 0 0 0 1\n0.1 0.2 1 -5 0 0 0 1\n' > tum
    good "mosaic_mem_demo: TUM" demo --output mem3 --trajectory tum --width 48 --height 32
    same "mosaic_mem_demo: TUM" "$(ls mem3 | wc -l | tr -d ' ')" 9
    good "mosaic_mem_demo export: centres" export mem/memory.mosaicmem centres.ply
    same "mosaic_mem_demo export: centres" "$(sed -n 's/^element vertex //p' centres.ply)" "$count"
    good "mosaic_mem_demo export: binary" export mem/points.ply binary.ply
    good "mosaic_mem_demo export: binary again" export binary.ply again.ply
    cmp -s binary.ply again.ply && ok || bad "mosaic_mem_demo: a binary PLY read and written is another"
    good "mosaic_mem_demo export: JSON" export mem/memory.mosaicmem store.json
    good "mosaic_mem_demo inspect: JSON" inspect store.json
    holds "mosaic_mem_demo inspect: JSON" "$out" "$count patches in "
    good "mosaic_mem_demo export: back from JSON" export store.json back.mosaicmem
    cmp -s back.mosaicmem mem/memory.mosaicmem && ok || bad "mosaic_mem_demo: the way through JSON makes another store"
    good "mosaic_mem_demo edit: JSON" edit store.json moved.mosaicmem translate 1 2 3
    head -c 9000 store.json > bad.json
    refuses "mosaic_mem_demo: JSON, truncated" 1 "is not JSON, or ends too early" inspect bad.json
    for change in 's/"version": 1/"version": 2/:version' 's/"cell": [^,}]*/"cell": "x"/:cell' 's/"tile_width": 2/"tile_width": 17/:settings' \
        's/"hits": [0-9]*/"hits": 65536/:hits' 's/"cols": /"cols": -/:cols' 's/"tick": \([0-9]*\), "c/"tick": \1.5, "c/:tick' 's/"depths": \[[^,]*,/"depths": [/:depths' \
        's/"pictures"/"films"/:pictures' 's/"confidence": [^,]*/"confidence": 1e39/:confidence' 's/"id": [0-9]*/"id": "18446744073709551616"/:id'; do
        sed "${change%:*}" store.json > bad.json
        refuses "mosaic_mem_demo: JSON, ${change##*:}" 1 "\"${change##*:}\" is missing, or of a wrong kind, range or length" inspect bad.json
    done
    sed 's/"rotation": \[[^,]*/"rotation": [7/' store.json > bad.json
    refuses "mosaic_mem_demo: JSON, no rotation" 1 "damaged or of another kind" inspect bad.json
    echo '{"format": "picture"}' > bad.json
    refuses "mosaic_mem_demo: JSON of another kind" 1 'is not "mosaic-mem"' edit bad.json x flip
    head -c 3000 binary.ply > cut.ply
    refuses "mosaic_mem_demo: PLY, truncated" 1 "ends too early" inspect cut.ply
    printf 'ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nend_header\n1 2\n' > flat.ply
    refuses "mosaic_mem_demo: PLY without z" 1 "no x, y and z" inspect flat.ply
    printf '{"poses": [{"timestamp": 0}]}' > poses.json
    refuses "mosaic_mem_demo: trajectory without poses" 1 "lacks a number" demo --output mem4 --trajectory poses.json
    printf '0 0 1 -5 0 0 0 0\n' > tum
    refuses "mosaic_mem_demo: no pose" 1 "a pose is none" demo --output mem4 --trajectory tum
    good "mosaic_mem_demo translate" edit mem/memory.mosaicmem mem/moved translate 1 2 3
    good "mosaic_mem_demo translate back" edit mem/moved mem/back translate -1 -2 -3
    cmp -s mem/back mem/memory.mosaicmem && ok || bad "mosaic_mem_demo: moved and moved back is another store"
    good "mosaic_mem_demo splice" edit mem/memory.mosaicmem mem/both splice mem/moved 50 0 0
    holds "mosaic_mem_demo splice" "$out" "$((2 * count)) in the store"
    good "mosaic_mem_demo erase" edit mem/both mem/less erase 51 2 3 20
    head -c 500 mem/both > mem/cut
    refuses "mosaic_mem_demo: truncated" 1 "ends too early" inspect mem/cut
    refuses "mosaic_mem_demo: no store" 1 "damaged or of another kind" edit mem/points.ply mem/x flip
    refuses "mosaic_mem_demo: no file" 1 "nowhere" inspect nowhere
    refuses "mosaic_mem_demo: no command" 2 "usage"
    refuses "mosaic_mem_demo: no edit" 2 "usage" edit mem/both mem/x paint 1
fi

[ $skipped = 0 ] || echo "cli: $skipped skipped" >&2
echo "cli: $passed passed, $failed failed"
[ $failed = 0 ]
