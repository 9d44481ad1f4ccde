"""mosaic_lap.h against SciPy: linear_sum_assignment, min_weight_full_bipartite_matching and, for group quotas, HiGHS.

    python tests/parity/lap_parity.py BUILD_DIRECTORY [SEED [CASE]]

Every case has a number, and the random numbers of a case depend on the seed and that number alone, so that one can be replayed.
What is compared: feasible exactly when SciPy says so (and if not, the rows that clash are counted); the same total, exactly; a certificate
that holds, checked in Python's integers; in SciPy's order SciPy's assignment; in the order of rows an assignment that is SciPy's wherever
the optimum is unique, and otherwise not behind it.
"""
import ctypes
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

KINDS = [np.int32, np.int64, np.float32, np.float64]
WORDS = 36


class Case(ctypes.Structure):
    _fields_ = ([(n, ctypes.c_int32) for n in "rows cols kind maximise order simd words groups solver".split()]
                + [(n, ctypes.c_void_p) for n in "cost row_start col_index capacity group quota col_of_row u v w clash_rows clash_cols".split()]
                + [(n, ctypes.c_int64) for n in "primal dual gap".split()] + [("total", ctypes.c_double)]
                + [(n, ctypes.c_int32) for n in "unique exponent row col".split()])


def load(build):
    here = os.path.dirname(os.path.abspath(__file__))
    library = os.path.join(os.path.abspath(build), "lap_parity.so")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.check_call(compiler + ["-O2", "-shared", "-fPIC", os.path.join(here, "lap_parity.c"), "-o", library])
    library = ctypes.CDLL(library)
    library.parity_solve.restype = ctypes.c_char_p
    return library


def forbidden(kind):
    return np.inf if np.issubdtype(kind, np.floating) else np.iinfo(kind).max


class Answer:
    pass


def solve(library, cost, sparse=None, capacity=None, maximise=False, order=0, groups=None, quota=None, words=1, simd=0):
    """cost: a table, or with `sparse` (row_start, col_index, number of columns) the stored costs."""
    a = Answer()
    rows, cols = cost.shape if sparse is None else (len(sparse[0]) - 1, sparse[2])
    keep = {"cost": np.ascontiguousarray(cost)}
    if sparse is not None:
        keep["row_start"], keep["col_index"] = np.ascontiguousarray(sparse[0], np.int64), np.ascontiguousarray(sparse[1], np.int32)
    if capacity is not None:
        keep["capacity"] = np.ascontiguousarray(capacity, np.int32)
    if groups is not None:
        keep["group"], keep["quota"] = np.ascontiguousarray(groups, np.int32), np.ascontiguousarray(quota, np.int32)
        a.w = keep["w"] = np.zeros(len(quota) * words, np.int64)
    a.columns = keep["col_of_row"] = np.empty(rows, np.int32)
    a.u = keep["u"] = np.empty(rows * words, np.int64)
    a.v = keep["v"] = np.empty(cols * words, np.int64)
    a.clash_rows, a.clash_cols = keep["clash_rows"], keep["clash_cols"] = np.zeros(rows, np.uint8), np.zeros(cols, np.uint8)
    c = Case(rows=rows, cols=cols, kind=[np.dtype(k) for k in KINDS].index(cost.dtype), maximise=int(maximise), order=order, simd=simd, words=words,
             groups=0 if groups is None else len(quota), solver=int(rows + cols + order) % 2)  # 1: not by the short way for small tables
    for name, array in keep.items():
        setattr(c, name, array.ctypes.data if array.size else ctypes.addressof(c))
    a.result = library.parity_solve(ctypes.byref(c)).decode()
    a.primal, a.dual, a.gap, a.total, a.unique, a.exponent, a.row, a.col = c.primal, c.dual, c.gap, c.total, bool(c.unique), c.exponent, c.row, c.col
    return a


def numbers(price, words):
    """Prices of several words as Python's integers."""
    return [int.from_bytes(price[i:i + words].tobytes(), "little", signed=True) for i in range(0, len(price), words)]


