# The headers need no build system; this builds the examples and runs the checks. Every command is described in README.md.

BUILD := build
DATA ?= ../shared/data

HEADERS := $(wildcard mosaic_*.h) $(wildcard examples/util/*.h)
EXAMPLES := $(patsubst examples/%.c,%,$(wildcard examples/*.c))
# Examples that need more than a C compiler and stb are left out, with a word, where their libraries are missing.
WITH_FFMPEG := mosaic_video mosaic_measure mosaic_mem_demo
FFMPEG := libavformat libavcodec libavutil libswscale libswresample libcjson libcrypto
HAVE_FFMPEG := $(shell pkg-config --exists $(FFMPEG) 2>/dev/null && echo yes)
WITH_SDL := mosaic_live
SDL := sdl2 libavdevice $(filter libav% libsw%,$(FFMPEG))
HAVE_SDL := $(shell pkg-config --exists $(SDL) 2>/dev/null && echo yes)
BUILT := $(EXAMPLES)
ifneq ($(HAVE_FFMPEG),yes)
BUILT := $(filter-out $(WITH_FFMPEG),$(BUILT))
endif
ifneq ($(HAVE_SDL),yes)
BUILT := $(filter-out $(WITH_SDL),$(BUILT))
endif

.PHONY: all deps demo gallery test parity matrix bench fuzz clean gpu-check

all: $(BUILT:%=$(BUILD)/%)
ifneq ($(HAVE_FFMPEG),yes)
	@echo "left out, for want of FFmpeg's libraries, cJSON or OpenSSL ('make deps' installs them): $(WITH_FFMPEG)"
endif
ifneq ($(HAVE_SDL),yes)
	@echo "left out, for want of SDL2 or FFmpeg's libraries ('make deps' installs them): $(WITH_SDL)"
endif

# Each example is built by the command in its own opening comment.
$(BUILD)/%: examples/%.c $(HEADERS) tests/one_line.sh
	@mkdir -p $(BUILD)
	sh tests/one_line.sh $< $@

deps:
	@sh tests/deps.sh

# make demo INPUT=film.mp4 TILES=photos does the same with your own.
demo: all
	@BUILD=$(BUILD) INPUT="$(INPUT)" TILES="$(TILES)" sh tests/demo.sh

# The pictures of docs/gallery, made anew. Needs the ffmpeg program too.
gallery: all
	@BUILD=$(BUILD) sh docs/gallery/make.sh

test: all
	@BUILD=$(BUILD) sh tests/run.sh

parity: all
	@BUILD=$(BUILD) sh tests/parity.sh

matrix:
	@sh tests/matrix.sh $(BUILD)/matrix

fuzz:
	@for name in ssim lap raft mem pool config mask; do \
	    libraries=; case $$name in mem | config) libraries=$$(pkg-config --cflags --libs libcjson) ;; esac; \
	    mkdir -p $(BUILD)/fuzz/$$name; \
	    clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_$$name.c $$libraries -o $(BUILD)/fuzz/fuzz_$$name && \
	    case $$name in raft | mem | pool | config | mask) $(BUILD)/fuzz/fuzz_$$name --seeds $(BUILD)/fuzz/$$name ;; esac && \
	    $(BUILD)/fuzz/fuzz_$$name -max_total_time=60 $(BUILD)/fuzz/$$name || exit 1; \
	done

# On a machine with an NVIDIA GPU: the same bytes there, and how fast. Ends with 3 where there is none.
gpu-check:
	@sh tests/gpu/check.sh $(BUILD)/gpu-check

bench: all
	@BUILD=$(BUILD) DATA=$(DATA) sh tests/bench.sh

clean:
	rm -rf $(BUILD)
