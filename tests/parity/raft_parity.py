"""RAFT of mosaic_flow.h against torchvision: every intermediate of an iteration, the flow after twelve, and the weight files that PyTorch writes.

    python3 tests/parity/raft_parity.py BUILD_DIRECTORY [SEED]

PyTorch is not among the packages of the parity environment: the system's is used (Debian: python3-torch, python3-torchvision; 'make deps'). With
../shared/data (or DATA) the released RAFT-small and pairs of frames with known motion are used as well.
"""
import ctypes
import io
import os
import re
import subprocess
import sys

try:
    import numpy as np
    import torch
    import torchvision
except ImportError:
    system = "/usr/bin/python3"
    known = os.path.exists(system) and not os.environ.get("RAFT_PARITY_SYSTEM") and subprocess.call(
        [system, "-c", "import torch, torchvision, numpy"], stderr=subprocess.DEVNULL) == 0
    if known:
        os.environ["RAFT_PARITY_SYSTEM"] = "1"
        os.execv(system, [system] + sys.argv)
    print("raft parity: 0 passed, 1 failed: no PyTorch with torchvision; 'make deps' installs Debian's")
    sys.exit(1)

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("DATA") or os.path.join(HERE, "../../../shared/data")
passed = failed = 0


def check(good, text):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(("ok      " if good else "FAILED  ") + text)


def load_library(build):
    library = os.path.join(os.path.abspath(build), "raft_parity.so")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.check_call(compiler + ["-O2", "-shared", "-fPIC", os.path.join(HERE, "raft_parity.c"), "-o", library])
    library = ctypes.CDLL(library)
    library.parity_load.restype = ctypes.c_void_p
    library.mosaic_flow_weights_size.restype = ctypes.c_size_t
    return library


def read(library, data):
    """The weights in a file of these bytes, or None."""
    result = ctypes.c_int()
    weights = library.parity_load(data, ctypes.c_size_t(len(data)), ctypes.byref(result))
    return ctypes.c_void_p(weights) if weights else None


def numbers(library, weights):
    size = (library.mosaic_flow_weights_size(weights) - 40) // 4
    out = np.empty(size, np.float32)
    library.parity_numbers(weights, ctypes.c_void_p(out.ctypes.data))
    return out


