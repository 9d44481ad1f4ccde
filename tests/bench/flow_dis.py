#!/usr/bin/env python3
"""Optical flow of a source video for mosaic_measure: OpenCV's DIS, preset medium, at 480 pixels width, forward and backward.

    flow_dis.py --measure build/mosaic_measure --output clip.flow --source clip.mp4 --mosaic mosaic.mp4 [option of mosaic_measure ...]

mosaic_measure itself hands out the pictures, so that they are cropped and timed exactly as they are measured; any mosaic of the same shape
and length gives the same file. The format is described at the top of examples/mosaic_measure.c. Needs numpy and OpenCV
(pip install opencv-python-headless).
"""
import argparse
import os
import struct
import subprocess
import sys

import cv2
import numpy as np


def pictures(stream):
    """The PGM pictures of a stream, one after another."""
    while stream.readline() == b"P5\n":
        width, height = map(int, stream.readline().split())
        stream.readline()
        data = stream.read(width * height)
        if len(data) < width * height:
            return
        yield np.frombuffer(data, np.uint8).reshape(height, width)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", default="build/mosaic_measure", help="the program (default: %(default)s)")
    parser.add_argument("--output", required=True, help="the flow file")
    options, rest = parser.parse_known_args()
    cv2.setNumThreads(1)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    source = subprocess.Popen([options.measure, *rest, "--flow-frames", "-"], stdout=subprocess.PIPE)
    part = options.output + ".part"
    pairs, before = 0, None
    with open(part, "wb") as out:
        for now in pictures(source.stdout):
            if before is None:
                out.write(b"MFLO" + struct.pack("<4I", 1, now.shape[1], now.shape[0], 0))
            else:
                for a, b in ((before, now), (now, before)):
                    flow = np.rint(dis.calc(a, b, None) * 64.0)
                    out.write(np.clip(flow, -32768, 32767).astype("<i2").tobytes())
                pairs += 1
            before = now
        out.seek(16)
        out.write(struct.pack("<I", pairs))
    if source.wait() != 0 or before is None:
        os.remove(part)
        sys.exit("flow_dis.py: no pictures from " + options.measure)
    os.replace(part, options.output)
    print(f"{options.output}: {pairs} pairs of {before.shape[1]}x{before.shape[0]}")


if __name__ == "__main__":
    main()
