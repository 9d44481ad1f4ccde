#!/bin/sh
# Installs what the examples and tests need from the system's packages; says nothing when all is there.
apt_packages="gcc g++ clang make pkg-config libstb-dev libcjson-dev libssl-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libswresample-dev libavdevice-dev libsdl2-dev ffmpeg python3 python3-venv python3-torch python3-torchvision libomp-dev libclang-rt-14-dev"
brew_packages="pkg-config cjson openssl sdl2 ffmpeg python3 libomp"

if command -v apt-get >/dev/null 2>&1; then
    # The runtime of clang's sanitizers has its version in its name and is only there for some: wanted, not needed.
    missing=
    for p in $apt_packages; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
    done
    [ -z "$missing" ] && exit 0
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || { echo "make deps: run it as root, or install sudo; missing:$missing" >&2; exit 1; }
        sudo=sudo
    fi
    $sudo apt-get update -qq || { echo "make deps: apt-get update failed; missing:$missing" >&2; exit 1; }
    wanted=
    for p in $missing; do
        if apt-cache show "$p" >/dev/null 2>&1; then wanted="$wanted $p"; else echo "make deps: no package $p here; going on without" >&2; fi
    done
    [ -z "$wanted" ] && exit 0
    echo "make deps: installing$wanted"
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $wanted >/dev/null || { echo "make deps: apt-get install failed:$wanted" >&2; exit 1; }
elif command -v brew >/dev/null 2>&1; then
    missing=
    for p in $brew_packages; do brew list "$p" >/dev/null 2>&1 || missing="$missing $p"; done
    # Homebrew has no package of stb: its two headers are looked for where one would put them.
    [ -z "$missing" ] || { echo "make deps: installing$missing"; brew install -q $missing; } || exit 1
    for dir in /opt/homebrew/include /usr/local/include; do [ -f "$dir/stb/stb_image.h" ] && exit 0; done
    echo "make deps: put stb_image.h and stb_image_write.h (github.com/nothings/stb) into $(brew --prefix)/include/stb" >&2
    exit 1
else
    echo "make deps: neither apt-get nor brew is here; install by hand: a C compiler, pkg-config, stb, cJSON, OpenSSL, FFmpeg's development libraries, python3" >&2
    exit 1
fi
