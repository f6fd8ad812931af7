//===- Roofline.cpp - A network's time and board energy on a GPU ----------===//

#include "simulator/baseline/Roofline.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

/// Energy per operation goes with voltage squared; near the top of its range, voltage goes a
/// little slower than the clock.
constexpr double kClockEnergyExponent = 1.5;
/// Multipliers that meet zeros do not switch: energy of an operation after ReLU, over that of one
/// on random data. Fitted to the wall power of eight A100 PCIe on ResNet-50 beside BERT (MLPerf
/// Inference v1.1 to v3.0, MaxQ). An H200 on zeros alone runs 13 % faster within its limit.
constexpr double kReluEnergy = 0.62;
constexpr double kLowestClock = 0.25;
/// Memory that the network may have; the rest belongs to the driver and to workspaces.
constexpr double kUsableMemory = 0.9;

KernelCost totals(const Gpu &gpu, const GpuWorkload &workload, double scale, StringRef precision,
                  double clockRatio, Launch launch) {
  KernelCost sum;
  for (const GpuKernel &kernel : workload.kernels)
    sum += kernelCost(gpu, kernel, scale, precision, clockRatio, launch);
  // What memory cannot hold comes over the host link while kernels run.
  double streamed = streamedBytes(gpu, workload, scale);
  sum.seconds = std::max(sum.seconds, streamed / gpu.hostLinkBytesPerSecond);
  sum.dramBytes += streamed;
  return sum;
}

double at(const Constant &c, int end) { return end < 0 ? c.low : end > 0 ? c.high : c.value; }

/// Inferences a second of one DLA: it keeps nothing between layers.
double dlaPerSecond(const Dla &dla, const GpuWorkload &workload, int64_t graphBatch) {
  auto padded = [&](double size) { return std::ceil(size / dla.channels) * dla.channels; };
  double seconds = 0;
  for (const GpuKernel &kernel : workload.kernels) {
    double macs = 0;
    for (const Contraction &c : kernel.contractions)
      macs += c.groups * c.m * padded(c.n) * padded(c.k) * c.steps;
    double bytes = kernel.activationBytes + kernel.weightBytes;
    seconds += std::max(2 * macs / (dla.opsPerSecond * dla.sustained), bytes / dla.bytesPerSecond);
  }
  return double(std::max<int64_t>(graphBatch, 1)) / seconds;
}

} // namespace

KernelCost &KernelCost::operator+=(const KernelCost &other) {
  seconds += other.seconds;
  tensorOps += other.tensorOps;
  vectorOps += other.vectorOps;
  reluOps += other.reluOps;
  dramBytes += other.dramBytes;
  l2Bytes += other.l2Bytes;
  return *this;
}

double boardEnergyJ(const Gpu &gpu, const KernelCost &run, StringRef precision, double clockRatio,
                    int end) {
  constexpr double kPico = 1e-12;
  double dvfs = std::pow(clockRatio, kClockEnergyExponent);
  const Gpu::Rate &rate = gpu.rates.find(precision.str())->second;
  const Gpu::Rate &fp32 = gpu.rates.find("fp32")->second;
  double tensorOps = run.tensorOps - (1 - kReluEnergy) * run.reluOps;
  double dynamic = (tensorOps * at(rate.energyPj, end) + run.vectorOps * at(fp32.energyPj, end) +
                    run.l2Bytes * at(gpu.l2PjPerByte, end)) *
                       kPico * dvfs +
                   run.dramBytes * at(gpu.dramPjPerByte, end) * kPico;
  double active = at(gpu.activeW, end) * clockRatio * dvfs;
  // The board never draws more than its limit.
  return std::min(dynamic + run.seconds * (gpu.idleW + active), run.seconds * gpu.tdpW);
}

double streamedBytes(const Gpu &gpu, const GpuWorkload &workload, double scale) {
  // Values that live across several kernels: twice the largest kernel's.
  double needed =
      workload.weightBytes + scale * (workload.boundaryBytes + 2 * workload.largestActivationBytes);
  return std::max(0.0, needed - kUsableMemory * gpu.memoryBytes);
}

GpuRun runWorkload(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch, int64_t batch,
                   StringRef precision, Launch launch, double highestClock) {
  GpuRun run;
  run.batch = batch;
  run.kernels = static_cast<int64_t>(workload.kernels.size());
  double scale = double(batch) / double(std::max<int64_t>(graphBatch, 1));
  auto overLimit = [&](double ratio, KernelCost &sum) {
    sum = totals(gpu, workload, scale, precision, ratio, launch);
    // boardEnergyJ() is capped: at the limit means at or over it.
    return boardEnergyJ(gpu, sum, precision, ratio, 0) >= sum.seconds * gpu.tdpW;
  };
  KernelCost sum;
  double ratio = highestClock;
  if (overLimit(ratio, sum)) {
    double low = std::min(kLowestClock, highestClock), high = highestClock;
    for (int step = 0; step < 12; ++step) {
      double middle = (low + high) / 2;
      (overLimit(middle, sum) ? high : low) = middle;
    }
    ratio = low;
    sum = totals(gpu, workload, scale, precision, ratio, launch);
  }
  run.clockRatio = ratio;
  run.latencyS = std::max(sum.seconds, 1e-9);
  run.boardEnergyJ = boardEnergyJ(gpu, sum, precision, ratio, 0);
  run.boardEnergyLowJ = boardEnergyJ(gpu, sum, precision, ratio, -1);
  run.boardEnergyHighJ = boardEnergyJ(gpu, sum, precision, ratio, +1);
  run.streamedBytes = streamedBytes(gpu, workload, scale);
  return run;
}

void addDlas(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch, StringRef precision,
             GpuRun &run) {
  if (gpu.dla.count == 0 || precision != "int8")
    return;
  double ops = 0;
  for (const GpuKernel &kernel : workload.kernels)
    for (const Contraction &c : kernel.contractions) {
      ops += 2 * c.macs();
      if (c.batchInGroups || c.steps > 1) // attention and recurrence: not a DLA's
        return;
    }
  ops /= double(std::max<int64_t>(graphBatch, 1));
  double each = dlaPerSecond(gpu.dla, workload, graphBatch) * run.clockRatio;
  run.besidePerSecond = double(gpu.dla.count) * each;
  double inferences = run.besidePerSecond * run.latencyS;
  double bytes = 0;
  for (const GpuKernel &kernel : workload.kernels)
    bytes += kernel.activationBytes + kernel.weightBytes;
  auto more = [&](int end) {
    return inferences * (ops * at(gpu.dla.energyPj, end) + bytes * at(gpu.dramPjPerByte, end)) *
           1e-12;
  };
  // The whole module keeps to one limit.
  double most = gpu.tdpW * run.latencyS;
  run.boardEnergyJ = std::min(most, run.boardEnergyJ + more(0));
  run.boardEnergyLowJ = std::min(most, run.boardEnergyLowJ + more(-1));
  run.boardEnergyHighJ = std::min(most, run.boardEnergyHighJ + more(+1));
}

} // namespace npucc
