#!/usr/bin/env python3
"""torchvision's RAFT-small for bench.py, in a process of its own since PyTorch may be in another Python than the bench: prints a line with the
versions and the multiplications of one pair, then, for every line read, the seconds that one pair took.

    raft_torch.py WIDTH HEIGHT ITERATIONS

One thread. The weights are random: they do not change the time.
"""
import sys
import time

import torch
import torchvision

width, height, iterations = map(int, sys.argv[1:])
torch.set_num_threads(1)
torch.manual_seed(1)
model = torchvision.models.optical_flow.raft_small(weights=None).eval()
pair = [torch.rand(1, 3, height, width) * 2 - 1 for _ in range(2)]
multiplications = ((height // 8) * (width // 8)) ** 2 * 128  # the correlation of all pairs


def count(layer, inputs, output):
    global multiplications
    multiplications += output.numel() * layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]


hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
with torch.no_grad():
    model(*pair, num_flow_updates=iterations)
    for hook in hooks:
        hook.remove()
    print(f"torchvision {torchvision.__version__}, PyTorch {torch.__version__};{multiplications}", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        model(*pair, num_flow_updates=iterations)
        print(time.perf_counter() - start, flush=True)
