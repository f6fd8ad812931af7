//===- Workload.h - A network as a list of GPU kernels ------------*- C++ -*-===//
//
// Fuses as inference libraries do: elementwise operators, batch normalisation, activations
// and quantisation join the kernel before them; views and concatenations cost nothing;
// attention's score matrix stays on the chip. Quantities that depend on the network's inputs
// are kept for one batch of the graph and scale with the batch.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include <string>
#include <vector>

namespace npucc {

/// groups x (M x K) * (K x N)
struct Contraction {
  double groups = 1, m = 1, n = 1, k = 1;
  bool batchInGroups = false; ///< the batch multiplies `groups`, else `m`
  bool onVector = false;      ///< depthwise: no tensor core is filled
  double steps = 1;           ///< of a recurrent operator, one after the other
  double macs() const { return groups * m * n * k * steps; }
};

struct GpuKernel {
  std::string node, op; ///< the first node's name and operator
  std::vector<Contraction> contractions;
  double vectorOps = 0;                        ///< scalar operations, one batch of the graph
  double activationBytes = 0, weightBytes = 0; ///< read and written; weights do not scale
};

struct GpuWorkload {
  std::vector<GpuKernel> kernels;
  double weightBytes = 0;
  double largestActivationBytes = 0; ///< read and written by one kernel
};

/// `bytesPerElement`: of every float value, weights included.
GpuWorkload makeWorkload(const Graph &graph, double bytesPerElement);

} // namespace npucc
