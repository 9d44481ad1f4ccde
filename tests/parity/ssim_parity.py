"""mosaic_ssim.h against scikit-image on random pictures, windows, strides and contents.

scikit-image sums along a row by adding and taking off rounded numbers, so its rounding errors grow with the length of the row; that
is what the bounds below allow for. Where the two differ most, the value is worked out once more in fractions, which shows whose
error it is: ours must be right to the last few bits.

    build/venv/bin/python tests/parity/ssim_parity.py build [seed [cases]]

The first seed is printed; case i uses seed + i, so that `ssim_parity.py build SEED 1` replays one case.
"""
import ctypes
import os
import subprocess
import sys
import time
import warnings
from fractions import Fraction

import numpy
import scipy
import skimage
from skimage.metrics import structural_similarity

warnings.simplefilter("ignore")  # scikit-image announces a successor of the function at every call

MEAN_BOUND = 1e-11
MAP_BOUND = 1e-11  # for rows up to 256 pixels, beyond in proportion to their length
EXACT_BOUND = 24 * 2.0**-53  # as the header says
build = sys.argv[1]
seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
cases = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
here = os.path.dirname(os.path.abspath(__file__))


def compile_library():
    library = os.path.join(os.path.abspath(build), "libssim_parity.so")
    os.makedirs(build, exist_ok=True)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", os.path.join(here, "ssim_parity.c"), "-o", library], check=True)
    function = ctypes.CDLL(library).ssim_parity
    pointer, stride, size = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_size_t
    real = ctypes.c_double
    function.argtypes = [pointer, stride, stride, pointer, stride, stride, size, size, ctypes.c_int, ctypes.c_int, real, real, real,
                         ctypes.c_int, pointer, ctypes.POINTER(real)]
    return function


def content(random, height, width):
    """A pair of pictures: related or not, smooth or not, with all the values that push rounding to its limits."""
    kind = random.integers(8)
    y, x = numpy.mgrid[0:height, 0:width]
    noise = random.integers(0, 256, (height, width))
    waves = 127.5 + 127.5 * numpy.sin(x * random.uniform(0, 0.5) + y * random.uniform(0, 0.5) + random.uniform(0, 6))
    if kind == 0:
        a, b = noise, random.integers(0, 256, (height, width))
    elif kind == 1:
        a, b = waves, waves + random.normal(0, random.uniform(0, 20), (height, width))
    elif kind == 2:
        a, b = noise, 255 - noise
    elif kind == 3:
        a, b = numpy.full((height, width), random.integers(256)), numpy.full((height, width), random.integers(256))
    elif kind == 4:
        a, b = 255 * random.integers(0, 2, (height, width)), 255 * random.integers(0, 2, (height, width))
    elif kind == 5:
        a, b = 255 - random.integers(0, 2, (height, width)), 255 - random.integers(0, 2, (height, width))
    elif kind == 6:
        a, b = waves, waves
    else:
        a, b = waves, numpy.roll(waves, int(random.integers(1, 4)), axis=1) * random.uniform(0.5, 1)
    return [numpy.clip(numpy.rint(p), 0, 255).astype(numpy.uint8) for p in (a, b)]


def restride(random, picture):
    """The same pixels somewhere else: inside a larger picture, one channel of an interleaved one, column-major, or upside down."""
    height, width = picture.shape
    kind = random.integers(5)
    if kind == 1:
        frame = random.integers(0, 256, (height + 5, width + 9), dtype=numpy.uint8)
        view = frame[2:2 + height, 3:3 + width]
    elif kind == 2:
        view = random.integers(0, 256, (height, width, 3), dtype=numpy.uint8)[:, :, 1]
    elif kind == 3:
        view = numpy.zeros((width, height), dtype=numpy.uint8).T
    elif kind == 4:
        view = numpy.zeros((height, width), dtype=numpy.uint8)[::-1, ::-1]
    else:
        return picture
    view[:] = picture
    return view


def exact_value(a, b, window, population, k1, k2, data_range, y, x):
    """One value of the map as a fraction."""
    p, q = (v[y:y + window, x:x + window].astype(int) for v in (a, b))
    n = window * window
    c1, c2 = ((Fraction(k) * Fraction(data_range))**2 for k in (k1, k2))
    ux, uy = Fraction(int(p.sum()), n), Fraction(int(q.sum()), n)
    norm = Fraction(1) if population else Fraction(n, n - 1)
    variances = norm * (Fraction(int((p * p + q * q).sum()), n) - ux * ux - uy * uy)
    covariance = norm * (Fraction(int((p * q).sum()), n) - ux * uy)
    return (2 * ux * uy + c1) * (2 * covariance + c2) / ((ux * ux + uy * uy + c1) * (variances + c2))


compare = compile_library()
print(f"scikit-image {skimage.__version__}, SciPy {scipy.__version__}, NumPy {numpy.__version__}; seed {seed}, {cases} cases")
passed = failed = 0
worst_map = worst_mean = worst_exact = 0.0
for case in range(seed, seed + cases):
    random = numpy.random.default_rng(case)
    window = 7 if random.random() < 0.5 else int(random.choice([3, 5, 9, 11, 13, 15, 21, 31]))
    limit = 400 if random.random() < 0.05 else 90
    width, height = (int(v) for v in random.integers(window, window + limit, 2))
    a, b = (restride(random, picture) for picture in content(random, height, width))
    population = bool(random.integers(2))
    k1, k2, data_range = 0.01, 0.03, 255.0
    if random.random() < 0.3:
        k1, k2, data_range = random.uniform(0.01, 0.1), random.uniform(0.03, 0.1), random.uniform(255, 1000)
    expected, expected_map = structural_similarity(a, b, win_size=window, use_sample_covariance=not population, K1=k1, K2=k2,
                                                   data_range=data_range, full=True)
    half = window // 2
    expected_map = expected_map[half:height - half, half:width - half]
    found_map = numpy.empty(expected_map.shape)
    found = ctypes.c_double()
    code = compare(a.ctypes.data, a.strides[0], a.strides[1], b.ctypes.data, b.strides[0], b.strides[1], width, height, window, population,
                   k1, k2, data_range, int(random.integers(2)), found_map.ctypes.data, ctypes.byref(found))
    map_error = mean_error = exact_error = numpy.inf
    if code == 0:
        differences = numpy.abs(found_map - expected_map)
        y, x = numpy.unravel_index(differences.argmax(), differences.shape)
        map_error, mean_error = float(differences[y, x]), abs(found.value - float(expected))
        exact = exact_value(a, b, window, population, k1, k2, data_range, y, x)
        exact_error = float(abs(Fraction(float(found_map[y, x])) - exact))
    if map_error <= MAP_BOUND * max(1, width / 256) and mean_error <= MEAN_BOUND and exact_error <= EXACT_BOUND:
        passed += 1
    else:
        failed += 1
        print(f"seed {case}: {width}x{height}, window {window}: code {code}, map off by {map_error:.3g}, mean by {mean_error:.3g}, "
              f"from the exact value by {exact_error:.3g}")
    worst_map, worst_mean, worst_exact = max(worst_map, map_error), max(worst_mean, mean_error), max(worst_exact, exact_error)
print(f"largest difference: map {worst_map:.3g}, mean {worst_mean:.3g}; ours from the exact value {worst_exact:.3g}")
print(f"ssim parity: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