def units(x, exponent):
    """A cost in units of 2^exponent."""
    f = Fraction(x.item()) / Fraction(2) ** exponent
    assert f.denominator == 1, "not a multiple of the unit"
    return f.numerator


def unique(cost, allowed, columns, u, v, capacity, room):
    """No cycle through a tight entry that is not used: columns as nodes, plus one for rows without and one for columns with room."""
    rows, cols = cost.shape
    tight = allowed & (u[:, None] + v[None, :] == cost)
    own = np.where(columns < 0, cols, columns)
    used = np.bincount(own, minlength=cols + 1)[:cols]
    row, to = np.nonzero(tight)
    kind = to != own[row]
    start, end = own[row][kind], to[kind]
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


def scipy_columns(cost, allowed, capacity, maximise):
    """SciPy's columns, each column repeated as often as it may be used; None when infeasible."""
    origin = np.repeat(np.arange(cost.shape[1]), capacity)
    table = cost.astype(np.float64)[:, origin]
    table[~allowed[:, origin]] = -np.inf if maximise else np.inf
    try:
        row, col = linear_sum_assignment(table, maximize=maximise)
    except ValueError:
        return None
    columns = np.full(cost.shape[0], -1)
    columns[row] = origin[col]
    return columns


def families(rng, rows, cols, kind):
    """One table of costs, as integers or floats that the kind can hold."""
    def distance(d, crowd):
        a = rng.integers(80, 120, (rows, d)) if crowd else rng.integers(0, 256, (rows, d))
        return ((a[:, None, :] - rng.integers(0, 256, (1, cols, d))) ** 2).sum(2)

    low = [lambda: ("constant", np.full((rows, cols), int(rng.integers(-5, 5)))),
           lambda: ("0/1", rng.integers(0, 2, (rows, cols))),
           lambda: ("0..9", rng.integers(0, 10, (rows, cols))),
           lambda: ("uniform", rng.integers(0, 10**6, (rows, cols))),
           lambda: ("plane", distance(2, False)),
           lambda: ("crowded colours", distance(3, True)),
           lambda: ("products", np.outer(rng.integers(1, 1000, rows), rng.integers(1, 1000, cols))),
           lambda: ("rank", np.add.outer(np.arange(rows), np.arange(cols)) % max(1, cols)),
           lambda: ("same rows", np.tile(rng.integers(0, 50, (1, cols)), (rows, 1))),
           lambda: ("one good column", np.where(np.arange(cols)[None, :] == 0, 0, rng.integers(100, 110, (rows, cols)))),
           lambda: ("big M", np.where(rng.random((rows, cols)) < 0.3, 10**6, rng.integers(0, 5, (rows, cols))))]
    ends = [lambda: ("int32", rng.integers(-(2**31), 2**31 - 1, (rows, cols))),
            lambda: ("near 2^31", rng.choice([-(2**31), -(2**31) + 1, 0, 2**31 - 3, 2**31 - 2], (rows, cols)))]
    wide = [lambda: ("int64", rng.integers(-(2**63), 2**63 - 1, (rows, cols))),
            lambda: ("near 2^62", rng.choice([-(2**62), -(2**62) + 1, 0, 2**62 - 1, 2**62, 2**62 + 1], (rows, cols))),
            lambda: ("2^53", rng.integers(-(2**53), 2**53, (rows, cols)))]
    real = [lambda: ("random", rng.random((rows, cols))),
            lambda: ("normal", rng.standard_normal((rows, cols))),
            lambda: ("decimals", np.round(rng.random((rows, cols)) * 10, 1)),
            lambda: ("thirds", rng.integers(0, 4, (rows, cols)) / 3),
            lambda: ("roots", np.sqrt(distance(2, False) + 0.0)),
            lambda: ("exponentials", np.exp(rng.uniform(-40, 40, (rows, cols)))),
            lambda: ("tiny and huge", rng.choice([1e-30, 1.0, 1e30], (rows, cols)) * rng.integers(-2, 3, (rows, cols)))]
    if kind == np.float64:
        real += [lambda: ("subnormal", rng.integers(-9, 9, (rows, cols)) * 5e-324),
                 lambda: ("all exponents", np.ldexp(rng.random((rows, cols)), rng.integers(-1000, 900, (rows, cols))))]
    some = low + (ends if kind in (np.int32, np.int64) else []) + (wide if kind == np.int64 else []) + (real * 2 if np.issubdtype(kind, np.floating) else [])
    name, cost = some[int(rng.integers(len(some)))]()
    if kind == np.int32:
        cost = np.clip(cost, -(2**31), 2**31 - 2)
    return name, cost.astype(kind)


