#!/usr/bin/env python3
"""make bench: our figures and the peers', measured in turn in one run.

    bench.py BUILD DATA [ssim] [lap] [pool] [engine] [films]     (no name: all)

Prints a line per figure and writes BUILD/bench.json, an array of {"name", "ours", "peer", "peer_name", "ratio", "unit", "threads", "note"}. A ratio
above 1 is in our favour, whichever way the figure points. Times are medians of interleaved runs.
"""
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

BUILD, DATA, ONLY = sys.argv[1], sys.argv[2], sys.argv[3:]
CLIPS = ["bigbuckbunny", "carphone", "car-detection"]
TILES = os.path.join(DATA, "tiles")
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(BUILD, "bench")
results = []


def add(name, ours, peer, peer_name, unit, threads, note="", higher_is_better=True):
    ratio = None
    if ours is not None and peer:
        ratio = ours / peer if higher_is_better else peer / ours if ours else None
    results.append({"name": name, "ours": ours, "peer": peer, "peer_name": peer_name, "ratio": ratio, "unit": unit, "threads": threads, "note": note})
    number = lambda x: "-" if x is None else f"{x:.4g}"
    print(f"{name:44s} {number(ours):>9s} {unit:10s} {peer_name or '-':26s} {number(peer):>9s}   x{number(ratio)}  {note}", flush=True)


def wanted(name):
    return not ONLY or name in ONLY


def interleaved(seconds, *calls):
    """Median seconds of each call, taken in turn until `seconds` have gone by (at least 3 rounds)."""
    times = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for call, taken in zip(calls, times):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [statistics.median(t) for t in times]


