//===- Roofline.cpp - Time and energy of kernels on a GPU -----------------===//

#include "simulator/baseline/Roofline.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

/// Output tiles that libraries (CUTLASS, cuDNN) offer.
constexpr std::pair<double, double> kTiles[] = {{256, 128}, {128, 256}, {128, 128}, {128, 64},
                                                {64, 128},  {64, 64},   {64, 32},   {32, 64},
                                                {32, 32},   {16, 64},   {64, 16}};
constexpr double kSplits[] = {1, 2, 3, 4, 6, 8, 12, 16};
/// Accumulators of this many elements fill an SM's registers; smaller tiles share an SM.
constexpr double kElementsPerSm = 128 * 128;
constexpr double kMostTilesPerSm = 4;
/// A tensor core takes 32 bytes of K at a time. Two such steps make 64 bytes; one after the
/// other takes some 33 cycles on Ampere (W. Sun et al., "Dissecting Tensor Cores via
/// Microbenchmarks", TPDS 2023).
constexpr double kKStepBytes = 64, kKStepCycles = 66;
/// What a kernel with a matrix product takes beyond its roofline, in cycles: set-up, the way
/// from memory to the first product, and the epilogue. 5 us of an A100: its measured fp16
/// products of 8192x64x64 and 8192x256x256 take 6 and 7 us longer than the roofline, after the
/// framework's 21 us are taken off (github.com/PrincetonUniversity/LLMCompass, figure 5b).
constexpr double kMatrixKernelCycles = 7000;
/// Part of L2 that holds what the last kernel wrote: the far half is reached through the near
/// one, and the next kernel streams through the same cache (RRZE gpu-l2-cache: the plateau of
/// an A100 ends at 28 of 40 MB).
constexpr double kUsableL2 = 0.7;
/// Fraction of the fp32 peak that elementwise and depthwise code reaches.
constexpr double kVectorSustained = 0.5;
/// Energy per operation goes with voltage squared; near the top of its range, voltage goes a
/// little slower than the clock.
constexpr double kClockEnergyExponent = 1.5;

double upTo(double value, double multiple) { return std::ceil(value / multiple) * multiple; }

struct TileCost {
  double seconds = 0, l2Bytes = 0;
};

TileCost tileCost(const Gpu &gpu, const Contraction &c, double groups, double m,
                  const Gpu::Rate &rate, double bytes, double clock, double tileM, double tileN,
                  double split) {
  double sms = double(gpu.sms);
  double macsPerClock = rate.opsPerSecond / 2 / sms / gpu.clockHz;
  double k = upTo(std::ceil(c.k / split), kKStepBytes / bytes);
  double tiles = std::ceil(m / tileM) * std::ceil(c.n / tileN) * groups * split;
  double perSm = std::ceil(tiles / sms);
  double residents = std::clamp(kElementsPerSm / (tileM * tileN), 1.0, kMostTilesPerSm);

  double mma = tileM * tileN * k / macsPerClock / rate.sustained;
  double shared = (tileM + tileN) * k * bytes / gpu.sharedBytesPerClock;
  double latency = k * bytes / kKStepBytes * kKStepCycles;
  double cycles = std::max(perSm * std::max(mma, shared), std::ceil(perSm / residents) * latency);

  TileCost cost;
  // Blocks of a cluster read one of their operands once for all of them.
  double reuse = (1 + 1 / gpu.clusterTiles) / 2;
  cost.l2Bytes = tiles * k * (tileM + tileN) * bytes * reuse;
  if (split > 1)
    cost.l2Bytes += 2 * split * groups * m * c.n * 4; // partial sums in fp32, out and back
  cost.seconds =
      std::max(cycles / clock, cost.l2Bytes / (gpu.l2BytesPerSecond * clock / gpu.clockHz));
  // A second kernel adds up the parts.
  if (split > 1)
    cost.seconds += gpu.kernelOverheadS;
  return cost;
}

/// The best of the tilings, as autotuning finds it.
TileCost contractionCost(const Gpu &gpu, const Contraction &c, double scale, const Gpu::Rate &rate,
                         double bytes, double clock) {
  double groups = c.groups * (c.batchInGroups ? scale : 1);
  double m = c.m * (c.batchInGroups ? 1 : scale);
  TileCost best;
  best.seconds = HUGE_VAL;
  for (auto [tileM, tileN] : kTiles)
    for (double split : kSplits) {
      if (split > 1 && c.k * bytes / split < kKStepBytes)
        continue;
      TileCost cost = tileCost(gpu, c, groups, m, rate, bytes, clock, tileM, tileN, split);
      if (cost.seconds < best.seconds)
        best = cost;
    }
  return best;
}

struct Totals {
  double seconds = 0, tensorOps = 0, vectorOps = 0, dramBytes = 0, l2Bytes = 0;
};

Totals totals(const Gpu &gpu, const GpuWorkload &workload, double scale, StringRef precision,
              double clockRatio) {
  Totals sum;
  for (const GpuKernel &kernel : workload.kernels) {
    KernelCost cost = kernelCost(gpu, kernel, scale, precision, clockRatio);
    sum.seconds += cost.seconds;
    sum.tensorOps += cost.tensorOps;
    sum.vectorOps += cost.vectorOps;
    sum.dramBytes += cost.dramBytes;
    sum.l2Bytes += cost.l2Bytes;
  }
  return sum;
}

