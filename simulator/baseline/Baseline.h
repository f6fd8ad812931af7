//===- Baseline.h - What a GPU would take for the same network ----*- C++ -*-===//
//
// GPUs are described by models/gpu/*.yaml and modelled operator by operator: a roofline with
// tile quantization, caches, launch overhead and a power limit. Nothing is fitted to a
// particular network. docs/gpu-baselines.md has the model and how far it is off.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Technology.h"
#include "runtime/onnx/Graph.h"

#include "llvm/Support/Error.h"

#include <map>
#include <string>
#include <vector>

namespace npucc {

/// A number with the interval it is believed to lie in.
struct Ratio {
  double nominal = 0, low = 0, high = 0;
};

/// Fixed-function accelerators beside the GPU on the same chip and memory (Orin's DLAs). They
/// run convolutional networks in int8, independently of the GPU.
struct Dla {
  int64_t count = 0;
  double opsPerSecond = 0, sustained = 0; ///< of one
  double bytesPerSecond = 0;              ///< its share of DRAM bandwidth
  double channels = 0;                    ///< inputs and outputs that it takes at a time
  Constant energyPj;                      ///< of an operation
};

struct Gpu {
  std::string name, title, source;
  double nodeNm = 0, tdpW = 0, idleW = 0, clockHz = 0;
  int64_t sms = 0;
  double memoryBytes = 0, dramBytesPerSecond = 0, l2Bytes = 0, l2BytesPerSecond = 0;
  double sharedBytesPerClock = 128; ///< of one SM
  double dramSustained = 0;         ///< fraction of the peak that streaming reaches
  double clusterTiles = 1;          ///< SMs that share an operand tile by multicast
  double kernelOverheadS = 0;       ///< back-to-back kernels of a CUDA graph
  double dramLatencyS = 0;
  double hostLinkBytesPerSecond = 0; ///< to what does not fit into memory: PCIe, or storage
  /// By precision ("fp32", "tf32", "fp16", "bf16", "fp8", "int8", "int4"): dense peak, the
  /// fraction of it that the best matrix multiplications reach, and energy per operation.
  struct Rate {
    double opsPerSecond = 0, sustained = 0;
    Constant energyPj;
  };
  std::map<std::string, Rate> rates;
  Constant dramPjPerByte, l2PjPerByte;
  Constant activeW;     ///< beyond idle, as long as kernels run; falls with the clock
  Constant scopeFactor; ///< chip and DRAM's part of board power
  Dla dla;              ///< count 0: none
};

llvm::Expected<Gpu> loadGpu(llvm::StringRef name);
std::vector<std::string> listGpus();

/// A GPU to compare with: NAME[@precision][@batch].
struct BaselineRequest {
  std::string name;
  std::string precision; ///< "": by the rule
  int64_t batch = 0;     ///< best-throughput only; 0: search
};
/// Splits a comma-separated --baseline list; "none" is the empty list. Errors name what is
/// wrong and the names there are.
llvm::Expected<std::vector<BaselineRequest>> parseBaselines(llvm::StringRef list);
/// The GPUs that a run is compared with when nothing is said.
std::string defaultBaselines();

/// One run of the network on a GPU.
struct GpuRun {
  int64_t batch = 1, kernels = 0;
  double latencyS = 0;
  double boardEnergyJ = 0, boardEnergyLowJ = 0, boardEnergyHighJ = 0;
  double clockRatio = 1;      ///< below 1: the power limit slows the clock down
  double streamedBytes = 0;   ///< that do not fit into memory and come over the host link
  double besidePerSecond = 0; ///< inferences of the DLAs at the same time
  double inferencesPerSecond() const {
    return static_cast<double>(batch) / latencyS + besidePerSecond;
  }
  double boardPowerW() const { return boardEnergyJ / latencyS; }
};

/// The graph must be static (prepare()); `graphBatch` is the batch that it was bound with.
/// Other batches scale every value that depends on the inputs.
GpuRun runOnGpu(const Gpu &gpu, const Graph &graph, int64_t graphBatch, int64_t batch,
                llvm::StringRef precision);
/// The batch with the highest throughput among powers of two that fit into memory.
GpuRun bestOnGpu(const Gpu &gpu, const Graph &graph, int64_t graphBatch, llvm::StringRef precision);

/// The fastest precision of the GPU at no lower accuracy than `precision` (as in the report).
std::string matchPrecision(const Gpu &gpu, llvm::StringRef precision);

/// A row of the report's `baselines`. Energy at the NPU's scope, chip and DRAM.
struct BaselineRow {
  std::string name, title, rule, precision, accuracyMatch;
  std::string energyScope = "chip+dram";
  int64_t batch = 1;
  double nodeNm = 0, latencyS = 0, inferencesPerSecond = 0;
  double energyJ = 0; ///< of one run of `batch`
  double clockRatio = 1;
  double streamedBytes = 0; ///< of one run: memory is too small for the network
  Ratio speedup, efficiencyGain;
  /// What the energy was computed with: name ("energy per int8 operation") and constant.
  std::vector<std::pair<std::string, Constant>> constants;
  Ratio efficiencyGainSameNode; ///< the GPU's energy brought to the NPU's node
};

/// What the NPU achieved, to compare with.
struct NpuFigures {
  int64_t batch = 1;
  double latencyS = 0, energyJ = 0, nodeNm = 0;
  std::vector<double> energySamplesJ; ///< kSamples of models/energy/Samples.h
  std::string precision;
};

/// Two rows a GPU: same-batch, then best-throughput.
llvm::Expected<std::vector<BaselineRow>> compareWithGpus(llvm::ArrayRef<BaselineRequest> requests,
                                                         const Graph &graph, const NpuFigures &npu);

} // namespace npucc
