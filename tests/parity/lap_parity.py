"""mosaic_lap.h against scipy.optimize.linear_sum_assignment.

    python tests/parity/lap_parity.py BUILD_DIRECTORY

Every problem: feasible exactly when SciPy says so, the same total, a certificate that holds (also checked here, in NumPy), an assignment
that is SciPy's wherever the optimum is unique, and otherwise not behind SciPy's in the order of the tie rule.
"""
import ctypes
import os
import subprocess
import sys

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

FORBIDDEN = 2**31 - 1
INFEASIBLE = 10


def load(build):
    here = os.path.dirname(os.path.abspath(__file__))
    library = os.path.join(os.path.abspath(build), "lap_parity.so")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.check_call(compiler + ["-O2", "-shared", "-fPIC", os.path.join(here, "lap_parity.c"), "-o", library])
    return ctypes.CDLL(library)


def solve(library, cost, capacity=None, maximise=False, simd=0):
    rows, cols = cost.shape
    cost = np.ascontiguousarray(cost, np.int32)
    columns, u, v = np.empty(rows, np.int32), np.empty(rows, np.int64), np.empty(cols, np.int64)
    totals = np.zeros(2, np.int64)
    pointer = lambda a: ctypes.c_void_p(a.ctypes.data) if a is not None else None
    if capacity is not None:
        capacity = np.ascontiguousarray(capacity, np.int32)
    result = library.parity_solve(rows, cols, pointer(cost), pointer(capacity), int(maximise), simd, pointer(columns), pointer(u),
                                  pointer(v), pointer(totals))
    return result, columns, u, v, int(totals[0]), int(totals[1])


def unique(cost, columns, u, v, capacity, room):
    """No cycle through a tight entry that is not used: columns as nodes, plus one for rows without and one for columns with room."""
    rows, cols = cost.shape
    allowed = cost != FORBIDDEN
    tight = allowed & (u[:, None] + v[None, :] == cost)
    own = np.where(columns < 0, cols, columns)
    used = np.bincount(own, minlength=cols + 1)[:cols]
    row, to = np.nonzero(tight)
    start, end, kind = own[row], to, np.ones(len(to), bool)
    kind = to != own[row]
    start, end = start[kind], end[kind]
    if rows > room:
        free = np.nonzero((u == 0) & (columns >= 0))[0]
        start, end = np.append(start, own[free]), np.append(end, np.full(len(free), cols))
    else:
        spare = np.nonzero(used < capacity)[0]
        zero = np.nonzero((v == 0) & (used > 0))[0]
        start = np.concatenate([start, spare, np.full(len(zero), cols + 1)])
        end = np.concatenate([end, np.full(len(spare), cols + 1), zero])
    graph = coo_matrix((np.ones(len(start)), (start, end)), (cols + 2, cols + 2))
    label = connected_components(graph, directed=True, connection="strong")[1]
    inner = label[start] == label[end]
    return not np.any(inner & (start != cols + 1) & (end != cols + 1) | inner & (end == cols) & (start < cols))


def scipy_columns(cost, capacity, maximise):
    """SciPy's columns and total, each column repeated as often as it may be used; None when infeasible."""
    origin = np.repeat(np.arange(cost.shape[1]), capacity)
    table = cost.astype(np.float64)[:, origin]
    table[table == FORBIDDEN] = -np.inf if maximise else np.inf
    try:
        row, col = linear_sum_assignment(table, maximize=maximise)
    except ValueError:
        return None, None
    columns = np.full(cost.shape[0], -1)
    columns[row] = origin[col]
    return columns, int(cost[row, origin[col]].astype(np.int64).sum())


def families(rng, rows, cols):
    def points(n, d):
        return rng.integers(0, 256, (n, d))

    def distance(a, b):
        return ((a[:, None, :] - b[None, :, :]) ** 2).sum(2)

    tones = np.concatenate([rng.integers(80, 120, (rows, 3)), rng.integers(0, 256, (cols, 3))])
    yield "constant", np.full((rows, cols), int(rng.integers(-5, 5)))
    yield "0/1", rng.integers(0, 2, (rows, cols))
    yield "0..9", rng.integers(0, 10, (rows, cols))
    yield "uniform", rng.integers(0, 10**6, (rows, cols))
    yield "int32", rng.integers(-(2**31), 2**31 - 1, (rows, cols))
    yield "near the ends", rng.choice([-(2**31), -(2**31) + 1, 0, 2**31 - 3, 2**31 - 2], (rows, cols))
    yield "plane", distance(points(rows, 2), points(cols, 2))
    yield "crowded colours", distance(tones[:rows], tones[rows:])
    yield "products", np.outer(rng.integers(1, 1000, rows), rng.integers(1, 1000, cols))
    yield "rank", np.add.outer(np.arange(rows), np.arange(cols)) % max(1, cols)
    yield "same rows", np.tile(rng.integers(0, 50, (1, cols)), (rows, 1))
    yield "one good column", np.where(np.arange(cols)[None, :] == 0, 0, rng.integers(100, 110, (rows, cols)))


def main():
    library = load(sys.argv[1])
    rng = np.random.default_rng(2024)
    passed = failed = unique_cases = infeasible_cases = 0

    def check(condition, what):
        nonlocal passed, failed
        if condition:
            passed += 1
        else:
            failed += 1
            if failed <= 20:
                print("failed:", what)

    shapes = [(int(rng.integers(0, 13)), int(rng.integers(0, 13))) for _ in range(180)]
    shapes += [(int(rng.integers(10, 90)), int(rng.integers(10, 90))) for _ in range(80)]
    shapes += [(1, 300), (300, 1), (3, 300), (300, 3), (200, 200), (64, 128), (128, 64), (150, 600), (600, 150), (400, 420), (420, 400), (500, 500)]
    for number, (rows, cols) in enumerate(shapes):
        for name, cost in families(rng, rows, cols):
            cost = np.clip(cost.astype(np.int64), -(2**31), 2**31 - 2)
            if rng.random() < 0.3:
                cost[rng.random((rows, cols)) < rng.choice([0.1, 0.5, 0.9])] = FORBIDDEN
            capacity = None if rng.random() < 0.6 else rng.integers(0, 4, cols)
            counts = np.ones(cols, np.int64) if capacity is None else capacity.astype(np.int64)
            room = int(counts.sum())
            maximise = bool(rng.random() < 0.4)
            what = f"{name} {rows}x{cols} room {room} maximise {maximise} (shape {number})"
            result, columns, u, v, primal, dual = solve(library, cost, capacity, maximise)
            theirs, total = scipy_columns(cost, counts, maximise)
            if theirs is None:
                infeasible_cases += 1
                check(result == INFEASIBLE, what + f": SciPy finds it infeasible, we say {result}")
                continue
            check(result == 0, what + f": result {result}")
            if result != 0:
                continue
            check(primal == total, what + f": total {primal}, SciPy {total}")
            check(primal == dual and primal == int(u.sum() + (v * counts).sum()), what + ": dual")
            slack = (cost - u[:, None] - v[None, :]) * (-1 if maximise else 1)
            check(not np.any(slack[cost != FORBIDDEN] < 0), what + ": a price is too high")
            one = unique(cost, columns, u, v, counts, room)
            unique_cases += one
            order = lambda c: list(np.where(c < 0, cols, c))
            check(order(columns) == order(theirs) if one else order(columns) <= order(theirs), what + f": assignment (unique: {one})")
    check(unique_cases > 500 and infeasible_cases > 100, f"only {unique_cases} unique and {infeasible_cases} infeasible problems met")
    print(f"lap parity: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
