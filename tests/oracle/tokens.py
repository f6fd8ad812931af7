"""A decoder, token by token: npucc --generate must find the tokens that ONNX Runtime finds.

    tokens.py BUILD_FOLDER NPUCC MODEL [--count N]

MODEL is `charllama` of the shared networks: token 0 is newline, token k is chr(31 + k). Exit code
77: something this needs is not there.
"""
import os
import subprocess
import sys

sys.dont_write_bytecode = True

import run

PROMPTS = ["int main(", "The quick brown"]
np = run.np


def main():
    build, npucc, model = (os.path.abspath(a) for a in sys.argv[1:4])
    count = sys.argv[5] if len(sys.argv) > 5 else "32"
    if not os.path.exists(model):
        run.skip("there is no " + model)
    modules = run.install(build)
    failed = 0
    for prompt in PROMPTS:
        tokens = [0 if c == "\n" else ord(c) - 31 for c in prompt]
        done = subprocess.run(
            ["node", os.path.join(run.HERE, "generate_tokens.js"), modules, model,
             ",".join(map(str, tokens)), count], capture_output=True, text=True)
        if done.returncode:
            sys.exit("ONNX Runtime fails: " + done.stderr[-600:])
        expected = done.stdout.split()
        file = os.path.join(build, "prompt.npy")
        np.save(file, np.array([tokens], dtype=np.int64))
        done = subprocess.run([npucc, model, "--generate", count, "--prompt", file, "--quiet",
                               "--baseline", "none"], capture_output=True, text=True)
        got = done.stdout.replace("tokens:", "").split()
        text = "".join(chr(31 + int(t)) if t != "0" else "\n" for t in got)
        same = done.returncode == 0 and got == expected and len(got) == int(count)
        print(f"{prompt!r} + {text!r}: {'as' if same else 'NOT as'} ONNX Runtime")
        if not same:
            failed += 1
            print("  got     ", *got, "\n  expected", *expected, "\n ", done.stderr[-600:])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