def shape(rng):
    pick = rng.random()
    if pick < 0.6:
        return int(rng.integers(0, 13)), int(rng.integers(0, 13))
    if pick < 0.9:
        return int(rng.integers(1, 60)), int(rng.integers(1, 60))
    wide = [(1, 300), (3, 300), (100, 120), (64, 128), (120, 120), (2, 200), (30, 300)][int(rng.integers(7))]
    return wide if rng.random() < 0.5 else wide[::-1]


class Parity:
    def __init__(self, library, seed):
        self.lap, self.seed = library, seed
        self.passed = self.failed = 0
        self.seen = dict(unique=0, infeasible=0, scipy=0, ties=0, sparse=0, quotas=0)

    def check(self, condition, what):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            if self.failed <= 20:
                print(f"failed: seed {self.seed} case {self.number}: {self.what}: {what}")

    def run(self, number):
        self.number = number
        rng = np.random.default_rng([self.seed, number])
        (self.table, self.table, self.scipy_order, self.scipy_order, self.sparse, self.quotas)[number % 6](rng)

    def problem(self, rng):
        rows, cols = shape(rng)
        kind = KINDS[int(rng.integers(4))]
        if kind == np.int32 and rng.random() < 0.04:
            rows, cols = [(200, 200), (150, 600), (600, 150), (400, 420), (420, 400), (500, 500)][int(rng.integers(6))]
        name, cost = families(rng, rows, cols, kind)
        allowed = np.ones((rows, cols), bool)
        if rng.random() < 0.3:
            allowed = rng.random((rows, cols)) >= rng.choice([0.1, 0.5, 0.9])
        cost[~allowed] = forbidden(kind)
        allowed &= cost != forbidden(kind)
        maximise = bool(rng.random() < 0.4)
        self.what = f"{name} {np.dtype(kind).name} {rows}x{cols} maximise {maximise}"
        return cost, allowed, maximise

    def clash(self, a, allowed, capacity):
        """The rows and columns named prove that there is no complete assignment."""
        self.seen["infeasible"] += 1
        rows, cols = a.clash_rows.astype(bool), a.clash_cols.astype(bool)
        if len(rows) > capacity.sum():
            self.check(not np.any(allowed[np.ix_(~rows, cols)]) and capacity[cols].sum() > rows.sum(), "clash")
        else:
            self.check(not np.any(allowed[np.ix_(rows, ~cols)]) and capacity[cols].sum() < rows.sum(), "clash")

    def certificate(self, a, cost, allowed, capacity, maximise, optimal=True):
        """In exact arithmetic; returns the costs and prices in units."""
        rows, cols = cost.shape
        room = int(capacity.sum())
        exact = cost.astype(object)  # Python's integers
        if np.issubdtype(cost.dtype, np.floating):
            exact = np.zeros((rows, cols), object)
            for i, j in zip(*np.nonzero(allowed)):
                exact[i, j] = units(cost[i, j], a.exponent)
        u, v = np.array(numbers(a.u, WORDS), object), np.array(numbers(a.v, WORDS), object)
        slack = (exact - u[:, None] - v[None, :]) * (-1 if maximise else 1)
        self.check(not np.any(slack[allowed] < 0), "a price is too high")
        matched = np.nonzero(a.columns >= 0)[0]
        total = sum(exact[i, a.columns[i]] for i in matched)
        self.check(len(matched) == min(rows, room) and all(allowed[i, a.columns[i]] for i in matched), "matched")
        self.check(np.all(np.bincount(a.columns[matched], minlength=cols) <= capacity), "capacity")
        dual = sum(u.tolist()) + sum(int(n) * x for n, x in zip(capacity, v.tolist()))
        free = u if rows > room else v
        self.check(not np.any(free < 0 if maximise else free > 0), "a price has the wrong sign")
        if optimal:
            self.check(total == dual, f"total {total}, worth of the prices {dual}")
        clamp = lambda x: max(-(2**63), min(2**63 - 1, x))
        self.check((a.primal, a.dual, a.gap) == (clamp(total), clamp(dual), clamp(total - dual)), "totals")
        try:
            nearest = float(Fraction(total) * Fraction(2) ** a.exponent)
        except OverflowError:
            nearest = np.inf if total > 0 else -np.inf
        self.check(a.total == nearest, f"total {a.total!r}, exactly {nearest!r}")
        return exact, u, v, total

    def table(self, rng):
        cost, allowed, maximise = self.problem(rng)
        rows, cols = cost.shape
        capacity = None if rng.random() < 0.6 else rng.integers(0, 4, cols)
        counts = np.ones(cols, np.int64) if capacity is None else capacity.astype(np.int64)
        self.what += f" room {counts.sum()}"
        a = solve(self.lap, cost, capacity=capacity, maximise=maximise, words=WORDS)
        theirs = scipy_columns(cost, allowed, counts, maximise)
        if theirs is None:
            self.check(a.result == "infeasible", f"SciPy finds it infeasible, we say {a.result}")
            if a.result == "infeasible":
                self.clash(a, allowed, counts)
            return
        self.check(a.result == "ok", a.result)
        if a.result != "ok":
            return
        exact, u, v, total = self.certificate(a, cost, allowed, counts, maximise)
        one = unique(exact, allowed, a.columns, u, v, counts, int(counts.sum()))
        self.check(one == a.unique, f"unique: {a.unique}, should be {one}")
        self.seen["unique"] += one
        scipys = sum(exact[i, theirs[i]] for i in np.nonzero(theirs >= 0)[0])
        self.check(total >= scipys if maximise else total <= scipys, "SciPy's total is better")
        if total == scipys:
            order = lambda c: list(np.where(c < 0, cols, c))
            self.check(order(a.columns) == order(theirs) if one else order(a.columns) <= order(theirs), f"assignment (unique: {one})")

    def scipy_order(self, rng):
        cost, allowed, maximise = self.problem(rng)
        theirs = scipy_columns(cost, allowed, np.ones(cost.shape[1], np.int64), maximise)
        a = solve(self.lap, cost, maximise=maximise, order=1, words=WORDS)
        if theirs is None:
            self.check(a.result == "infeasible", f"SciPy finds it infeasible, we say {a.result}")
            return
        self.seen["scipy"] += 1
        self.seen["ties"] += not a.unique
        self.check(a.result == "ok" or a.gap != 0, a.result)
        self.check(np.array_equal(a.columns, theirs), f"SciPy's assignment (unique: {a.unique})")
        self.certificate(a, cost, allowed, np.ones(cost.shape[1], np.int64), maximise, optimal=False)

    def sparse(self, rng):
        rows, cols = shape(rng)
        rows, cols = max(rows, 1), max(cols, 1)
        kind = KINDS[int(rng.integers(4))]
        name, cost = families(rng, rows, cols, kind)
        allowed = rng.random((rows, cols)) < rng.choice([0.05, 0.2, 0.5, 1.0])
        allowed &= (cost != forbidden(kind)) & (cost != 0)  # SciPy takes stored zeros for missing
        maximise = bool(rng.random() < 0.4)
        self.what = f"sparse {name} {np.dtype(kind).name} {rows}x{cols} maximise {maximise}"
        row, col = np.nonzero(allowed)
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
        a = solve(self.lap, cost[row, col], sparse=(start, col, cols), maximise=maximise, words=WORDS)
        counts = np.ones(cols, np.int64)
        self.seen["sparse"] += 1
        try:
            if np.all(np.abs(cost[allowed].astype(np.float64)) < 2**40) and np.issubdtype(kind, np.integer):
                found = min_weight_full_bipartite_matching(csr_matrix((cost[row, col].astype(np.float64), (row, col)), (rows, cols)), maximise)
            else:  # that one may run for ever when its sums are rounded
                theirs = scipy_columns(cost, allowed, counts, maximise)
                if theirs is None:
                    raise ValueError
                found = np.nonzero(theirs >= 0)[0], theirs[theirs >= 0]
        except ValueError:
            self.check(a.result == "infeasible", f"SciPy finds it infeasible, we say {a.result}")
            if a.result == "infeasible":
                self.clash(a, allowed, counts)
            return
        self.check(a.result == "ok", a.result)
        if a.result != "ok":
            return
        exact, u, v, total = self.certificate(a, cost, allowed, counts, maximise)
        self.check(unique(exact, allowed, a.columns, u, v, counts, cols) == a.unique, "unique")
        scipys = sum(exact[i, j] for i, j in zip(*found))
        self.check(total >= scipys if maximise else total <= scipys, "SciPy's total is better")
        if total == scipys and a.unique:
            theirs = np.full(rows, -1)
            theirs[found[0]] = found[1]
            self.check(np.array_equal(theirs, a.columns), "SciPy's assignment")
        dense = cost.copy()
        dense[~allowed] = forbidden(kind)
        b = solve(self.lap, dense, maximise=maximise, words=WORDS)
        self.check(np.array_equal(a.columns, b.columns), "not as from a table")

    def quotas(self, rng):
        """Group quotas, against the linear program solved by HiGHS."""
        rows, cols = int(rng.integers(1, 12)), int(rng.integers(1, 14))
        _, cost = families(rng, rows, cols, np.int32)
        cost = np.clip(cost, -10**6, 10**6).astype(np.int32)
        allowed = rng.random((rows, cols)) >= rng.choice([0.0, 0.0, 0.3])
        cost[~allowed] = forbidden(np.int32)
        count = int(rng.integers(1, 6))
        group, quota, capacity = rng.integers(-1, count, cols), rng.integers(0, 5, count), rng.integers(0, 4, cols)
        room = int(capacity[group < 0].sum() + sum(min(int(quota[g]), int(capacity[group == g].sum())) for g in range(count)))
        maximise = bool(rng.random() < 0.4)
        self.what = f"quotas {rows}x{cols} room {room} maximise {maximise}"
        a = solve(self.lap, cost, capacity=capacity, maximise=maximise, groups=group, quota=quota)
        self.seen["quotas"] += 1
        limits = np.concatenate([np.tile(np.eye(cols), (1, rows)), np.array([np.tile(group == g, rows) for g in range(count)], float)])
        found = linprog(np.where(allowed, cost, 0).ravel() * (-1.0 if maximise else 1.0), A_ub=limits, b_ub=np.concatenate([capacity, quota]),
                        A_eq=np.kron(np.eye(rows), np.ones((1, cols))), b_eq=np.ones(rows), bounds=[(0, 1 if x else 0) for x in allowed.ravel()])
        if found.status != 0:
            self.check(a.result == "infeasible", f"HiGHS finds it infeasible, we say {a.result}")
            return
        self.check(a.result == "ok", a.result)
        best = round(-found.fun if maximise else found.fun)
        self.check(a.primal == best and a.gap == 0, f"total {a.primal}, HiGHS {best}")


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    parity = Parity(load(sys.argv[1]), seed)
    if len(sys.argv) > 3:
        parity.run(int(sys.argv[3]))
    else:
        for number in range(6000):
            parity.run(number)
        seen = parity.seen
        parity.number, parity.what = -1, "all"
        parity.check(seen["unique"] > 500 and seen["infeasible"] > 300 and seen["scipy"] > 1000 and seen["ties"] > 400, f"too few of a kind: {seen}")
        print(f"lap parity, seed {seed}: {seen}")
    print(f"lap parity: {parity.passed} passed, {parity.failed} failed")
    return 1 if parity.failed else 0


if __name__ == "__main__":
    sys.exit(main())
