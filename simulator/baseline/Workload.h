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
  bool afterRelu = false;     ///< about half of its inputs are zeros
  double steps = 1;           ///< of a recurrent operator, one after the other
  double macs() const { return groups * m * n * k * steps; }
};

/// Rows that are reduced and read again: softmax, layer norm.
struct RowReduction {
  double rows = 0, length = 0;
  double opsPerElement = 0;
  double mostThreads = 0; ///< that share a row
};
RowReduction softmaxRows(double rows, double length);
RowReduction normRows(double rows, double length);

struct GpuKernel {
  std::string node, op; ///< the first node's name and operator
  std::vector<Contraction> contractions;
  std::vector<RowReduction> reductions;
  double vectorOps = 0;                        ///< scalar operations, one batch of the graph
  double scoreOps = 0;                         ///< those between the two products of attention
  double activationBytes = 0, weightBytes = 0; ///< read and written; weights do not scale
  double writtenBytes = 0;                     ///< the part of activationBytes that is written
};

struct GpuWorkload {
  std::vector<GpuKernel> kernels;
  double weightBytes = 0;
  double largestActivationBytes = 0; ///< read and written by one kernel
  double boundaryBytes = 0;          ///< inputs or outputs of the graph: key-value caches, say
};

/// `bytesPerElement`: of every float value, weights included.
GpuWorkload makeWorkload(const Graph &graph, double bytesPerElement);

} // namespace npucc
