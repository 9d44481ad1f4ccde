#!/usr/bin/env python3
"""Runs the peer mosaicraft, which knows pictures only, on each frame of a clip by itself: preset vivid, 54 px cells, about 700 of them.

    mosaicraft.py PACKAGES CLIP TILES OUTPUT FRAMES

PACKAGES is the folder it is installed in. Its photographs are loaded once for all frames. Writes OUTPUT (H.264 as photomosaic-video's: preset medium,
CRF 17) and prints a line of JSON: the grid, the frames, the seconds for photographs and for frames, the memory. FRAMES 0: all. Needs ffmpeg and ffprobe.
"""
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, sys.argv[1])
from mosaicraft import MosaicGenerator  # noqa: E402

CELL, CELLS = 54, 700


def main():
    clip, tiles, output, limit = *sys.argv[2:5], int(sys.argv[5])
    begun = time.perf_counter()
    rate = subprocess.check_output(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=r_frame_rate", "-of", "csv=p=0", clip], text=True)
    rate = rate.strip().rstrip(",")
    generator = MosaicGenerator(tiles, preset="vivid")
    generator._get_tiles(CELL)
    loaded = time.perf_counter()
    encoder, frames = None, 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.check_call(["ffmpeg", "-v", "error", "-i", clip, *(["-frames:v", str(limit)] if limit else []), os.path.join(folder, "%06d.png")])
        for name in sorted(os.listdir(folder)):
            made = generator.generate(os.path.join(folder, name), None, target_tiles=CELLS, tile_size=CELL)
            height, width = made.image.shape[:2]
            if encoder is None:
                encoder = subprocess.Popen(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", rate, "-i", "-",
                                            "-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-c:v", "libx264", "-preset", "medium", "-crf", "17",
                                            "-pix_fmt", "yuv420p", output], stdin=subprocess.PIPE)
            encoder.stdin.write(made.image.tobytes())
            frames += 1
    encoder.stdin.close()
    if encoder.wait():
        sys.exit("mosaicraft.py: ffmpeg failed")
    print(json.dumps({"frames": frames, "cols": made.grid_cols, "rows": made.grid_rows, "load": loaded - begun, "seconds": time.perf_counter() - loaded,
                      "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


main()
