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
    def _text(value):
        return b"\x8c" + struct.pack("B", len(value)) + value.encode()

    return b"\x80\x04" + _text(module) + _text(name) + b"\x93."


def growing():
    """Yield (what it does, pickle) of files that are small and never end.

    In each, `{"cfg": ..., "model": {"w": <tensor of 2>}}` has its config
    replaced, so that a reader gets as far as it can.
    """
    double = b"q\x00" + b"h\x00h\x00\x86q\x00" * 60
    lists = b"]q\x00" + b"](h\x00h\x00eq\x00" * 60
    chain = _text("ab") + (_text("hex") + b"\x86R") * 40
    yield "deep tuples as a key", b"}K\x01" + b"\x85" * 300_000 + b"K\x02s"
    yield "doubled tuples as a key", b"}K\x01\x85" + double + b"K\x02s"
    yield (
        "doubled tuples in a set",
        (b"c__builtin__\nset\n](K\x01\x85" + double + b"e\x85R"),
    )
    yield "doubled lists", lists
    yield "doubled lists that are called", lists + b")R"
    yield (
        "lists doubled from above",
        (
            b"]q\x00"
            + b"".join(b"]q\x01h\x00(h\x01h\x01e0h\x01q\x00" for _ in range(60))
        ),
    )
    yield (
        "memoised lists, 1.25 MB",
        (b"]q\x00" + b"](" + (b"h\x00" * 20 + b"eq\x00](") * 26_000 + b"e"),
    )
    yield (
        "copies of a long tuple",
        (
            b"("
            + b"K\x01" * 90_000
            + b"tq\x00ctorch\nSize\nq\x01"
            + b"("
            + b"h\x01h\x00\x85R" * 60_000
            + b"t"
        ),
    )
    yield (
        "chain of encodings",
        (b"c_codecs\nencode\nq\x01" + b"h\x01" * 40 + chain),
    )
    yield (
        "bytearray of a length",
        b"c__builtin__\nbytearray\n\x8a\x05"
        + ((10**11).to_bytes(5, "little") + b"\x85R"),
    )
    yield (
        "storage of a length",
        (
            b"ctorch.storage\nUntypedStorage\n\x8a\x05"
            + (10**11).to_bytes(5, "little")
            + b"\x85R"
        ),
    )
    yield (
        "tensor of a length",
        b"ctorch\nTensor\n\x8a\x05"
        + ((10**11).to_bytes(5, "little") + b"\x85R"),
    )
    yield "instructions without end", b"](" + b"]" * 1_000_000 + b"e"
    yield (
        "dimensions without end",
        b"ctorch._utils\n_rebuild_tensor\n(("
        + _text("storage")
        + b"ctorch\nFloatStorage\n"
        + _text("0")
        + _text("cpu")
        + b"K\x02tQK\x00("
        + (b"\x8a\xff" + b"\x7f" * 255) * 20_000
        + b"t("
        + b"K\x01" * 20_000
        + b"ttR",
    )
    yield (
        "names without end",
        b"]("
        + b"".join(b"cfairseq.x\nN%d\n" % i for i in range(50_000))
        + b"e",
    )


def _text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data