def pair(library, weights, a, b, iterations, shapes=None, arithmetic=1):
    """a, b: height x width x 3 bytes. The flow, and with shapes (channels, a list) also the stages."""
    height, width = a.shape[:2]
    out = np.empty((height, width, 2), np.float32)
    eighth = ((height + 7) // 8, (width + 7) // 8)
    stages = np.empty(eighth[0] * eighth[1] * sum(shapes), np.float32) if shapes else None
    pointer = lambda x: ctypes.c_void_p(x.ctypes.data) if x is not None else None
    result = library.parity_pair(weights, width, height, pointer(a), pointer(b), iterations, arithmetic, None, pointer(out), pointer(stages))
    assert result == 0, result
    if not shapes:
        return out
    parts, at = [], 0
    for channels in shapes:
        count = eighth[0] * eighth[1] * channels
        parts.append(stages[at:at + count].reshape(*eighth, channels).transpose(2, 0, 1))
        at += count
    return out, parts


def torch_input(picture):
    """As the authors pad: to multiples of 8, half on each side, by repeating the edge."""
    x = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / 255 * 2 - 1
    height, width = picture.shape[:2]
    down, across = -height % 8, -width % 8
    box = (across // 2, across - across // 2, down // 2, down - down // 2)
    return torch.nn.functional.pad(x, box, mode="replicate"), (slice(box[2], box[2] + height), slice(box[0], box[0] + width))


def torch_flow(model, a, b, iterations):
    (x, box), (y, _) = torch_input(a), torch_input(b)
    with torch.no_grad():
        return model(x, y, num_flow_updates=iterations)[-1][0][:, box[0], box[1]].permute(1, 2, 0).numpy()


def stages_of(model, a, b):
    """What the modules of torchvision give in one iteration, in the order of parity_pair()."""
    seen, handles = {}, []

    def keep(name, module):
        handles.append(module.register_forward_hook(lambda m, i, o: seen.__setitem__(name, o[0] if o.shape[0] == 1 else o)))

    update = model.update_block
    gru = [g for g in (update.recurrent_block.convgru1, update.recurrent_block.convgru2) if hasattr(g, "convz")][-1]
    motion = update.motion_encoder
    for name, module in dict(features=model.feature_encoder, context=model.context_encoder, corr1=getattr(motion, "convcorr2", None) or motion.convcorr1,
                             flow2=motion.convflow2, merge=motion.conv, z=gru.convz, r=gru.convr, q=gru.convq, hidden=update.recurrent_block,
                             delta=update.flow_head, head=update.flow_head.relu).items():
        keep(name, module)
    look = model.corr_block.index_pyramid

    def index_pyramid(*args, **kwargs):
        seen["corr"] = look(*args, **kwargs)
        return seen["corr"]

    model.corr_block.index_pyramid = index_pyramid
    torch_flow(model, a, b, 1)
    del model.corr_block.index_pyramid
    for handle in handles:
        handle.remove()
    corr = seen["corr"][0].numpy()
    side = int(round((corr.shape[0] / 4) ** 0.5))
    corr = corr.reshape(4, side, side, *corr.shape[1:]).transpose(0, 2, 1, 3, 4).reshape(corr.shape)  # ours: dy slow, dx fast
    g = lambda name: seen[name].numpy()
    names = ["features a", "features b", "context", "lookup", "both branches", "motion", "update gate", "reset gate", "candidate", "hidden", "head",
             "step", "flow"]
    values = [g("features")[0], g("features")[1], g("context"), corr, np.concatenate([g("corr1"), g("flow2")]), g("merge"),
              1 / (1 + np.exp(-g("z").astype(np.float64))), g("r"), g("q"), g("hidden"), g("head"), g("delta"), g("delta")]
    return names, values


def compare_stages(library, what, model, weights, a, b):
    names, values = stages_of(model, a, b)
    _, ours = pair(library, weights, a, b, 1, [v.shape[0] for v in values])
    worst = [(float(np.abs(x - y).max() / np.abs(y).max()), name) for name, x, y in zip(names, ours, values)]
    for difference, name in worst:
        check(difference <= 2e-5, "%s, one iteration, %s: %.1e relative" % (what, name, difference))


def compare_flow(library, what, model, weights, a, b, mean_bound=1e-3, worst_bound=0.05, iterations=12):
    ours, theirs = pair(library, weights, a, b, iterations), torch_flow(model, a, b, iterations)
    distance = np.hypot(*(ours.astype(np.float64) - theirs).transpose(2, 0, 1))
    check(distance.mean() <= mean_bound and distance.max() <= worst_bound, "%s, %d iterations: %.1e px mean, %.1e px worst, vectors up to %.1f px" % (
        what, iterations, distance.mean(), distance.max(), np.abs(theirs).max()))
    return ours


def compare_integers(what, integers, floats, bound, typical=np.mean):
    distance = np.hypot(*(integers - floats).reshape(-1, 2).T)
    check(typical(distance) <= bound, "%s: integers from float32 %.4f px in the mean, median %.4f" % (what, distance.mean(), np.median(distance)))


def torchvision_name(k):
    """From the authors' names to torchvision's."""
    k = k.replace("module.", "").replace("fnet.", "feature_encoder.").replace("cnet.", "context_encoder.")
    k = re.sub(r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0.", k)
    k = re.sub(r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0.", k)
    k = re.sub(r"^(\w+_encoder)\.conv2\.", r"\1.conv.", k)
    for a, b in (("convc", "convcorr"), ("convf", "convflow")):
        k = re.sub(r"update_block\.encoder\.%s(\d)\." % a, r"update_block.motion_encoder.%s\1.0." % b, k)
    k = k.replace("update_block.encoder.conv.", "update_block.motion_encoder.conv.0.")
    return k.replace("update_block.gru.conv", "update_block.recurrent_block.convgru1.conv")


def saved(state, legacy):
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def generated_pair(generator, height, width):
    """A smooth random picture, and the same moved by a few pixels."""
    big = torch.rand((1, 3, height // 8 + 6, width // 8 + 6), generator=generator)
    big = torch.nn.functional.interpolate(big, scale_factor=8, mode="bicubic", align_corners=False)[0].clamp(0, 1).permute(1, 2, 0).numpy()
    cut = lambda y, x: np.ascontiguousarray((big[y:y + height, x:x + width] * 255).round().astype(np.uint8))
    return cut(16, 16), cut(19, 11)


def random_model(make, generator):
    model = make(weights=None).eval()
    with torch.no_grad():
        for name, p in list(model.named_parameters()) + list(model.named_buffers()):
            if p.dtype != torch.float32:
                continue
            if p.dim() == 4:
                p.copy_(torch.randn(p.shape, generator=generator) * (1.0 / p[0].numel()) ** 0.5)
            else:
                p.copy_((1 if name.endswith(("running_var", "1.weight")) else 0) + 0.1 * torch.randn(p.shape, generator=generator))
    return model


def read_flo(path):
    with open(path, "rb") as f:
        f.read(4)
        width, height = np.frombuffer(f.read(8), np.int32)
        return np.frombuffer(f.read(), np.float32).reshape(height, width, 2)


def main():
    torch.set_num_threads(os.cpu_count() or 1)
    library = load_library(sys.argv[1] if len(sys.argv) > 1 else "build")
    generator = torch.Generator().manual_seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print("torch %s, torchvision %s" % (torch.__version__, torchvision.__version__))

    for name, make in (("RAFT-small", torchvision.models.optical_flow.raft_small), ("RAFT-large", torchvision.models.optical_flow.raft_large)):
        model = random_model(make, generator)
        state = model.state_dict()
        weights = read(library, saved(state, False))
        check(weights, name + ": the zip .pth of torch.save is read")
        legacy = read(library, saved(state, True))
        check(legacy and np.array_equal(numbers(library, weights), numbers(library, legacy)), name + ": the legacy .pth holds the same numbers")
        parameter = read(library, saved(dict(model.named_parameters(), **dict(model.named_buffers())), False))
        check(parameter and np.array_equal(numbers(library, weights), numbers(library, parameter)), name + ": so does one of parameters")
        a, b = generated_pair(generator, 141, 203)
        compare_stages(library, name + " with random weights", model, weights, a, b)
        compare_flow(library, name + " with random weights", model, weights, a, b)

    path = os.path.join(DATA, "raft/raft-small.pth")
    if not os.path.exists(path):
        print("raft parity: no %s: the released weights and the pairs with known motion are skipped" % path)
    else:
        from PIL import Image
        with open(path, "rb") as f:
            weights = read(library, f.read())
        check(weights, "the released RAFT-small is read")
        model = torchvision.models.optical_flow.raft_small(weights=None).eval()
        state = {torchvision_name(k): v for k, v in torch.load(path, map_location="cpu").items()}
        model.load_state_dict(state, strict=True)
        renamed = read(library, saved(state, False))
        check(renamed and np.array_equal(numbers(library, weights), numbers(library, renamed)), "under torchvision's names it holds the same numbers")
        for i, (name, frames, epe) in enumerate((("sintel-alley_1", "frame_%04d.png", 0.2714), ("sintel-cave_2", "frame_%04d.png", 1.1702),
                                                 ("rubberwhale", "frame%d.png", 0.3199))):
            folder = os.path.join(DATA, "flow", name)
            first = 10 if name == "rubberwhale" else 2
            a, b = (np.array(Image.open(os.path.join(folder, frames % n)).convert("RGB")) for n in (first, first + 1))
            if i == 0:
                compare_stages(library, name, model, weights, a, b)
            ours = compare_flow(library, name, model, weights, a, b)
            truth = read_flo(os.path.join(folder, "flow_gt.flo"))
            known = (np.abs(truth) < 1e9).all(2)
            error = float(np.hypot(*(ours[known].astype(np.float64) - truth[known]).T).mean())
            check(abs(error - epe) <= 0.001, "%s: end-point error %.4f, torchvision's %.4f" % (name, error, epe))
            integers = pair(library, weights, a, b, 12, arithmetic=0)
            exact = error
            error = float(np.hypot(*(integers[known].astype(np.float64) - truth[known]).T).mean())
            check(abs(error - exact) <= 0.01 * exact, "%s in integers: end-point error %.4f" % (name, error))
            compare_integers(name, integers, ours, 0.007)
            # Motion that grows to a fifth of the picture's size at its edges. What enters or leaves the picture there settles anywhere: the median tells.
            centre = a.shape[1] * (1 - 1 / 1.4) / 2, a.shape[0] * (1 - 1 / 1.4) / 2
            b = np.array(Image.fromarray(a).transform((a.shape[1], a.shape[0]), Image.AFFINE, (1 / 1.4, 0, centre[0], 0, 1 / 1.4, centre[1]), Image.BICUBIC))
            compare_integers(name + " enlarged", pair(library, weights, a, b, 12, arithmetic=0), pair(library, weights, a, b, 12), 0.06, np.median)
    print("raft parity: %d passed, %d failed" % (passed, failed))
    return failed > 0


sys.exit(main())
