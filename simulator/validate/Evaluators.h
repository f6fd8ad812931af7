//===- Evaluators.h - The functions behind the kinds --------------*- C++ -*-===//
//
// Each is described where it is defined, with the fields that it reads.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/baseline/Roofline.h"
#include "simulator/validate/Kinds.h"

namespace npucc {

llvm::Expected<Figure> gpuKernel(Fields &fields, Networks &networks);
llvm::Expected<Figure> gpuKernelPower(Fields &fields, Networks &networks);
llvm::Expected<Figure> gpuNetwork(Fields &fields, Networks &networks);
llvm::Expected<Figure> gpuLlm(Fields &fields, Networks &networks);
llvm::Expected<Figure> gpuPower(Fields &fields, Networks &networks);
llvm::Expected<Figure> systemPower(Fields &fields, Networks &networks);
llvm::Expected<Figure> energyLibraryRow(Fields &fields, Networks &networks);
llvm::Expected<std::vector<Target>> energyLibrarySet(llvm::StringRef name);
llvm::Expected<Figure> dramStream(Fields &fields, Networks &networks);
llvm::Expected<Figure> dramEnergy(Fields &fields, Networks &networks);
llvm::Expected<Figure> matrixCommands(Fields &fields, Networks &networks);
llvm::Expected<Figure> convolutionBusy(Fields &fields, Networks &networks);
llvm::Expected<Figure> machineFigure(Fields &fields, Networks &networks);

/// What the kinds about networks on GPUs have in common: gpu, count (of GPUs; 1), precision,
/// network, dims (of symbolic dimensions), and where lengths vary `length_dim` and `lengths`, a
/// list of [size, how many samples have it].
struct NetworkFields {
  std::string gpu, precision, network, lengthDim;
  int64_t count = 1;
  std::map<std::string, int64_t> dims;
  std::vector<std::pair<int64_t, double>> lengths;

  void read(Fields &fields);
};

/// The same network at one length, and the share of samples that have it.
struct WeightedWorkload {
  GpuWorkload workload;
  double share = 1;
};
llvm::Expected<std::vector<WeightedWorkload>> workloads(const NetworkFields &fields,
                                                        Networks &networks);
/// The GPU, when it has the precision.
llvm::Expected<Gpu> gpuWith(const std::string &name, const std::string &precision);

/// One sample after the other, batches as large as pays.
struct Throughput {
  double samplesPerSecond = 0, boardPowerW = 0;
  int64_t batch = 0; ///< of the most frequent length
};
Throughput offlineThroughput(const Gpu &gpu, llvm::ArrayRef<WeightedWorkload> workloads,
                             const std::string &precision, double highestClock);

} // namespace npucc
