"""A full disk is one line with the file's name, whichever library writes."""

import os
import subprocess
import sys

import pytest

WRITERS = {
    "text": "path.write_text('x' * 2**21)",
    "safetensors": "from safetensors.numpy import save_file; "
    "save_file({'a': numpy.zeros(2**20)}, path)",
    "numpy": "numpy.save(path.open('wb'), numpy.zeros(2**20))",
    "torch": "import torch; torch.save(torch.zeros(2**20), path)",
    "soundfile": "import soundfile; soundfile.write("
    "str(path), numpy.zeros(2**20), 16000, format='WAV')",
}
PROGRAM = """
import sys, numpy
from pathlib import Path
from speechbrain_e2v.files.atomic import new_folder, replaced_file
from speechbrain_e2v.console import one_line
target = Path(sys.argv[1]) / "target.bin"
try:
    with replaced_file(target) as path:
        {}
except OSError as error:
    print(one_line(error))
try:
    with new_folder(target.with_suffix("")) as folder:
        path = folder / "file.bin"
        {}
except OSError as error:
    print(one_line(error))
print(sorted(x.name for x in target.parent.iterdir()))
"""


def on_a_small_disk(program, folder, size="1m"):
    """Run Python in a name space of its own, with a disk of 1 MiB there."""
    mount = f"mount -t tmpfs -o size={size} tmpfs '{folder}'"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount]).returncode:
        pytest.skip("no disk can be mounted here")
    command = f'{mount} && exec "$0" -c "$1" "{folder}"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, sys.executable, program],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer(tmp_path, writer):
    code = WRITERS[writer]
    done = on_a_small_disk(PROGRAM.format(code, code), tmp_path)
    assert done.stdout.splitlines() == [
        f"{tmp_path}/{name}: No space left on device: free some space or write "
        "elsewhere, then run the command again"
        for name in ("target.bin", "target")
    ] + ["[]"], done.stderr[-2000:]


def test_a_limit_of_file_sizes(tmp_path):
    code = WRITERS["safetensors"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 512; exec "$0" "$@"', sys.executable, "-c"]
        + [PROGRAM.format(code, code), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    first, second, left = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/target.bin: File too large: free")
    assert second.startswith(f"{tmp_path}/target: File too large: free")
    assert left == "[]"


def test_other_errors_stay_what_they_are(tmp_path):
    from speechbrain_e2v.files.atomic import replaced_file

    target = tmp_path / "x"
    with pytest.raises(ValueError, match="^nan$"), replaced_file(target):
        raise ValueError("nan")
    with pytest.raises(ValueError, match=f"^{target} is odd$"):
        with replaced_file(target) as path:
            raise ValueError(f"{path} is odd")
    with pytest.raises(FileNotFoundError) as caught:
        with replaced_file(target):
            open(tmp_path / "input")
    assert caught.value.filename == str(tmp_path / "input")
