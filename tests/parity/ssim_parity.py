"""mosaic_ssim.h against scikit-image on random pictures, windows, types, strides and options.

The skimage arithmetic must give scikit-image's very bits: mean, map, gradient. The exact arithmetic must come close: scikit-image sums
along a row by adding and taking off rounded numbers, so its own rounding errors grow with the length of the row, which is what the bounds
allow for. For 8-bit pictures and uniform windows, where the two differ most, the value is worked out once more in fractions, which shows
whose error it is: ours must be right to the last few bits.

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
from imageio.v3 import imread, imwrite
from scipy.ndimage._filters import _gaussian_kernel1d
from skimage.metrics import structural_similarity

warnings.simplefilter("ignore")  # scikit-image announces a successor of the function at every call

BOUND = 1e-11  # of the exact arithmetic, for rows up to 256 pixels, beyond in proportion to their length
EXACT_BOUND = 24 * 2.0**-53  # as the header says
build = sys.argv[1]
seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
cases = int(sys.argv[3]) if len(sys.argv) > 3 else 4000
here = os.path.dirname(os.path.abspath(__file__))
new_numpy = tuple(int(v) for v in numpy.__version__.split(".")[:2]) >= (2, 3)


class Image(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("width", ctypes.c_size_t), ("height", ctypes.c_size_t), ("row_stride", ctypes.c_ssize_t),
                ("pixel_stride", ctypes.c_ssize_t), ("type", ctypes.c_int), ("channels", ctypes.c_int), ("channel_stride", ctypes.c_ssize_t)]


class Options(ctypes.Structure):
    _fields_ = [("window", ctypes.c_int), ("covariance", ctypes.c_int), ("k1", ctypes.c_double), ("k2", ctypes.c_double),
                ("data_range", ctypes.c_double), ("simd", ctypes.c_int), ("run", ctypes.c_void_p), ("run_ctx", ctypes.c_void_p),
                ("jobs", ctypes.c_int), ("malloc_ctx", ctypes.c_void_p), ("arithmetic", ctypes.c_int), ("mean_rule", ctypes.c_int),
                ("weights", ctypes.c_int), ("sigma", ctypes.c_double), ("taps", ctypes.c_void_p), ("tap_count", ctypes.c_int),
                ("c1", ctypes.c_double), ("c2", ctypes.c_double)]


class Output(ctypes.Structure):
    _fields_ = [("mean", ctypes.c_double), ("map", ctypes.c_void_p), ("map_stride", ctypes.c_size_t), ("row_sums", ctypes.c_void_p),
                ("channel_means", ctypes.c_double * 4), ("map_channel_stride", ctypes.c_size_t), ("contrast", ctypes.c_void_p),
                ("contrast_map", ctypes.c_void_p), ("full", ctypes.c_int), ("gradient", ctypes.c_void_p)]


def load_library():
    library = os.path.join(os.path.abspath(build), "libssim_parity.so")
    os.makedirs(build, exist_ok=True)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", os.path.join(here, "ssim_parity.c"), "-o", library], check=True)
    return ctypes.CDLL(library)


SPLIT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int), ctypes.c_void_p, ctypes.c_int)


@SPLIT
def backwards(_, job, argument, count):
    """A job hook that shows whether jobs lean on their order."""
    for i in reversed(range(count)):
        job(argument, i)


def content(random, height, width, dtype):
    """A pair of pictures: related or not, smooth or not, with all the values that push rounding to its limits."""
    kind = random.integers(8)
    y, x = numpy.mgrid[0:height, 0:width]
    noise = random.uniform(0, 1, (height, width))
    waves = 0.5 + 0.5 * numpy.sin(x * random.uniform(0, 0.5) + y * random.uniform(0, 0.5) + random.uniform(0, 6))
    if kind == 0:
        a, b = noise, random.uniform(0, 1, (height, width))
    elif kind == 1:
        a, b = waves, waves + random.normal(0, random.uniform(0, 0.1), (height, width))
    elif kind == 2:
        a, b = noise, 1 - noise
    elif kind == 3:
        a, b = numpy.full((height, width), random.uniform()), numpy.full((height, width), random.uniform())
    elif kind == 4:
        a, b = random.integers(0, 2, (height, width)), random.integers(0, 2, (height, width))
    elif kind == 5:
        a, b = 1 - random.integers(0, 2, (height, width)) / 256, 1 - random.integers(0, 2, (height, width)) / 256
    elif kind == 6:
        a, b = waves, waves
    else:
        a, b = waves, numpy.roll(waves, int(random.integers(1, 4)), axis=1) * random.uniform(0.5, 1)
    top = {"uint8": 255, "uint16": 65535}.get(dtype)
    if top:
        return [numpy.clip(numpy.rint(p * top), 0, top).astype(dtype) for p in (a, b)]
    scale, shift = (1, 0) if random.random() < 0.5 else (random.choice([1e-3, 255, 1e4]), random.uniform(-1, 1))
    return [((p + shift) * scale).astype(dtype) for p in (a, b)]


def restride(random, picture):
    """The same pixels somewhere else: inside a larger picture, channels first or last, column-major, or upside down."""
    kind = random.integers(5)
    shape = picture.shape
    if kind == 1:
        frame = numpy.zeros((shape[0] + 5, shape[1] + 9) + shape[2:], dtype=picture.dtype)
        view = frame[2:2 + shape[0], 3:3 + shape[1]]
    elif kind == 2:
        view = numpy.zeros(shape[::-1], dtype=picture.dtype).transpose()
    elif kind == 3:
        view = numpy.zeros(shape, dtype=picture.dtype)[::-1, ::-1]
    elif kind == 4 and len(shape) == 3:
        view = numpy.moveaxis(numpy.zeros((shape[2],) + shape[:2], dtype=picture.dtype), 0, 2)
    elif kind == 4:
        view = numpy.zeros(shape + (3,), dtype=picture.dtype)[:, :, 1]
    else:
        return picture
    view[:] = picture
    return view


def image_of(picture):
    kinds = {"uint8": 0, "uint16": 1, "float32": 2, "float64": 3}
    many = picture.ndim == 3
    return Image(picture.ctypes.data, picture.shape[1], picture.shape[0], picture.strides[0], picture.strides[1], kinds[picture.dtype.name],
                 picture.shape[2] if many else 0, picture.strides[2] if many else 0)


def exact_value(a, b, window, population, k1, k2, data_range, y, x):
    """One value of the map as a fraction."""
    p, q = (v[y:y + window, x:x + window].astype(object) for v in (a, b))
    n = window * window
    c1, c2 = ((Fraction(k) * Fraction(data_range))**2 for k in (k1, k2))
    ux, uy = Fraction(int(p.sum()), n), Fraction(int(q.sum()), n)
    norm = Fraction(1) if population else Fraction(n, n - 1)
    variances = norm * (Fraction(int((p * p + q * q).sum()), n) - ux * ux - uy * uy)
    covariance = norm * (Fraction(int((p * q).sum()), n) - ux * uy)
    return (2 * ux * uy + c1) * (2 * covariance + c2) / ((ux * ux + uy * uy + c1) * (variances + c2))


def same(a, b):
    return numpy.array_equal(numpy.asarray(a, dtype=numpy.float64).view(numpy.uint64), numpy.asarray(b, dtype=numpy.float64).view(numpy.uint64))


compare = load_library().mosaic_ssim_compare
compare.restype = ctypes.c_int
print(f"scikit-image {skimage.__version__}, SciPy {scipy.__version__}, NumPy {numpy.__version__}; seed {seed}, {cases} cases")
passed = failed = squares = kernels = 0
worst = worst_exact = 0.0
for case in range(seed, seed + cases):
    random = numpy.random.default_rng(case)
    dtype = str(random.choice(["uint8", "uint16", "float32", "float64"]))
    channels = 0 if random.random() < 0.7 else int(random.integers(1, 5))
    gaussian, population = bool(random.random() < 0.4), bool(random.integers(2))
    window = 7 if random.random() < 0.4 else int(random.choice([3, 5, 9, 11, 13, 15, 21, 31, 63, 255], p=[.15, .15, .15, .15, .1, .1, .1, .05, .04, .01]))
    sigma = 1.5 if random.random() < 0.6 else float(random.uniform(0.5, 6))
    limit = 9000 if random.random() < 0.01 else 400 if random.random() < 0.05 else 90
    given = gaussian and random.random() < 0.2  # win_size with a Gaussian, which scikit-image then uses for the border alone
    side = window if given or not gaussian else 2 * int(3.5 * sigma + 0.5) + 1
    height, width = (int(v) for v in random.integers(side, side + limit, 2))
    if limit == 9000:
        height = side + int(random.integers(0, 6))
    pair = [content(random, height, width, dtype) for _ in range(max(1, channels))]
    a, b = (restride(random, numpy.stack([p[i] for p in pair], axis=2) if channels else pair[0][i]) for i in (0, 1))
    k1, k2, data_range = 0.01, 0.03, {"uint8": 255.0, "uint16": 65535.0}.get(dtype, 1.0)
    if random.random() < 0.3:
        k1, k2, data_range = random.uniform(0.01, 0.1), random.uniform(0.03, 0.1), data_range * random.uniform(1, 4)
    want_gradient = random.random() < 0.3
    arguments = dict(use_sample_covariance=not population, K1=k1, K2=k2, data_range=data_range, full=True, gradient=want_gradient)
    if gaussian:
        arguments.update(gaussian_weights=True, sigma=sigma)
    if channels:
        arguments.update(channel_axis=2)
    result = structural_similarity(a, b, win_size=window if given or not gaussian else None, **arguments)
    expected, expected_map = float(result[0]), result[-1].astype(numpy.float64)
    options = Options(window=window if given or not gaussian else 0, covariance=population, k1=k1, k2=k2, data_range=data_range,
                      simd=int(random.integers(4)), arithmetic=1, mean_rule=0 if new_numpy else 1, weights=gaussian, sigma=sigma)
    # Python squares by pow(), whose last bit may differ from a multiplication's; NumPy's exponential depends on its version and the processor.
    if (k1 * data_range)**2 != (k1 * data_range) * (k1 * data_range) or (k2 * data_range)**2 != (k2 * data_range) * (k2 * data_range):
        options.c1, options.c2 = (k1 * data_range)**2, (k2 * data_range)**2
        squares += 1
    radius = int(3.5 * sigma + 0.5)
    taps = numpy.ascontiguousarray(_gaussian_kernel1d(sigma, 0, radius)[radius:])
    if gaussian and (sigma != 1.5 or not new_numpy):
        options.taps, options.tap_count = taps.ctypes.data, radius + 1
        kernels += 1
    if random.random() < 0.3:
        options.run, options.jobs = ctypes.cast(backwards, ctypes.c_void_p), int(random.integers(1, 9))
    image_a, image_b = image_of(a), image_of(b)
    planes = max(1, channels)
    half = side // 2
    crop_map = numpy.ascontiguousarray((numpy.moveaxis(expected_map, 2, 0) if channels else expected_map[None])[:, half:height - half, half:width - half])
    full_map = numpy.ascontiguousarray(numpy.moveaxis(expected_map, 2, 0) if channels else expected_map[None])
    problems = []
    for full in ((0, 1) if random.random() < 0.3 else (0,)):
        wanted = full_map if full else crop_map
        found_map = numpy.full(wanted.shape, 7.0)
        found_gradient = numpy.full((planes, height, width), 7.0)
        output = Output(map=found_map.ctypes.data, full=full)
        if want_gradient and (full or random.random() < 0.5):
            output.gradient = found_gradient.ctypes.data
        code = compare(ctypes.byref(image_a), ctypes.byref(image_b), ctypes.byref(options), ctypes.byref(output), None, ctypes.c_size_t(0))
        if code:
            problems.append(f"code {code}")
        elif not same(found_map, wanted):
            problems.append(f"{'full ' * full}map off by {numpy.abs(found_map - wanted).max():.3g}")
        elif not same(output.mean, expected):
            problems.append(f"mean {output.mean!r} for {expected!r}")
        if output.gradient and not code:
            gradient = result[1].astype(numpy.float64)
            gradient = numpy.ascontiguousarray(numpy.moveaxis(gradient, 2, 0) if channels else gradient[None])
            if not same(found_gradient, gradient):
                problems.append(f"gradient off by {numpy.abs(found_gradient - gradient).max():.3g}")
    if dtype != "float32" and not given and not problems:  # the same in the exact arithmetic
        options.arithmetic = 0
        found_map = numpy.full(crop_map.shape, 7.0)
        output = Output(map=found_map.ctypes.data)
        code = compare(ctypes.byref(image_a), ctypes.byref(image_b), ctypes.byref(options), ctypes.byref(output), None, ctypes.c_size_t(0))
        differences = numpy.abs(found_map - crop_map)
        sum_error = float(numpy.abs(output.mean - expected))
        # Where floats are far from zero compared to their range, squares cancel, in both.
        magnitude = max(1.0, float(max(numpy.abs(a).max(), numpy.abs(b).max())) / data_range)**2
        bound = BOUND * max(1, width / 256) * magnitude * max(1, (0.03 / k2)**2) * (1 if dtype != "float64" else max(1, height / 256) * 10)
        if code:
            problems.append(f"exact: code {code}")
        elif differences.max() > bound or sum_error > bound:
            problems.append(f"exact map off by {differences.max():.3g}, mean by {sum_error:.3g}, bound {bound:.3g}")
        elif dtype in ("uint8", "uint16") and not gaussian:
            worst = max(worst, float(differences.max()))
            c, y, x = numpy.unravel_index(differences.argmax(), differences.shape)
            one_a, one_b = (a[:, :, c], b[:, :, c]) if channels else (a, b)
            exact = exact_value(one_a, one_b, window, population, k1, k2, data_range, int(y), int(x))
            error = float(abs(Fraction(float(found_map[c, y, x])) - exact))
            worst_exact = max(worst_exact, error)
            if error > EXACT_BOUND:
                problems.append(f"exact value wrong by {error:.3g}")
    if problems:
        failed += 1
        print(f"seed {case}: {dtype} {width}x{height}x{channels} window {window} gaussian {gaussian} sigma {sigma:.4g} given {given} simd {options.simd}: {'; '.join(problems)}")
    else:
        passed += 1
# The example prints the same number, to the last digit, for files as for arrays (it knows the newer NumPy alone).
example = os.path.join(os.path.abspath(build), "ssim_compare")
for case in range(seed, seed + (12 if new_numpy and os.path.exists(example) else 0)):
    random = numpy.random.default_rng(case)
    channels, gaussian = int(random.choice([1, 3])), bool(random.integers(2))
    height, width = (int(v) for v in random.integers(16, 200, 2))
    dtype = "uint16" if channels == 1 and random.integers(2) else "uint8"
    pair = [content(random, height, width, dtype) for _ in range(channels)]
    files = [os.path.join(os.path.abspath(build), f"parity-{name}.png") for name in ("a", "b", "map")]
    a, b = (pair[0][i] if channels == 1 else numpy.stack([p[i] for p in pair], axis=2) for i in (0, 1))
    imwrite(files[0], a), imwrite(files[1], b)
    expected = structural_similarity(a, b, gaussian_weights=gaussian, use_sample_covariance=True, channel_axis=None if channels == 1 else 2)
    done = subprocess.run([example, *files[:2], "--mode", "skimage", "--map", files[2]] + ["--gaussian"] * gaussian, capture_output=True, text=True)
    side = 10 if gaussian else 6
    if done.returncode == 0 and done.stdout == f"{expected:.17g}\n" and imread(files[2]).shape == (height - side, width - side):
        passed += 1
    else:
        failed += 1
        print(f"seed {case}: ssim_compare, {dtype} {width}x{height}x{channels} gaussian {gaussian}: {done.stdout.strip()} {done.stderr.strip()} for {expected:.17g}")
print(f"C1 or C2 passed on in {squares} cases, taps in {kernels}; exact arithmetic, integers: at most {worst:.3g} away, from the true value {worst_exact:.3g}")
print(f"ssim parity: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
