//===- Kernel.cpp - Time of one kernel on a GPU ---------------------------===//

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
/// Operands come from shared memory for each step of a tile, (m + n) of them for m * n products:
/// small tiles keep the tensor cores waiting. A tile's rate is 1 / (1 + this * (1/m + 1/n)) of
/// the peak, relative to the largest tile, which `sustained` describes. From fp16 products on an
/// A100 whose tiles do not fill the SMs evenly (8192x1024x1024, 8192x2048x2048; calibration).
constexpr double kTileSide = 12;
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
/// an A100 ends at 28 of 40 MB). A stream longer than all of L2 finds nothing of itself there.
constexpr double kUsableL2 = 0.7;
/// Fraction of the fp32 peak that elementwise and depthwise code reaches.
constexpr double kVectorSustained = 0.5;

/// Rows of a reduction are read three times: for the maximum or mean, the sum, and the result.
constexpr double kRowPasses = 3;
/// Elements that a thread loads at once (16 bytes of fp16), and loads before it waits.
constexpr double kElementsPerThread = 8, kLoadsInFlight = 4;
constexpr double kThreadsPerSm = 2048, kMostRowsPerSm = 16;
/// The halves of L2 hold data that SMs of both sides read twice: of rows that wait for their
/// next pass, half the cache is left.
constexpr double kRowL2 = 0.5;

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

  auto side = [](double m, double n) { return 1 + kTileSide * (1 / m + 1 / n); };
  double sustained = rate.sustained * side(kTiles[0].first, kTiles[0].second) / side(tileM, tileN);
  double mma = tileM * tileN * k / macsPerClock / sustained;
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

/// The best of the tilings, as autotuning or good heuristics find it.
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

struct RowCost {
  double seconds = 0;
  double vectorOps = 0;
  double rereadBytes = 0; ///< from L2, and from DRAM those that it has lost
  double lostBytes = 0;
};

RowCost rowCost(const Gpu &gpu, const RowReduction &r, double rows, double bytes,
                double vectorPerSecond) {
  double sms = double(gpu.sms);
  double threads = std::clamp(upTo(r.length / kElementsPerThread, 32), 32.0, r.mostThreads);
  double residents = std::clamp(std::floor(kThreadsPerSm / threads), 1.0, kMostRowsPerSm);
  RowCost cost;
  cost.vectorOps = rows * r.length * r.opsPerElement;
  // One row: each pass waits for memory, and for the threads to agree.
  double loads = std::ceil(r.length / (threads * kElementsPerThread * kLoadsInFlight));
  double alone = kRowPasses * loads * gpu.dramLatencyS;
  double perSm = std::ceil(rows / sms) * r.length * r.opsPerElement / (vectorPerSecond / sms);
  cost.seconds = std::max(alone, perSm);
  double waiting = std::min(rows, residents * sms) * r.length * bytes;
  double lost = std::max(0.0, 1 - kRowL2 * gpu.l2Bytes / waiting);
  cost.rereadBytes = (kRowPasses - 1) * rows * r.length * bytes;
  cost.lostBytes = cost.rereadBytes * lost;
  return cost;
}

} // namespace

// Operations: exponentials take some 20 instructions in the two passes that need them. From
// softmax of long rows on an A100, which its lanes bound (LLMCompass figure 5c; calibration).
RowReduction softmaxRows(double rows, double length) { return {rows, length, 37, 1024}; }
// PyTorch's kernels give a row four warps.
RowReduction normRows(double rows, double length) { return {rows, length, 12, 128}; }

double bytesOf(StringRef precision) {
  if (precision == "int4")
    return 0.5;
  if (precision == "int8" || precision == "fp8")
    return 1;
  return precision == "fp16" || precision == "bf16" ? 2 : 4;
}

KernelCost kernelCost(const Gpu &gpu, const GpuKernel &kernel, double scale, StringRef precision,
                      double clockRatio, Launch launch) {
  const Gpu::Rate &rate = gpu.rates.find(precision.str())->second;
  const Gpu::Rate &fp32 = gpu.rates.find("fp32")->second;
  double bytes = bytesOf(precision), clock = gpu.clockHz * clockRatio;
  double vectorPerSecond = fp32.opsPerSecond * kVectorSustained * clockRatio;
  double l2PerSecond = gpu.l2BytesPerSecond * clockRatio;
  double dramPerSecond = gpu.dramBytesPerSecond * gpu.dramSustained;

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
    cost.reluOps += c.afterRelu ? ops : 0;
    steps = std::max(steps, c.steps);
  }
  // Vector work of a kernel with a matrix product runs in its epilogue, beside other tiles.
  compute = std::max(compute, cost.vectorOps / vectorPerSecond);
  // Between attention's products the same warps work on scores.
  compute += kernel.scoreOps * scale / vectorPerSecond;
  cost.vectorOps += kernel.scoreOps * scale;
  double reread = 0;
  for (const RowReduction &r : kernel.reductions) {
    RowCost rows = rowCost(gpu, r, r.rows * scale, bytes, vectorPerSecond);
    compute += rows.seconds;
    cost.vectorOps += rows.vectorOps;
    reread += rows.rereadBytes;
    cost.dramBytes += rows.lostBytes;
  }

  double activations = kernel.activationBytes * scale;
  double all = activations + kernel.weightBytes, l2 = kUsableL2 * gpu.l2Bytes;
  double missing = std::clamp((all - l2) / (gpu.l2Bytes - l2), 0.0, 1.0);
  cost.dramBytes += kernel.weightBytes + activations * missing;
  cost.l2Bytes += all + reread;
  double memory = std::max(cost.dramBytes / dramPerSecond, (all + reread) / l2PerSecond);
  double seconds = std::max(compute, memory);
  // Libraries' largest tiles have an SM to themselves: it writes one before it begins the next.
  // An engine takes another kernel where that costs more than it gains.
  if (launch == Launch::Framework && cost.tensorOps > 0) {
    double written = kernel.writtenBytes * scale;
    double writing = std::max(written / l2PerSecond, written * missing / dramPerSecond);
    double reading = std::max((cost.dramBytes - written * missing) / dramPerSecond,
                              (all - written) / l2PerSecond);
    seconds = std::max(compute, reading) + writing;
  }
  // Filling the pipeline takes a round trip to memory, and so does draining it.
  double overhead = steps * gpu.kernelOverheadS + 2 * gpu.dramLatencyS;
  if (cost.tensorOps > 0)
    overhead += kMatrixKernelCycles / clock;
  cost.seconds = seconds + overhead;
  return cost;
}

} // namespace npucc
