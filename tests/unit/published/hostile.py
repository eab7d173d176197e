"""Pickles that try to do harm, written by hand or by objects that pickle so.

Every one would leave a trace (a file) if a single call of it were made.
"""

import os
import pickle
import struct


class Calls:
    """Pickles as a call: function and arguments."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def pickles(trace):
    """Yield (what it asks for, pickle) of everything hostile.

    Arguments
    ---------
    trace : Path
        File that a successful attack would create.
    """
    command = f"touch {trace}"
    program = f"open({str(trace)!r}, 'w').close()"
    for protocol in (0, 2, 4):
        yield (
            f"{os.system.__module__}.system",
            pickle.dumps({"model": Calls(os.system, command)}, protocol),
        )
        yield "builtins.eval", pickle.dumps(Calls(eval, program), protocol)
        yield "builtins.exec", pickle.dumps(Calls(exec, program), protocol)
        yield (
            f"{open.__module__}.open",
            pickle.dumps(Calls(open, str(trace), "w"), protocol),
        )
    yield "builtins.getattr", pickle.dumps(Calls(getattr, "", "upper"))
    yield "builtins.__import__", pickle.dumps(Calls(__import__, "os"))
    # A class in torch's name space that does not exist, and ones that do.
    yield "torch.evil.Tensor", _global("torch.evil", "Tensor")
    yield "torch.hub.load", _global("torch.hub", "load")
    yield "torch.load", _global("torch", "load")
    yield (
        "torch.storage.UntypedStorage.from_file",
        _stack_global("torch.storage", "UntypedStorage.from_file"),
    )
    yield (
        "torch._utils._rebuild_tensor_v2.__globals__",
        _stack_global("torch._utils", "_rebuild_tensor_v2.__globals__"),
    )
    yield (
        "argparse.Namespace.__init__.__globals__",
        _stack_global("argparse", "Namespace.__init__.__globals__"),
    )
    yield "os.system", b"(S'" + command.encode() + b"'\nios\nsystem\n."  # INST
    yield "EXT1", b"\x80\x02\x82\x01."
    yield "NEXT_BUFFER", b"\x80\x05\x97."


def _global(module, name):
    return f"\x80\x02c{module}\n{name}\n)R.".encode("latin-1")


def _stack_global(module, name):
    def text(value):
        return b"\x8c" + struct.pack("B", len(value)) + value.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93."
