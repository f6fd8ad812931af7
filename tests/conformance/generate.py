"""Writes ONNX's node test cases, then runs a command on them.

usage: generate.py FOLDER COMMAND...

The cases come from the onnx package of Debian, which holds the code that makes them but not the
files. They are written once for each version of the packages; COMMAND gets FOLDER/node as its
last argument. Exit status 77: there is no onnx package.
"""
import os
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77


def write_cases(folder):
    """Writes the cases to `folder`, in a process of its own, since numpy gets patched."""
    code = (
        "import sys, warnings, numpy as np\n"
        "warnings.simplefilter('ignore')\n"
        # onnx 1.12 uses names that numpy 1.24 has no longer.
        "np.float, np.int, np.bool, np.object = float, int, bool, object\n"
        "np.random.seed(0)\n"
        "from onnx.backend.test import cmd_tools\n"
        "sys.argv[0] = 'generate'\n"
        "cmd_tools.main()\n")
    done = subprocess.run([sys.executable, "-c", code, "generate-data", "-o", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout + "generate.py: the onnx package failed to write its cases")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, command = os.path.abspath(sys.argv[1]), sys.argv[2:]
    try:
        import numpy
        import onnx
    except ImportError as error:
        print(f"skipped: {sys.executable} has no onnx package ({error});"
              " apt-get install python3-onnx")
        return SKIPPED
    with open(__file__, encoding="utf-8") as source:
        made_from = f"onnx {onnx.__version__}, numpy {numpy.__version__}\n{source.read()}"
    stamp = os.path.join(folder, "made-from")
    try:
        with open(stamp, encoding="utf-8") as file:
            fresh = file.read() == made_from
    except OSError:
        fresh = False
    if not fresh:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        # Beside its place and renamed when it is complete: half a set is never used.
        with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as made:
            new = os.path.join(made, "cases")
            write_cases(new)
            with open(os.path.join(new, "made-from"), "w", encoding="utf-8") as file:
                file.write(made_from)
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(new, folder)
    return subprocess.run(command + [os.path.join(folder, "node")]).returncode


if __name__ == "__main__":
    sys.exit(main())
