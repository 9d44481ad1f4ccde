#!/usr/bin/env python3
"""make bench: our figures and the peers', measured in turn in one run.

    bench.py BUILD DATA [ssim] [lap] [flow] [mem] [pool] [engine] [films] [looks] [pans] [returns] [dial]     (no name: all)

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


def lap_peers():
    """SciPy, lap and lapx, which calls itself lap too: each of the two in a folder of its own. Processor time is measured, of one thread."""
    from scipy.optimize import linear_sum_assignment

    peers = {"SciPy 1.17": linear_sum_assignment}
    for package in ("lap==0.5.13", "lapx==0.11.1"):
        folder = os.path.abspath(os.path.join(BUILD, "bench-" + package))
        try:
            if not os.path.isdir(folder):
                subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", folder, package])
            sys.path.insert(0, folder)
            module = __import__("lap")
            peers[package.replace("==", " ")] = lambda cost, lapjv=module.lapjv: lapjv(cost, extend_cost=cost.shape[0] != cost.shape[1])
        except (subprocess.CalledProcessError, ImportError) as e:
            print(f"lap: {package} is left out: {e}")
        finally:
            if folder in sys.path:
                sys.path.remove(folder)
            for name in [n for n in sys.modules if n == "lap" or n.startswith("lap.") or n.startswith("_lap")]:
                del sys.modules[name]
    return peers


def lab_cells(image, cols, rows):
    """Each cell of a picture as 4 x 4 Lab pixels."""
    import cv2

    lab = cv2.cvtColor(cv2.resize(image, (cols * 4, rows * 4), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
    return np.ascontiguousarray(lab.reshape(rows, 4, cols, 4, 3).transpose(0, 2, 1, 3, 4).reshape(rows * cols, 48))


def lab_frames(name, count, step=1):
    import cv2

    film, frames = cv2.VideoCapture(os.path.join(DATA, "video", name + ".mp4")), []
    while len(frames) < count * step:
        more, frame = film.read()
        if not more:
            break
        frames.append(frame)
    return frames[::step]


def lab_photos():
    """The photographs, each with its mirror image, a lighter and a darker one."""
    import cv2

    cells = []
    for file in sorted(os.listdir(TILES)):
        if file.endswith(".jpg"):
            image = cv2.imread(os.path.join(TILES, file))
            for variant in (image, image[:, ::-1], np.clip(image * 1.1, 0, 255), np.clip(image * 0.9, 0, 255)):
                cells.append(lab_cells(np.ascontiguousarray(variant, dtype=np.uint8), 1, 1)[0])
    return np.array(cells)


def lab_crops(count):
    """Random squares of all films as pictures for very large mosaics."""
    random = np.random.default_rng(3)
    frames, crops = [f for name in CLIPS for f in lab_frames(name, 40, 3)], []
    while len(crops) < count:
        frame = frames[random.integers(len(frames))]
        side = int(random.integers(12, min(frame.shape[:2]) // 3))
        y, x = random.integers(0, frame.shape[0] - side), random.integers(0, frame.shape[1] - side)
        crops.append(lab_cells(np.ascontiguousarray(frame[y : y + side, x : x + side]), 1, 1)[0])
    return np.array(crops)


def lap():
    lib = library("lap_bench")
    lib.lap_bench.restype = ctypes.c_double
    peers = lap_peers()
    random = np.random.default_rng(2)
    pointer = lambda x: None if x is None else ctypes.c_void_p(x.ctypes.data)
    levels = {"AVX-512": 0, "AVX2": 2, "scalar": 1}

    kinds = {"int32": 0, "int64": 1, "float32": 2, "float64": 3}

    def solver(cost=None, cells=None, tiles=None, capacity=None, variants=0, quota=0, simd=0, threads=1, order=0, sparse=None, feasible=1):
        """A call that solves and returns the seconds; its totals are those of lap_bench."""
        rows, cols = sparse.shape if sparse is not None else cost.shape if cost is not None else (len(cells), len(tiles))
        kind, start, index = 0, None, None
        if sparse is not None:
            cost, start, index = sparse.data, sparse.indptr.astype(np.int64), sparse.indices.astype(np.int32)
        if cost is not None:
            kind = kinds[cost.dtype.name]
        # SciPy has no prices: of costs other than int32 they take several words each and are not asked for
        answer = np.empty(rows, np.int32), *((np.empty(rows, np.int64), np.empty(cols, np.int64)) if kind == 0 else (None, None))
        whole = feasible if kind == 0 else 0  # only with prices there is something to prove

        def call(new=None, warm=0, check=0, repeats=1):
            table = new if new is not None else cost
            taken = lib.lap_bench(rows, cols, kind, order, *map(pointer, (table, start, index, cells, tiles)), 0 if cells is None else cells.shape[1],
                                  pointer(capacity), variants, quota, simd, threads, warm, repeats, check, *map(pointer, answer), pointer(call.totals), pointer(call.total))
            assert taken >= 0
            return taken

        call.totals, call.total, call.answer = np.zeros(3, np.int64), np.zeros(1), answer[0]
        assert call(check=whole) >= 0 and call.totals[2] == (whole if feasible else -1)
        return call

    def table(cells, tiles):
        a, b = cells.astype(np.float32), tiles.astype(np.float32)
        return ((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)).astype(np.int32)

    def timed(*calls, rounds=3, budget=3.0):
        """Medians of what the calls return, in turn."""
        taken, end = [[] for _ in calls], time.perf_counter() + budget
        while len(taken[0]) < rounds or time.perf_counter() < end:
            for call, t in zip(calls, taken):
                t.append(call())
            if sum(map(sum, taken)) > 20:
                break
        return [statistics.median(t) for t in taken]

    def worth(total, cost, found):
        """Whether what a peer has found, pairs or a total and more, is worth `total`: exactly, of whole numbers."""
        theirs = cost[found].sum() if len(found) == 2 else found[0]
        return abs(theirs - total) <= (1e-9 * abs(total) if cost.dtype.kind == "f" else 0.5)

    def against(name, cost, capacity=None, wide=None, only=None, **more):
        """Ours on `cost`, the peers on `wide` (columns with more uses repeated): as many solves in a row of each as take a millisecond."""
        wide = cost if wide is None else wide
        ours = solver(cost, capacity=capacity, **more)
        repeats = max(1, int(1e-3 / ours()))
        calls, names = [lambda: ours(repeats=repeats)], []
        for peer, function in peers.items():
            if only and peer not in only:
                continue

            def call(function=function):
                start = time.process_time()
                for _ in range(repeats):
                    call.found = function(wide)
                return (time.process_time() - start) / repeats

            assert call() >= 0 and worth(ours.total[0], wide, call.found), f"{name}: {peer} has another total than {ours.total[0]}"
            calls.append(call)
            names.append(peer)
        mine, *theirs = timed(*calls, budget=min(3.0, 30 * sum(call() for call in calls) * repeats))
        for peer, t in zip(names, theirs):
            add(f"lap {name}", mine * 1e3, t * 1e3, peer, "ms", 1, higher_is_better=False)
        return mine

    def sparse_against(name, rows, cols, each, short=0):
        """`each` random entries in a row and a solution; or `short` rows that share one column less."""
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import min_weight_full_bipartite_matching

        row, col = np.repeat(np.arange(rows), each), random.integers(0, cols, rows * each)
        least = min(rows, cols)
        row, col = np.append(row, random.permutation(rows)[:least]), np.append(col, random.permutation(cols)[:least])
        if short:
            col = np.where(row < rows - short, col, col % (short - 1))
        keys = np.unique(row.astype(np.int64) * cols + col)
        matrix = csr_matrix((random.random(len(keys)) + 1e-3, (keys // cols, keys % cols)), shape=(rows, cols))
        ours = solver(sparse=matrix, feasible=not short)
        ours_again = lambda: ours(repeats=5)

        def theirs():
            start = time.process_time()
            for _ in range(5):
                try:
                    theirs.found = min_weight_full_bipartite_matching(matrix)
                except ValueError:
                    theirs.found = None
            return (time.process_time() - start) / 5

        assert theirs() >= 0 and (theirs.found is None) == (short > 0)
        assert short or worth(ours.total[0], matrix, tuple(np.asarray(x) for x in theirs.found)), f"sparse {name}: SciPy has another total"
        mine, peer = timed(ours_again, theirs)
        add(f"lap sparse {name}", mine * 1e3, peer * 1e3, "SciPy 1.17", "ms", 1, "no solution" if short else "", False)

    photos, first = lab_photos(), lab_frames("bigbuckbunny", 31)[30:][0]
    crops = lab_crops(100000 if "lap" in ONLY else 16000)
    frames = [lab_cells(f, 35, 20) for f in lab_frames("bigbuckbunny", 54)[30:]]
    small = table(frames[0], photos)
    against("mosaic 700 x 3676", small)
    for level, simd in levels.items():
        add(f"lap mosaic 700 x 3676, {level}", timed(solver(small, simd=simd))[0] * 1e3, None, None, "ms", 1)
    single = table(frames[0], photos[::4])
    against("mosaic 700 x 919, each 4 times", single, np.full(len(photos) // 4, 4, np.int32), np.repeat(single, 4, 1), only=["SciPy 1.17"])
    middle = table(lab_cells(first, 50, 30), photos)
    against("mosaic 1500 x 3676", middle)
    for quota in (3, 2):
        add(f"lap mosaic 1500 x 3676, each photograph {quota} times", timed(solver(middle, variants=4, quota=quota))[0] * 1e3, None, None, "ms", 1)

    # A film, frame after frame.
    tables = [table(f, photos) for f in frames]
    call, cold, warm = solver(tables[0]), [], []
    for t in tables[1:]:
        warm.append(call(t, 1, 1))
        assert call.totals[2] == 1
    still = min(call(tables[-1], 1) for _ in range(9))
    for t in tables:
        cold.append(call(t))
    add("lap film 700 x 3676, cold", statistics.mean(cold) * 1e3, None, None, "ms", 1, f"mean of {len(tables)} frames")
    add("lap film 700 x 3676, warm", statistics.mean(warm) * 1e3, statistics.mean(cold) * 1e3, "cold", "ms", 1, f"slowest {max(warm) * 1e3:.2f}", False)
    add("lap film 700 x 3676, nothing moved", still * 1e3, None, None, "ms", 1)

    # Other families.
    points = lambda n: random.integers(0, 1000, (n, 2)).astype(np.int64)
    spatial = lambda n, m: ((points(n)[:, None] - points(m)[None]) ** 2).sum(2).astype(np.int32)
    for n, m in ((3, 3), (10, 10), (50, 50), (10, 1000), (1000, 10)):
        against(f"uniform {n} x {m}", random.integers(0, 1000000, (n, m), dtype=np.int32))
    # Tiny ones: the work of a call itself counts. Of doubles in SciPy's order as well, and with ties.
    for n, m in ((2, 2), (4, 4), (6, 6), (10, 10), (16, 16), (24, 24), (50, 50), (100, 100), (5, 20), (20, 5), (100, 10)):
        for name, cost in (("double", random.random((n, m))), ("double 0..9", random.integers(0, 10, (n, m)).astype(float))):
            for order, said in ((0, ""), (1, ", SciPy's order")):
                against(f"{name} {n} x {m}{said}", cost, only=["SciPy 1.17"], order=order)
    for n in (1000, 2000):
        against(f"double {n} x {n}", random.random((n, n)), only=["SciPy 1.17"])
    for shape in ((200, 200, 11), (2000, 2000, 11), (20000, 20000, 11), (20000, 40000, 11), (40000, 20000, 11), (20000, 20000, 11, 50), (20000, 20000, 11, 3000)):
        sparse_against(f"{shape[0]} x {shape[1]}", *shape)
    for n, m in ((1000, 1000), (2000, 2000), (1800, 2000), (500, 5000), (5000, 500)):
        only = ["SciPy 1.17"] if n != m else None
        against(f"uniform {n} x {m}", random.integers(0, 1000000, (n, m), dtype=np.int32), only=only)
        against(f"spatial {n} x {m}", spatial(n, m), only=["SciPy 1.17"])
        against(f"0..9 {n} x {m}", random.integers(0, 10, (n, m), dtype=np.int32), only=only)
        against(f"constant {n} x {m}", np.full((n, m), 7, np.int32), only=["SciPy 1.17"])
    against("products 500 x 500", np.multiply.outer(np.arange(500), np.arange(500)).astype(np.int32), only=["SciPy 1.17"])
    against("uniform 4000 x 4000", random.integers(0, 1000000, (4000, 4000), dtype=np.int32), only=["SciPy 1.17"])
    against("0..9 4000 x 4000", random.integers(0, 10, (4000, 4000), dtype=np.int32), only=["SciPy 1.17"])

    # Large ones: from vectors, and as tables; the peers' times grow into minutes.
    for n, m, grid in ((4000, 4000, (80, 50)), (4000, 16000, (80, 50)), (8000, 8000, (100, 80)), (30000, 30000, (200, 150)), (30000, 100000, (200, 150))):
        if m > len(crops):
            continue
        cells, tiles = lab_cells(first, *grid), crops[:m]
        call = solver(cells=cells, tiles=tiles)
        seconds = timed(call, rounds=1, budget=0)[0]
        add(f"lap mosaic {n} x {m} vectors", seconds * 1e3, None, None, "ms", 1, f"{call.totals[1] / 1e6:.0f} MB")
        if n > 8000:
            add(f"lap mosaic {n} x {m} vectors", timed(solver(cells=cells, tiles=tiles, threads=2), rounds=1, budget=0)[0] * 1e3, None, None, "ms", 2)
            continue
        cost = table(cells, tiles)
        if n <= 4000 and "lap" in ONLY:
            against(f"mosaic {n} x {m}", cost, only=["SciPy 1.17"])
        else:
            add(f"lap mosaic {n} x {m}", timed(solver(cost))[0] * 1e3, None, None, "ms", 1)


def read_flo(path):
    with open(path, "rb") as file:
        assert file.read(4) == b"PIEH"
        width, height = np.fromfile(file, np.int32, 2)
        return np.fromfile(file, np.float32, 2 * width * height).reshape(height, width, 2)


def flow():
    """DIS beside OpenCV's: error on pairs with known motion at their full size, time at 480 x 272; ours from RGB, OpenCV's from grey."""
    import cv2

    cv2.setNumThreads(1)
    lib = library("flow_bench")
    lib.flow_bench_dis.restype = ctypes.c_void_p
    lib.flow_bench_pair.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    lib.flow_bench_close.argtypes = [ctypes.c_void_p]
    presets = {"ultrafast": 1, "fast": 0, "medium": 2}
    pairs = {"rubberwhale": ("frame10.png", "frame11.png"), "sintel-alley_1": ("frame_0002.png", "frame_0003.png"),
             "sintel-cave_2": ("frame_0002.png", "frame_0003.png")}
    grey = lambda picture: cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    peer_name = f"OpenCV {cv2.__version__}"

    def dis(handle, a, b):
        out = np.empty(a.shape[:2] + (2,), np.float32)
        assert lib.flow_bench_pair(handle, a.ctypes.data, b.ctypes.data, a.strides[0], out.ctypes.data) == 0
        return out

    for name, files in pairs.items():
        folder = os.path.join(DATA, "flow", name)
        if not os.path.isdir(folder):
            print(f"flow: skipped: no {folder}")
            continue
        a, b = (np.ascontiguousarray(cv2.imread(os.path.join(folder, file))[:, :, ::-1]) for file in files)
        truth = read_flo(os.path.join(folder, "flow_gt.flo"))
        known = (np.abs(truth) < 1e9).all(2)
        small = [cv2.resize(picture, (480, 272), interpolation=cv2.INTER_AREA) for picture in (a, b)]
        for preset, index in presets.items():
            error = lambda field: float(np.hypot(*(field - truth)[known].T).mean())
            handle = lib.flow_bench_dis(a.shape[1], a.shape[0], index, 0)
            peer = cv2.DISOpticalFlow_create({"ultrafast": 0, "fast": 1, "medium": 2}[preset])
            add(f"DIS {preset}: {name}, error", error(dis(handle, a, b)), error(peer.calc(grey(a), grey(b), None)), peer_name, "px", 1, "", False)
            lib.flow_bench_close(handle)
            handles = {level: lib.flow_bench_dis(480, 272, index, simd) for level, simd in (("AVX-512", 3), ("AVX2", 2), ("scalar", 1))}
            handles = {level: h for level, h in handles.items() if h}
            greys = [grey(picture) for picture in small]
            taken = interleaved(1.5, lambda: peer.calc(*greys, None), *(lambda h=h: dis(h, *small) for h in handles.values()))
            for level, t in zip(handles, taken[1:]):
                add(f"DIS {preset}: {name}, 480x272, {level}", t * 1e3, taken[0] * 1e3, peer_name, "ms", 1, "", False)
            for h in handles.values():
                lib.flow_bench_close(h)
    if "small" in locals():
        raft(lib, dis, small)


def raft(lib, run, pair):
    """RAFT-small, a pair at 480 x 272, 12 iterations, one thread, beside torchvision's, which also says how many multiplications that takes."""
    path = os.path.join(DATA, "raft", "raft-small.pth")
    if not os.path.exists(path):
        print(f"flow: RAFT skipped: no {path}")
        return
    with open(path, "rb") as file:
        data = file.read()
    lib.flow_bench_raft.restype = lib.flow_bench_weights.restype = ctypes.c_void_p
    lib.flow_bench_raft.argtypes = [ctypes.c_void_p] + 6 * [ctypes.c_int]
    lib.flow_bench_weights.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    lib.flow_bench_peak.restype = ctypes.c_double
    weights = lib.flow_bench_weights(data, len(data))
    levels = {("float", "AVX-512"): (1, 3), ("float", "AVX2"): (1, 2), ("integer", "VNNI"): (0, 4), ("integer", "AVX-512"): (0, 3), ("integer", "AVX2"): (0, 2)}
    handles = {name: lib.flow_bench_raft(weights, 480, 272, *kind, 12, 0) for name, kind in levels.items()}
    handles = {name: handle for name, handle in handles.items() if handle}
    peer = None
    for python in dict.fromkeys((os.path.join(BUILD, "torch-venv", "bin", "python"), sys.executable, "/usr/bin/python3")):
        if not os.path.exists(python):
            continue
        if subprocess.call([python, "-c", "import torchvision"], stderr=subprocess.DEVNULL) == 0:
            peer = subprocess.Popen([python, os.path.join(HERE, "raft_torch.py"), "480", "272", "12"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            break
    calls = [lambda h=h: run(h, *pair) for h in handles.values()]
    if peer:
        versions, count = peer.stdout.readline().strip().split(";")
        # What the 64 context channels give to the three gates of 96 outputs, 3 x 3, is the same in every iteration: we compute it once.
        count = int(count) - 11 * (480 // 8) * (272 // 8) * 64 * 3 * 96 * 9

        def torch():
            peer.stdin.write("\n")
            peer.stdin.flush()
            peer.stdout.readline()

        calls.append(torch)
    else:
        print("flow: RAFT without its peer: no torchvision in build/torch-venv, for this Python or the system's ('make deps' installs Debian's)")
    taken = interleaved(20, *calls)
    for (arithmetic, level), t in zip(handles, taken):
        note = ""
        if peer and arithmetic == "float":
            rate, peak = count / t * 1e-9, max(lib.flow_bench_peak(levels[arithmetic, level][1]) for _ in range(9))
            note = f"{count * 1e-9:.2f} GMAC; {rate:.0f} of {peak:.0f} GMAC/s: {100 * rate / peak:.0f} %"
        add(f"RAFT-small {arithmetic}: 480x272, {level}", t * 1e3, taken[-1] * 1e3 if peer else None, versions if peer else None, "ms", 1, note, False)
    for handle in handles.values():
        lib.flow_bench_close(handle)
    if peer:
        peer.stdin.close()
        peer.wait()
    for name in CLIPS:
        stream(lib, weights, name, run)


def stream(lib, weights, name, run, frames=8):
    """What a stream with warm start saves: consecutive frames of a film, forward only, with as few iterations as come as near to what 32 give to a pair
    alone as 12 do without."""
    import cv2

    film = cv2.VideoCapture(os.path.join(DATA, "video", name + ".mp4"))
    film.set(cv2.CAP_PROP_POS_FRAMES, 60)
    pictures = [np.ascontiguousarray(cv2.resize(film.read()[1], (480, 272), interpolation=cv2.INTER_AREA)[:, :, ::-1]) for _ in range(frames)]
    lib.flow_bench_push.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    opened = lambda iterations, warm: lib.flow_bench_raft(weights, 480, 272, 0, 0, iterations, warm)
    steady = range(2, frames - 1)  # the pairs that others have gone before
    settled, cold = opened(32, 0), opened(12, 0)
    goal = [run(settled, *pictures[i:i + 2]) for i in steady]
    distance = lambda fields: float(np.mean([np.hypot(*(f - g).reshape(-1, 2).T).mean() for f, g in zip(fields, goal)]))
    bound = distance([np.round(run(cold, *pictures[i:i + 2]) * 64) / 64 for i in steady])

    def pushed(handle):
        fields = []
        for picture in pictures:
            out = np.empty((272, 480, 2), np.float32)
            assert lib.flow_bench_push(handle, picture.ctypes.data, 480, 272, out.ctypes.data) == 0
            fields.append(out)
        return [fields[i + 1] for i in steady]

    best = reached = None
    for iterations in range(16, 5, -1):
        handle = opened(iterations, 1)
        off = distance(pushed(handle))
        lib.flow_bench_close(handle)
        if off > bound:
            break
        best, reached = iterations, off
    if best is None:
        print(f"flow: stream of {name}: 16 iterations do not come as near as 12 of a pair alone ({bound:.3f} px)")
    else:
        handle, turn = opened(best, 1), [0]
        pushed(handle)

        def push():
            lib.flow_bench_push(handle, pictures[turn[0] % frames].ctypes.data, 480, 272, np.empty((272, 480, 2), np.float32).ctypes.data)
            turn[0] += 1

        ours, pair = interleaved(4, push, lambda: run(cold, *pictures[:2]))
        add(f"RAFT-small stream: {name}, 480x272", 1 / ours, 1 / pair, "the same, pairs alone", "frames/s", 1,
            f"{best} iterations for 12: {reached:.3f} px from 32 iterations for {bound:.3f}")
        lib.flow_bench_close(handle)
    for h in (settled, cold):
        lib.flow_bench_close(h)


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


def mosaicraft():
    """The folder with mosaicraft 0.4.2, or None: it is installed when first asked for."""
    folder = os.path.abspath(os.path.join(BUILD, "bench-mosaicraft==0.4.2"))
    if not os.path.isdir(folder) and subprocess.call([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", folder,
                                                      "mosaicraft==0.4.2"]):
        print("films: mosaicraft is left out: pip could not install it")
        return None
    return folder


def flow_of(clip, mosaic, flow, *grid):
    """The source's motion in the shape of a mosaic, for its measures."""
    subprocess.check_call([sys.executable, os.path.join(HERE, "flow_dis.py"), "--measure", os.path.join(BUILD, "mosaic_measure"), "--output", flow, "--source", clip,
                           "--mosaic", mosaic, *grid], stdout=subprocess.DEVNULL)


def compare(name, ours, theirs, peer_name, note=""):
    for figure, higher in (("ssim3", True), ("de3", False), ("churn", False), ("flow_churn", False), ("far_churn", False), ("far_follow", True),
                           ("repeat4", False), ("ewarp", False), ("photo_ncc", True), ("contrast", True)):
        add(f"{name}: {figure}", ours.get(figure), theirs.get(figure), peer_name, "", 2, note, higher)


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
                add(f"engine alone, {level}, nothing moves", run["still"], None, None, "ms", threads, "", False)
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
        flow_of(clip, ours_file, flow, "--placements", ours_file + ".jsonl")
        ours = measure(clip, ours_file, flow, "--placements", ours_file + ".jsonl")
        theirs = {}
        if seconds:
            # The peer takes pixels as square: it is measured against the source taken so too.
            grid = {"bigbuckbunny": ["--cols", "35", "--rows", "20"], "car-detection": ["--cols", "35", "--rows", "20"],
                    "carphone": ["--cols", "28", "--rows", "24", "--stored-aspect"]}[name]
            peer_flow = os.path.join(OUT, name + "-peer.flow")
            flow_of(clip, peer_file, peer_flow, *grid)
            theirs = measure(clip, peer_file, peer_flow, *grid)
        compare(name, ours, theirs, peer_name)
        against_mosaicraft(name, clip, run, flow)


def against_mosaicraft(name, clip, run, flow):
    """mosaicraft takes seconds for a frame: MOSAICRAFT_FRAMES of them (0: all), ours measured on the same ones. It stretches the picture as it is stored."""
    folder, count = mosaicraft(), int(os.environ.get("MOSAICRAFT_FRAMES", "24"))
    if not folder:
        return
    file, peer_flow, ours_file = (os.path.join(OUT, name + end) for end in ("-mosaicraft.mp4", "-mosaicraft.flow", ".mp4"))
    try:
        peer = json.loads(subprocess.check_output([sys.executable, os.path.join(HERE, "mosaicraft.py"), folder, clip, TILES, file, str(count)], stderr=subprocess.DEVNULL))
    except subprocess.CalledProcessError:
        print(f"{name}: mosaicraft failed")
        return
    grid = ["--cols", str(peer["cols"]), "--rows", str(peer["rows"]), "--stretch", *(["--stored-aspect"] if name == "carphone" else [])]
    flow_of(clip, file, peer_flow, *grid)
    frames = ["--count", str(peer["frames"])]
    peer_name = "mosaicraft 0.4.2 vivid"
    note = f"the first {peer['frames']} frames of {run['frames']}" if peer["frames"] < run["frames"] else "whole film"
    add(f"{name}: frames made", run["frames"] / run["wall"], peer["frames"] / peer["seconds"], peer_name, "fps", 2, "ours from film to film, the peer's photographs loaded before")
    add(f"{name}: peak memory", run["peak_memory_mb"], peer["memory"], peer_name, "MB", 2, "", False)
    compare(name, measure(clip, ours_file, flow, "--placements", ours_file + ".jsonl", *frames), measure(clip, file, peer_flow, *grid, *frames), peer_name, note)


def looks():
    """Each preset on whole films: how close, how much of the photographs is left, how fast; then hues and turns on a second of carphone."""
    names = ("default", "fast", "ultra", "natural", "vivid", "vivid_b", "tile", "legacy")
    for clip_name in CLIPS:
        clip = os.path.join(DATA, "video", clip_name + ".mp4")
        file, flow = (os.path.join(OUT, f"{clip_name}-look{end}") for end in (".mp4", ".flow"))
        for name in names:
            run = video(clip, file, "--preset", name)
            if name == names[0]:
                flow_of(clip, file, flow, "--placements", file + ".jsonl")
            result = measure(clip, file, flow, "--placements", file + ".jsonl")
            for figure in ("ssim3", "de3", "contrast", "churn"):
                add(f"{clip_name}: preset {name}: {figure}", result.get(figure), None, None, "", 2)
            add(f"{clip_name}: preset {name}", run["frames"] / run["wall"], None, None, "fps", 2)
    clip, file, flow = (os.path.join(folder, "carphone" + end) for folder, end in ((os.path.join(DATA, "video"), ".mp4"), (OUT, "-hues.mp4"), (OUT, "-hues.flow")))
    plain = None
    for options in ((), ("--hue-variants", "4"), ("--hue-variants", "4", "--turns")):
        video(clip, file, "--count", "30", *options)
        if not options:
            flow_of(clip, file, flow, "--placements", file + ".jsonl")
        result = measure(clip, file, flow, "--placements", file + ".jsonl")
        plain = plain or result
        if options:
            add("carphone, 30 frames, " + " ".join(options) + ": de3", result["de3"], plain["de3"], "without", "", 2, "", False)


def dial():
    """Fidelity and calm along --coherence, at 480 lines; BUILD/bench/dial.png is the plot of it."""
    values = (0, 0.25, 0.4, 0.5, 0.75, 1)
    figures = ("ssim3", "churn", "far_follow")
    curves = {}
    for name in CLIPS:
        clip = os.path.join(DATA, "video", name + ".mp4")
        file, flow = (os.path.join(OUT, name + end) for end in ("-dial.mp4", "-dial.flow"))
        for value in values:
            video(clip, file, "--coherence", str(value), "--height", "480", "--grid", "fixed")
            if value == values[0]:
                flow_of(clip, file, flow, "--placements", file + ".jsonl")
            curves[name, value] = measure(clip, file, flow, "--placements", file + ".jsonl")
            for figure in figures:
                add(f"{name}: dial {value}: {figure}", curves[name, value].get(figure), None, None, "", 2)
    folder = os.path.abspath(os.path.join(BUILD, "bench-matplotlib==3.10.0"))
    if not os.path.isdir(folder) and subprocess.call([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", folder, "matplotlib==3.10.0"]):
        print("dial: no plot: pip could not install matplotlib")
        return
    sys.path.append(folder)
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    picture, axes = pyplot.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    titles = ("fidelity: ssim3", "restlessness: churn a frame", "photographs that travel: far_follow")
    for figure, title, plot in zip(figures, titles, axes):
        for name in CLIPS:
            plot.plot(values, [curves[name, v].get(figure) for v in values], marker="o", markersize=3, label=name)
        plot.axvline(0.5, color="0.8", linewidth=1, zorder=0)
        plot.set_title(title, fontsize=9)
        plot.set_xlabel("--coherence (default .5)", fontsize=8)
        plot.tick_params(labelsize=8)
        plot.grid(alpha=0.3)
    axes[1].set_yscale("log")
    axes[0].legend(fontsize=7)
    picture.savefig(os.path.join(OUT, "dial.png"), dpi=100)


def pans():
    """A window that glides over a film: the grid that goes with the camera beside the fixed one."""
    for path, window, frames in (("glide", "960x540", 60), ("fast", "640x360", 60), ("vertical", "960x540", 55), ("shake", "960x540", 60), ("return", "960x540", 85)):
        clip, flow = (os.path.join(OUT, f"pan-{path}{end}") for end in (".mp4", ".flow"))
        subprocess.check_call([sys.executable, os.path.join(HERE, "pan.py"), "--input", os.path.join(DATA, "video", "bigbuckbunny.mp4"), "--output", clip, "--window", window,
                               "--path", path, "--frames", str(frames)])
        figures = {}
        for grid in ("fixed", "auto", "follow"):
            mosaic = os.path.join(OUT, f"pan-{path}-{grid}.mp4")
            video(clip, mosaic, "--grid", grid)
            if grid == "fixed":
                subprocess.check_call([sys.executable, os.path.join(HERE, "flow_dis.py"), "--measure", os.path.join(BUILD, "mosaic_measure"), "--output", flow, "--source", clip,
                                       "--mosaic", mosaic, "--placements", mosaic + ".jsonl"], stdout=subprocess.DEVNULL)
            figures[grid] = measure(clip, mosaic, flow, "--placements", mosaic + ".jsonl")
        for grid in ("auto", "follow"):
            for figure, higher in (("ssim3", True), ("churn", False), ("far_follow", True), ("ewarp", False)):
                add(f"pan {path}, --grid {grid}: {figure}", figures[grid].get(figure), figures["fixed"].get(figure), "--grid fixed", "", 2, "", higher)


def returns():
    """What is seen again, after a cut or by a camera that comes back: with --memory beside without."""
    path = lambda name: os.path.join(DATA, "video", name + ".mp4")
    cases = [("cut", name, ["--input", path(name), "--other", path("carphone" if name == "bigbuckbunny" else "bigbuckbunny")]) for name in CLIPS]
    for kind, name, more in cases + [("panorama", "still", []), ("wobble", "still", [])]:
        clip = os.path.join(OUT, f"returns-{kind}-{name}.mp4")
        script = [sys.executable, os.path.join(HERE, "returns.py")]
        subprocess.check_call(script + ["make", kind, clip, *more])
        figures = {}
        for memory in ((), ("--memory",)):
            mosaic = os.path.join(OUT, f"returns-{kind}-{name}{''.join(memory)}.mp4")
            video(clip, mosaic, *memory)
            line = subprocess.check_output([os.path.join(BUILD, "mosaic_measure"), "--source", clip, "--mosaic", mosaic, "--tiles", TILES, "--placements", mosaic + ".jsonl"])
            figures[memory] = dict(json.loads(line), **json.loads(subprocess.check_output(script + ["count", kind, mosaic + ".jsonl"])))
        for figure, higher in (("share", True), ("first", True), ("beside", True), ("ssim3", True), ("de3", False), ("churn", False)):
            if figure in figures[()]:
                add(f"returns, {kind} {name}, --memory: {figure}", figures[("--memory",)][figure], figures[()][figure], "without", "", 2, "", higher)


def mem():
    """mosaic_mem.h: insertions, views of some 2000 patches in their frustum, bytes; no peer that runs without a network."""
    for patches in (1e3, 1e4, 1e5, 1e6, 1e7) if "mem" in ONLY else (1e3, 1e4, 1e5, 1e6):
        run = json.loads(subprocess.check_output([os.path.join(BUILD, "mosaic_mem_demo"), "bench", str(int(patches))]))
        name = f"mem, {run['patches']} patches"
        add(f"{name}: insert", run["insert_per_s"] / 1e6, None, None, "M/s", 1, f"{run['bytes_per_patch']:.0f} bytes a patch, {run['times_raw']:.2f} x raw")
        add(f"{name}: top 64, median", run["query_p50_ms"], None, None, "ms", 1, f"{run['candidates']} in the frustum; p99 {run['query_p99_ms']:.3f}", False)
        add(f"mem, {run['points']} points: fused", run["fuse_per_s"] / 1e6, None, None, "M/s", 1, f"{run['bytes_per_point']:.0f} bytes a point")
        add(f"mem, {run['points']} points: nearest 16, median", run["nearest_p50_us"], None, None, "us", 1, "", False)


def main():
    os.makedirs(OUT, exist_ok=True)
    for part in (ssim, lap, flow, mem, pool, engine, films, looks, pans, returns, dial):
        if wanted(part.__name__):
            part()
    path = os.path.join(BUILD, "bench.json")
    with open(path + ".part", "w") as file:
        json.dump(results, file, indent=1)
    os.replace(path + ".part", path)
    print(f"{len(results)} figures in {path}")


main()
