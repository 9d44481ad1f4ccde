#!/usr/bin/env python3
"""A clip seen through a window that glides over it: a camera's pan with known motion over real, moving content.

    pan.py --input clip.mp4 --output pan.mp4 --window 640x360 --path glide|fast|vertical|shake|return [--frames 96]

Speeds are in cells a frame, where 20 cells are as high as the window. Each frame is sampled with a bicubic filter at the window's place in 1/32 pixel.
Needs numpy and OpenCV, and ffmpeg.
"""
import argparse
import subprocess

import cv2
import numpy as np


def place(path, frame, cell):
    """Where the window has come by this frame, in pixels."""
    glide = np.array([0.12, 0.04]) * cell
    if path == "fast":  # 24 px of 54 px
        return np.array([24 / 54, 0]) * cell * frame
    if path == "vertical":
        return np.array([0, 0.12]) * cell * frame
    if path == "shake":  # a hand: two slow swings and a faster one, up to a fifth of a cell, on the way
        t = frame * np.array([0.61, 0.83, 2.3, 0.47, 1.07, 2.9])
        swing = np.sin(t)
        return glide * frame + cell * np.array([0.1 * swing[0] + 0.05 * swing[1] + 0.03 * swing[2], 0.1 * swing[3] + 0.05 * swing[4] + 0.03 * swing[5]])
    if path == "return":  # there, a rest, and back
        return glide * 2 * (min(frame, 36) - max(0, frame - 48))
    return glide * frame


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--window", default="640x360")
    parser.add_argument("--path", default="glide")
    parser.add_argument("--frames", type=int, default=96)
    options = parser.parse_args()
    width, height = map(int, options.window.split("x"))
    film = cv2.VideoCapture(options.input)
    encoder = subprocess.Popen(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", options.window, "-r", "25", "-i", "-", "-c:v", "libx264",
                                "-crf", "8", "-pix_fmt", "yuv420p", options.output], stdin=subprocess.PIPE)
    for frame in range(options.frames):
        more, picture = film.read()
        if not more:
            break
        at = np.round(place(options.path, frame, height / 20) * 32) / 32
        room = np.array([picture.shape[1] - width, picture.shape[0] - height], float)
        first = np.where(options.path == "shake", height / 20, 0.0)
        at = np.clip(at + first, 0, room)
        move = np.float32([[1, 0, at[0]], [0, 1, at[1]]])
        encoder.stdin.write(cv2.warpAffine(picture, move, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE).tobytes())
    encoder.stdin.close()
    raise SystemExit(encoder.wait())


main()