def library(name):
    path = os.path.join(BUILD, name + "-bench.so")
    subprocess.check_call([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", os.path.join(HERE, *(["..", "parity"] if name.endswith("parity") else []), name + ".c"), "-o", path])
    return ctypes.CDLL(path)


def ssim():
    from skimage.metrics import structural_similarity

    lib = library("ssim_bench")
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    lib.ssim_bench.argtypes = [pointer, pointer, size, size, size, number, number, number, pointer]
    lib.ssim_bench_best.argtypes = [pointer, pointer, size, size, size, number, number, pointer]
    random = np.random.default_rng(1)
    peer_name = "scikit-image 0.26"

    def pictures(count, width, height):
        a = random.integers(0, 256, (count, height, width), np.uint8)
        return a, np.clip(a + random.integers(-20, 20, a.shape), 0, 255).astype(np.uint8)

    def ours(a, b, simd=0, skimage=0, gaussian=0):
        means = np.empty(len(a))
        if lib.ssim_bench(a.ctypes.data, b.ctypes.data, *a.shape[:1], *a.shape[:0:-1], simd, skimage, gaussian, means.ctypes.data):
            return None
        return means

    theirs = lambda a, b, **more: np.array([structural_similarity(x, y, **more) for x, y in zip(a, b)])
    levels = {"AVX-512": 3, "AVX2": 2, "scalar": 1}
    tiny = pictures(1, 7, 7)
    levels = {k: v for k, v in levels.items() if ours(*tiny, v) is not None}
    for count, width, height in ((512, 16, 16), (64, 64, 64), (4, 256, 256), (1, 1920, 1080), (1, 3840, 2160)):
        a, b = pictures(count, width, height)
        name = f"{width}x{height}" + (f", {count} in one go" if count > 1 else "")
        assert (ours(a, b, skimage=1) == theirs(a, b)).all() and (ours(a, b, skimage=1, gaussian=1) == theirs(a, b, gaussian_weights=True)).all()
        peer, bits, *exact = interleaved(3, lambda: theirs(a, b), lambda: ours(a, b, skimage=1), *(lambda v=v: ours(a, b, v) for v in levels.values()))
        speed = lambda t: a.size / t / 1e6
        for level, t in zip(levels, exact):
            add(f"ssim exact {name}, {level}", speed(t), speed(peer), peer_name, "Mpx/s", 1)
        add(f"ssim, its bits {name}", speed(bits), speed(peer), peer_name, "Mpx/s", 1)
        peer, bits, exact = interleaved(3, lambda: theirs(a, b, gaussian_weights=True), lambda: ours(a, b, skimage=1, gaussian=1), lambda: ours(a, b, gaussian=1))
        add(f"ssim, its bits, Gaussian {name}", speed(bits), speed(peer), peer_name, "Mpx/s", 1)
        add(f"ssim exact, Gaussian {name}", speed(exact), speed(peer), peer_name, "Mpx/s", 1, "rmgr-ssim, in floats: 116 at 1080p on a like machine")

    cell, tiles = pictures(1, 54, 54)[0], pictures(64, 54, 54)[0] // 4
    tiles += cell // 2
    winner = size(99)
    best = lambda simd, prepare=0: lib.ssim_bench_best(cell.ctypes.data, tiles.ctypes.data, 64, 54, 54, simd, prepare, ctypes.byref(winner))
    cells = np.broadcast_to(cell, tiles.shape)
    for level, simd in levels.items():
        assert best(simd, 1) == 0 and winner.value == theirs(cells, tiles).argmax()
    peer, *ours_best = interleaved(2, lambda: theirs(cells, tiles), *(lambda v=v: [best(v) for _ in range(20)] for v in levels.values()))
    for level, t in zip(levels, ours_best):
        add(f"ssim 54x54, the best of 64, {level}", t / 20 * 1e6, peer * 1e6, peer_name, "us", 1, "the cell's preparation in our time", False)


def lap():
    from scipy.optimize import linear_sum_assignment

    lib = library("lap_parity")
    random = np.random.default_rng(2)

    def solve(cost, capacity):
        rows, cols = cost.shape
        columns, u, v, totals = np.empty(rows, np.int32), np.empty(rows, np.int64), np.empty(cols, np.int64), np.zeros(2, np.int64)
        p = lambda x: None if x is None else ctypes.c_void_p(x.ctypes.data)
        assert lib.parity_solve(rows, cols, p(cost), p(capacity), 0, 0, p(columns), p(u), p(v), p(totals)) == 0
        return int(totals[0])

    # Costs like a mosaic's: cells crowd a small part of the colour space that the photographs fill.
    for rows, photos, uses in ((700, 919, 4), (700, 3676, 1), (1500, 3676, 1)):
        cells = random.normal(0, 1, (rows, 6)) @ np.diag([60, 25, 10, 6, 4, 3]) + 128
        tiles = random.normal(0, 1, (photos, 6)) @ np.diag([55, 30, 20, 10, 6, 4]) + 120
        cost = ((cells[:, None] - tiles[None]) ** 2).sum(2).astype(np.int32)
        capacity = np.full(photos, uses, np.int32) if uses > 1 else None
        wide = np.repeat(cost, uses, 1)
        assert solve(cost, capacity) == wide[linear_sum_assignment(wide)].sum()
        ours, peer = interleaved(2, lambda: solve(cost, capacity), lambda: linear_sum_assignment(wide))
        add(f"assignment {rows}x{photos}, {uses} uses", ours * 1e3, peer * 1e3, "SciPy 1.17", "ms", 1, "certificate checked over the whole table in our time", False)


def video(clip, output, *more):
    """Runs mosaic_video; returns its report with the wall time of the whole process."""
    report = output + ".json"
    start = time.perf_counter()
    subprocess.check_call([os.path.join(BUILD, "mosaic_video"), "--input", clip, "--tiles", TILES, "--output", output, "--report", report, "--placements",
                           output + ".jsonl", "--quiet", *more])
    wall = time.perf_counter() - start
    return dict(json.load(open(report)), wall=wall)


def peer_video(clip, output):
    """Runs photomosaic-video 0.1.0; returns wall seconds and peak memory in MB of its largest process."""
    script = os.path.join(HERE, "peers.sh")
    start = time.perf_counter()
    process = subprocess.Popen([script, clip, TILES, output], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        return None, None
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def measure(clip, mosaic, flow, *grid):
    line = subprocess.check_output([os.path.join(BUILD, "mosaic_measure"), "--source", clip, "--mosaic", mosaic, "--flow", flow, "--tiles", TILES, *grid])
    return json.loads(line)


def pool():
    clip = os.path.join(DATA, "video", "bigbuckbunny.mp4")
    file = os.path.join(OUT, "tiles.pool")
    first, again = [], []
    for _ in range(3):
        if os.path.exists(file):
            os.remove(file)
        first.append(video(clip, os.path.join(OUT, "pool.mp4"), "--pool", file, "--count", "1")["seconds"]["pool"])
        again.append(video(clip, os.path.join(OUT, "pool.mp4"), "--pool", file, "--count", "1")["seconds"]["pool"])
    add("pool of 919 photographs, first time", statistics.median(first), None, None, "s", 2)
    add("pool of 919 photographs, from --pool", statistics.median(again), None, None, "s", 2)


def engine():
    """The engine with nothing beside it: no decoding, no encoding."""
    program, file, raw = (os.path.join(OUT, end) for end in ("engine", "engine.pool", "engine.rgb"))
    clip = os.path.join(DATA, "video", "bigbuckbunny.mp4")
    subprocess.check_call([os.environ.get("CC", "cc"), "-O2", os.path.join(HERE, "engine.c"), "-o", program, "-lpthread"])
    video(clip, os.path.join(OUT, "pool.mp4"), "--pool", file, "--count", "1")
    subprocess.check_call(["ffmpeg", "-v", "error", "-y", "-i", clip, "-pix_fmt", "rgb24", "-f", "rawvideo", raw])
    for level, simd in (("AVX-512", 3), ("AVX2", 2), ("scalar", 1)):
        for threads in (1, 2):
            runs = []
            for _ in range(3):
                done = subprocess.run([program, file, raw, "1280", "720", str(simd), str(threads)], capture_output=True, text=True)
                if done.returncode == 0:
                    runs.append(json.loads(done.stdout))
            if runs:
                run = sorted(runs, key=lambda r: r["total"])[len(runs) // 2]
                stages = ", ".join(f"{s} {run[s]:.1f}" for s in ("describe", "assign", "render"))
                add(f"engine alone, {level}", 1000 / run["total"], None, None, "fps", threads, f"ms a frame: {stages}")
    os.remove(raw)


def films():
    subprocess.call([os.path.join(HERE, "peers.sh"), "--install"])
    for name in CLIPS:
        clip = os.path.join(DATA, "video", name + ".mp4")
        ours_file, peer_file, flow = (os.path.join(OUT, name + end) for end in (".mp4", "-peer.mp4", ".flow"))
        runs = []
        for turn in range(3):
            runs.append(video(clip, ours_file))
            if turn == 0:
                seconds, memory = peer_video(clip, peer_file)
        run = sorted(runs, key=lambda r: r["wall"])[1]
        frames = run["frames"]
        peer_name = "photomosaic-video 0.1.0"
        add(f"{name}: film to film", frames / run["wall"], seconds and frames / seconds, peer_name, "fps", 2, f"{run['cols']}x{run['rows']} cells, {run['width']}x{run['height']}")
        add(f"{name}: peak memory", run["peak_memory_mb"], memory, peer_name, "MB", 2, "the peer: its largest process alone", False)
        subprocess.check_call([sys.executable, os.path.join(HERE, "flow_dis.py"), "--measure", os.path.join(BUILD, "mosaic_measure"), "--output", flow, "--source", clip,
                               "--mosaic", ours_file, "--placements", ours_file + ".jsonl"], stdout=subprocess.DEVNULL)
        ours = measure(clip, ours_file, flow, "--placements", ours_file + ".jsonl")
        theirs = {}
        if seconds:
            # The peer takes pixels as square: it is measured against the source taken so too.
            grid = {"bigbuckbunny": ["--cols", "35", "--rows", "20"], "car-detection": ["--cols", "35", "--rows", "20"],
                    "carphone": ["--cols", "28", "--rows", "24", "--stored-aspect"]}[name]
            peer_flow = os.path.join(OUT, name + "-peer.flow")
            subprocess.check_call([sys.executable, os.path.join(HERE, "flow_dis.py"), "--measure", os.path.join(BUILD, "mosaic_measure"), "--output", peer_flow, "--source",
                                   clip, "--mosaic", peer_file, *grid], stdout=subprocess.DEVNULL)
            theirs = measure(clip, peer_file, peer_flow, *grid)
        for figure, higher in (("ssim3", True), ("de3", False), ("churn", False), ("flow_churn", False), ("far_churn", False), ("far_follow", True),
                               ("repeat4", False), ("ewarp", False), ("photo_ncc", True), ("contrast", True)):
            add(f"{name}: {figure}", ours.get(figure), theirs.get(figure), peer_name, "", 2, "", higher)


def main():
    os.makedirs(OUT, exist_ok=True)
    for part in (ssim, lap, pool, engine, films):
        if wanted(part.__name__):
            part()
    path = os.path.join(BUILD, "bench.json")
    with open(path + ".part", "w") as file:
        json.dump(results, file, indent=1)
    os.replace(path + ".part", path)
    print(f"{len(results)} figures in {path}")


main()
