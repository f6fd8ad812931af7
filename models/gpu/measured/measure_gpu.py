#!/usr/bin/env python3
"""Times kernels of the GPU at hand with PyTorch, reads board power, and writes the results as
targets for npu-validate.

Each kernel is repeated in one CUDA graph until the measurement takes --seconds, so that neither
Python nor launches are part of it. Inputs are random: zeros would draw less power. Board power is
the mean of nvidia-smi's samples while the graph replays. Clocks and limits of the GPU are left as
they are, and noted.

Run by `npu-validate --measure-gpu FILE --gpu NAME`.
"""
import argparse
import datetime
import statistics
import subprocess
import sys
import threading
import time

GEMMS = [(64, 8192, 8192), (512, 8192, 8192), (4096, 4096, 4096), (8192, 8192, 8192),
         (8192, 1024, 1024), (16384, 256, 256)]
CONVOLUTIONS = [  # batch, in, out, output height and width, kernel, stride
    (64, 64, 64, 56, 56, 3, 1), (64, 256, 256, 14, 14, 3, 1), (64, 256, 1024, 14, 14, 1, 1),
    (64, 512, 512, 7, 7, 3, 1)]
SOFTMAXES = [(4096, 512), (4096, 4096), (16384, 4096), (4096, 32768)]
COPIES = [1 << 22, 1 << 26, 1 << 29]


def smi(query):
    """One line of nvidia-smi for the first GPU."""
    out = subprocess.run(["nvidia-smi", "--id=0", f"--query-gpu={query}",
                          "--format=csv,noheader,nounits"],
                         check=True, capture_output=True, text=True).stdout
    return [field.strip() for field in out.strip().splitlines()[0].split(",")]


class PowerSampler(threading.Thread):
    """Board power and SM clock every 50 ms until stop()."""

    def __init__(self):
        super().__init__(daemon=True)
        self.watts, self.clocks = [], []
        self.running = True

    def run(self):
        while self.running:
            watts, clock = smi("power.draw,clocks.sm")
            self.watts.append(float(watts))
            self.clocks.append(float(clock))
            time.sleep(0.05)

    def stop(self):
        self.running = False
        self.join()
        # The driver's reading lags: the first third is left out.
        keep = self.watts[len(self.watts) // 3:] or self.watts
        return statistics.mean(keep), statistics.median(self.clocks)


class Measured:
    def __init__(self, name, fields, seconds, watts, clock):
        self.name, self.fields = name, fields
        self.seconds, self.watts, self.clock = seconds, watts, clock


def measure(torch, function, wanted_seconds):
    """Median time of one call, mean board power and median SM clock."""
    for _ in range(3):
        function()
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        function()
    stream.synchronize()
    calls = 20
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            function()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def replay():
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / calls

    replay()
    sampler = PowerSampler()
    sampler.start()
    times, stop = [], time.monotonic() + wanted_seconds
    while time.monotonic() < stop:
        times.append(replay())
    watts, clock = sampler.stop()
    return statistics.median(times), watts, clock


def run_kernels(wanted_seconds):
    import torch
    device = torch.device("cuda:0")

    def random(*shape):
        return torch.randn(*shape, dtype=torch.float16, device=device)

    results = []

    def add(name, fields, function):
        results.append(Measured(name, fields, *measure(torch, function, wanted_seconds)))
        print(f"{name}: {results[-1].seconds * 1e6:.1f} us, {results[-1].watts:.0f} W",
              file=sys.stderr)

    for m, n, k in GEMMS:
        a, b, out = random(m, k), random(k, n), random(m, n)
        add(f"matmul-{m}x{n}x{k}", {"op": "matmul", "m": m, "n": n, "k": k},
            lambda: torch.matmul(a, b, out=out))
    for batch, cin, cout, height, width, kernel, stride in CONVOLUTIONS:
        layer = torch.nn.Conv2d(cin, cout, kernel, stride, padding=kernel // 2, bias=False)
        layer = layer.to(device, torch.float16, memory_format=torch.channels_last)
        x = random(batch, cin, height * stride, width * stride)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            add(f"conv-{batch}x{cin}x{cout}x{height}x{kernel}",
                {"op": "conv", "batch": batch, "in": cin, "out": cout, "height": height,
                 "width": width, "kernel": kernel, "stride": stride}, lambda: layer(x))
    for rows, length in SOFTMAXES:
        x = random(rows, length)
        add(f"softmax-{rows}x{length}", {"op": "softmax", "rows": rows, "length": length},
            lambda: torch.softmax(x, dim=-1))
    for elements in COPIES:
        x, out = random(elements), random(elements)
        add(f"copy-{elements}", {"op": "copy", "elements": elements}, lambda: out.copy_(x))
    versions = {"pytorch": torch.__version__, "cuda": torch.version.cuda}
    return results, versions


def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', "'") + '"'


def write(path, gpu, results, device):
    """Two groups: times, and board power."""
    lines = [f"# Measured by npu-validate --measure-gpu on {device['date']}.", "groups:"]
    source = ", ".join(f"{key} {value}" for key, value in device.items())
    for kind, metric, unit in (("gpu-kernel", "time of one kernel in a CUDA graph", "s"),
                               ("gpu-kernel-power", "board power while a kernel repeats", "W")):
        what = "time" if unit == "s" else "power"
        lines += [f"- name: measured-{gpu}-{what}", f"  kind: {kind}",
                  f"  title: {quoted('Measured ' + what + ', ' + device['device'])}",
                  f"  metric: {quoted(metric)}", f"  unit: {unit}", "  worth: measured",
                  f"  source: {quoted('npu-validate --measure-gpu: ' + source)}",
                  "  measured: {" + ", ".join(f"{key}: {quoted(value)}"
                                              for key, value in device.items()) + "}",
                  f"  common: {{gpu: {gpu}, precision: fp16}}", "  targets:"]
        for result in results:
            fields = ", ".join(f"{key}: {value}" for key, value in result.fields.items())
            value = result.seconds if unit == "s" else result.watts
            lines.append(f"  - {{id: {result.name}, {fields}, published: {value:.6g}, role: test, "
                         f"note: \"SM clock {result.clock:.0f} MHz\"}}")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--gpu", required=True, help="its file in models/gpu, without .yaml")
    parser.add_argument("--seconds", type=float, default=2, help="for each kernel")
    arguments = parser.parse_args()
    try:
        name, driver, limit, most = smi("name,driver_version,power.limit,clocks.max.sm")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"measure_gpu.py: nvidia-smi finds no GPU ({error})")
    try:
        results, versions = run_kernels(arguments.seconds)
    except ImportError:
        sys.exit("measure_gpu.py: this python3 has no PyTorch")
    device = {"date": datetime.date.today().isoformat(), "device": name, "driver": driver,
              "power_limit_w": limit, "highest_sm_clock_mhz": most, **versions}
    write(arguments.output, arguments.gpu, results, device)


if __name__ == "__main__":
    main()
