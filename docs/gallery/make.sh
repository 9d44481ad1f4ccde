#!/bin/sh
# Makes the pictures of docs/gallery and its README.md from what mosaic_demo paints: the clip and the photographs, nothing else. BUILD: where the programs
# are. Run by `make gallery`.
set -e
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
out=docs/gallery
demo=$BUILD/gallery
[ -f "$demo/clip/frame_0024.png" ] || "$BUILD/mosaic_demo" "$demo" >/dev/null
page=$out/README.md
clip=$demo/clip
photos=$demo/tiles
video=$BUILD/mosaic_video

cat >"$page.part" <<'TEXT'
# Gallery

Made by `make gallery` from the film and the thousand photographs that `mosaic_demo` paints (`build/mosaic_demo build/gallery`); the first picture
is what the mosaics are made of. Each command is what made the picture above it, which is a JPEG here to be small; `--height 1080` is the default.

TEXT

# picture NAME TEXT COMMAND...: runs what writes $demo/NAME.png and enters it into the page; a small JPEG of it comes here.
picture() {
    name=$1
    text=$2
    shift 2
    rm -f "$demo/$name.png"
    "$@" >/dev/null 2>"$demo/said" || { cat "$demo/said" >&2; exit 1; }
    ffmpeg -v error -nostdin -y -i "$demo/$name.png" -vf 'scale=w=min(iw\,660):h=-1' -q:v 6 "$out/$name.jpg"
    printf '## %s\n\n![%s](%s.jpg)\n\n    %s\n\n' "$text" "$text" "$name" "$*" >>"$page.part"
}
mosaic() { # mosaic NAME TEXT OPTION...: of the film's 20th frame
    name=$1
    text=$2
    shift 2
    picture "$name" "$text" "$video" --input "$clip/frame_0020.png" --tiles "$photos" --output "$demo/$name.png" --height 360 "$@"
}

picture material "The film's 20th frame" cp "$clip/frame_0020.png" "$demo/material.png"
mosaic default "The default" --cells 600
for preset in fast ultra natural vivid vivid_b tile legacy; do mosaic "$preset" "--preset $preset" --preset "$preset" --cells 600; done
mosaic aspect-3-2 "Cells half as wide again as high" --cell-aspect 3:2 --cells 600
mosaic aspect-1-2 "Cells twice as high as wide" --cell-aspect 1:2 --cells 600
mosaic cells "Few large cells" --cells 150
mosaic feather "Feathered borders" --cells 150 --border feather --border-width 6
mosaic laplacian "Laplacian borders" --cells 150 --border laplacian --border-width 6
mosaic bleed "A third of the source in each cell" --bleed .33 --cells 600
mosaic none "Photographs in their own colours" --recolour none --bleed 0 --cells 600
mosaic turns "Photographs turned too, and their hues" --turns --hue-variants 2 --recolour none --bleed 0 --cells 600

# A mask: white inside a circle. PGM is text enough for awk.
awk 'BEGIN { print "P2 64 36 255"; for (y = 0; y < 36; y++) for (x = 0; x < 64; x++) print ((x - 32) ^ 2 + (y - 18) ^ 2 < 256 ? 255 : 0) }' >"$demo/circle.pgm.txt"
awk 'NR == 1 { printf "P5 64 36 255\n"; next } { printf "%s", $1 == 255 ? "A" : "!" }' "$demo/circle.pgm.txt" | LC_ALL=C tr 'A!' '\377\000' >"$demo/circle.pgm"
mosaic mask "A mask (white in a circle) leaves cells out" --mask "$demo/circle.pgm" --cells 1500
mosaic mask-source "The source shows where the mask leaves cells out" --mask "$demo/circle.pgm" --mask-shows source --cells 1500
picture still "mosaic_still, which needs stb only" "$BUILD/mosaic_still" "$clip/frame_0008.png" "$photos" "$demo/still.png" --cells 900 --height 360
picture sheet "--contact-sheet: source, mosaic, placements and a close-up" "$video" --input "$clip" --tiles "$photos" --output "$demo/film.mp4" --cells 600 --height 360 \
    --contact-sheet "$demo/sheet.png"
picture diagnose "--diagnose-picture: where the photographs are to blame, and which colours lack" "$video" --input "$clip" --tiles "$photos" \
    --output "$demo/film.mp4" --cells 600 --height 360 --diagnose-picture "$demo/diagnose.png"
mv "$page.part" "$page"
