#!/usr/bin/env python3
"""What torchvision's RAFT takes on the same device, in float32 and eager mode, as lines of times.cu's table. Random weights: they do not change the time. Ends
with 3 when there is no PyTorch or no device for it."""
import sys
import time

try:
    import torch
    import torchvision
except ImportError:
    sys.exit(3)
if not torch.cuda.is_available():
    sys.exit(3)
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(1)
for name, width, height in (("small", 480, 272), ("large", 960, 544)):
    model = getattr(torchvision.models.optical_flow, f"raft_{name}")(weights=None).eval().cuda()
    pair = [torch.rand(1, 3, height, width, device="cuda") * 2 - 1 for _ in range(2)]
    best = 1e9
    with torch.no_grad():
        for _ in range(10):
            torch.cuda.synchronize()
            start = time.perf_counter()
            model(*pair, num_flow_updates=12)
            torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
    print(f"| PyTorch {torch.__version__}: RAFT-{name}, {width} x {height}, 12 iterations, a pair | {best * 1e3:.3f} | |")