/// Board energy with every constant at its value (0), low (-1) or high (+1) end.
double boardEnergy(const Gpu &gpu, const Totals &run, StringRef precision, double clockRatio,
                   int end) {
  auto at = [&](const Constant &c) { return end < 0 ? c.low : end > 0 ? c.high : c.value; };
  constexpr double kPico = 1e-12;
  double dvfs = std::pow(clockRatio, kClockEnergyExponent);
  const Gpu::Rate &rate = gpu.rates.find(precision.str())->second;
  const Gpu::Rate &fp32 = gpu.rates.find("fp32")->second;
  double dynamic = (run.tensorOps * at(rate.energyPj) + run.vectorOps * at(fp32.energyPj) +
                    run.l2Bytes * at(gpu.l2PjPerByte)) *
                       kPico * dvfs +
                   run.dramBytes * at(gpu.dramPjPerByte) * kPico;
  double board = dynamic + run.seconds * (gpu.idleW + at(gpu.activeW));
  // The board never draws more than its limit.
  return std::min(board, run.seconds * gpu.tdpW);
}

} // namespace

double bytesOf(StringRef precision) {
  if (precision == "int4")
    return 0.5;
  if (precision == "int8" || precision == "fp8")
    return 1;
  return precision == "fp16" || precision == "bf16" ? 2 : 4;
}

KernelCost kernelCost(const Gpu &gpu, const GpuKernel &kernel, double scale, StringRef precision,
                      double clockRatio) {
  const Gpu::Rate &rate = gpu.rates.find(precision.str())->second;
  const Gpu::Rate &fp32 = gpu.rates.find("fp32")->second;
  double bytes = bytesOf(precision), clock = gpu.clockHz * clockRatio;
  double vectorPerSecond = fp32.opsPerSecond * kVectorSustained * clockRatio;

  KernelCost cost;
  double compute = 0, steps = 1;
  cost.vectorOps = kernel.vectorOps * scale;
  for (const Contraction &c : kernel.contractions) {
    double ops = 2 * c.macs() * scale;
    if (c.onVector) {
      cost.vectorOps += ops;
      continue;
    }
    TileCost tiles = contractionCost(gpu, c, scale, rate, bytes, clock);
    compute += tiles.seconds * c.steps;
    cost.l2Bytes += tiles.l2Bytes * c.steps;
    cost.tensorOps += ops;
    steps = std::max(steps, c.steps);
  }
  // Vector work of a kernel with a matrix product runs in its epilogue, beside other tiles.
  compute = std::max(compute, cost.vectorOps / vectorPerSecond);

  double activations = kernel.activationBytes * scale;
  double all = activations + kernel.weightBytes, l2 = kUsableL2 * gpu.l2Bytes;
  double missing = all > l2 ? (all - l2) / all : 0;
  cost.dramBytes = kernel.weightBytes + activations * missing;
  cost.l2Bytes += all;
  double memory = std::max(cost.dramBytes / (gpu.dramBytesPerSecond * gpu.dramSustained),
                           all / (gpu.l2BytesPerSecond * clockRatio));
  // Filling the pipeline takes a round trip to memory, and so does draining it.
  double overhead = steps * gpu.kernelOverheadS + 2 * gpu.dramLatencyS;
  if (cost.tensorOps > 0)
    overhead += kMatrixKernelCycles / clock;
  cost.seconds = std::max(compute, memory) + overhead;
  return cost;
}

GpuRun runWorkload(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch, int64_t batch,
                   StringRef precision) {
  GpuRun run;
  run.batch = batch;
  run.kernels = static_cast<int64_t>(workload.kernels.size());
  double scale = double(batch) / double(std::max<int64_t>(graphBatch, 1));
  constexpr double kLowestClock = 0.25;
  auto overLimit = [&](double ratio, Totals &sum) {
    sum = totals(gpu, workload, scale, precision, ratio);
    // boardEnergy() is capped: at the limit means at or over it.
    return boardEnergy(gpu, sum, precision, ratio, 0) >= sum.seconds * gpu.tdpW;
  };
  Totals sum;
  double ratio = 1;
  if (overLimit(1, sum)) {
    double low = kLowestClock, high = 1;
    for (int step = 0; step < 12; ++step) {
      double middle = (low + high) / 2;
      (overLimit(middle, sum) ? high : low) = middle;
    }
    ratio = low;
    sum = totals(gpu, workload, scale, precision, ratio);
  }
  run.clockRatio = ratio;
  run.latencyS = std::max(sum.seconds, 1e-9);
  run.boardEnergyJ = boardEnergy(gpu, sum, precision, ratio, 0);
  run.boardEnergyLowJ = boardEnergy(gpu, sum, precision, ratio, -1);
  run.boardEnergyHighJ = boardEnergy(gpu, sum, precision, ratio, +1);
  return run;
}

} // namespace npucc
