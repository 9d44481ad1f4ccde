#!/usr/bin/env python3
"""Clips in which something is seen again, and how much of it gets the photographs that it had.

    returns.py make cut|panorama|wobble CLIP.mp4 [--input a.mp4 --other b.mp4]
    returns.py count cut|panorama|wobble PLACEMENTS.jsonl

cut: 30 frames of a, 20 of b, and a goes on. panorama: a window glides over a still, procedural picture, 16 cells to the right, rests and comes back.
wobble: the same by hand: it comes back on another way, up to a cell beside the first. Speeds are in cells, of which the window has 20 in its height.
count prints, of the cells that had been out of sight, the share that show the photograph which stood there last, or (beside: photographs go with their
content by whole cells) within a cell of there. Needs numpy and OpenCV, and ffmpeg.
"""
import argparse
import json
import subprocess

import cv2
import numpy as np

FIRST, BETWEEN, AFTER = 30, 20, 30
WIDTH, HEIGHT, CELL = 640, 360, 18
OUT, REST = 64, 10


def place(kind, frame):
    """Left and top of the window in pixels."""
    steps = min(frame, OUT) - max(0, min(frame - OUT - REST, OUT))
    back = frame > OUT + REST
    wobble = np.array([0.3 * np.sin(0.4 * frame), np.sin(0.11 * frame) if back else 0.0]) * CELL if kind == "wobble" else np.zeros(2)
    return np.array([2 * CELL + steps * CELL / 4, CELL * 2.0]) + wobble


def scenery():
    """A still picture of discs, boxes and grain on a slow gradient: something to recognise everywhere, at all sizes."""
    random = np.random.default_rng(7)
    height, width = HEIGHT + 4 * CELL, WIDTH + 21 * CELL
    picture = cv2.resize(random.integers(40, 216, (3, 9, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    for size in (240, 160, 110, 75, 50, 33):
        for _ in range(width * height // (2 * size * size)):
            x, y = int(random.integers(0, width)), int(random.integers(0, height))
            colour = tuple(float(c) for c in picture[y, x] + random.normal(0, 35, 3))
            if random.integers(0, 2):
                cv2.circle(picture, (x, y), size // 2, colour, -1, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, (x, y), (x + size, y + size * 2 // 3), colour, -1)
    picture = cv2.GaussianBlur(picture, (0, 0), 1)
    return np.clip(picture + random.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def window(picture, at):
    move = np.float32([[1, 0, at[0]], [0, 1, at[1]]])
    return cv2.warpAffine(picture, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def frames(options):
    if options.kind != "cut":
        picture = scenery()
        for frame in range(2 * OUT + REST + 1):
            yield window(picture, place(options.kind, frame))
        return
    film, other = cv2.VideoCapture(options.input), cv2.VideoCapture(options.other)
    size = None
    for frame in range(FIRST + BETWEEN + AFTER):
        between = FIRST <= frame < FIRST + BETWEEN
        more, picture = (other if between else film).read()
        if not more:
            return
        size = size or picture.shape[1::-1]
        yield cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if between else picture


def make(options):
    encoder = None
    for picture in frames(options):
        if encoder is None:
            size = f"{picture.shape[1]}x{picture.shape[0]}"
            encoder = subprocess.Popen(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", size, "-r", "25", "-i", "-", "-c:v", "libx264", "-crf", "8",
                                        "-pix_fmt", "yuv420p", options.file], stdin=subprocess.PIPE)
        encoder.stdin.write(picture.tobytes())
    encoder.stdin.close()
    return encoder.wait()


def count(options):
    """Over all returned frames, the cells that were out of sight."""
    with open(options.file) as file:
        head = json.loads(file.readline())
        photos = [np.array(json.loads(line)["photo"]).reshape(head["rows"], head["cols"]) for line in file]
    rows, cols = head["rows"], head["cols"]
    again = beside = seen = 0
    if options.kind == "cut":
        for frame in range(FIRST + BETWEEN, len(photos)):
            seen += rows * cols
            again += int((photos[frame] == photos[FIRST - 1]).sum())
        print(json.dumps({"share": again / seen, "first": float((photos[FIRST + BETWEEN] == photos[FIRST - 1]).mean())}))
        return 0
    scale = WIDTH / cols
    last = {}  # place in whole cells of the picture: the photograph that a cell with its middle there showed last
    far = place(options.kind, OUT)[0]
    for frame, shown in enumerate(photos):
        at = place(options.kind, frame)
        for row in range(rows):
            for col in range(cols):
                x, y = at[0] / scale + col, at[1] / scale + row
                key = round(x), round(y)
                if frame <= OUT:
                    last[key] = shown[row, col]
                elif frame > OUT + REST and x + 2 < far / scale and key in last:
                    seen += 1
                    again += int(last[key] == shown[row, col])
                    beside += int(any(last.get((key[0] + i, key[1] + j)) == shown[row, col] for i in (-1, 0, 1) for j in (-1, 0, 1)))
    print(json.dumps({"share": again / seen, "beside": beside / seen}))
    return 0


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("what", choices=("make", "count"))
parser.add_argument("kind", choices=("cut", "panorama", "wobble"))
parser.add_argument("file")
parser.add_argument("--input")
parser.add_argument("--other")
options = parser.parse_args()
raise SystemExit(make(options) if options.what == "make" else count(options))
