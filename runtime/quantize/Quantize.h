//===- Quantize.h - Float graphs to int8 with Q/DQ pairs --------*- C++ -*-===//
//
// Post-training quantization the ONNX way: QuantizeLinear/DequantizeLinear pairs
// around operators that stay as they are. See docs/quantization.md.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <map>
#include <set>

namespace npucc {

struct Range {
  float low, high;
};
using Ranges = std::map<ValueId, Range>;

struct QuantizeOptions {
  /// Measured by calibrate(); values that are missing get `nominal`.
  Ranges ranges;
  /// Good enough where only time and energy are asked for: neither depends on it.
  Range nominal = {-4, 4};
  /// Names of nodes that stay in floating point.
  std::set<std::string> exclude;
  /// Constant expressions (quantised weights and their scales) of up to so many
  /// elements are evaluated; larger ones stay nodes, and cost nothing until their
  /// data is needed.
  int64_t foldLimit = 4096;
};

struct QuantizeReport {
  int64_t macs = 0, quantizedMacs = 0;
  std::vector<std::string> floatNodes; ///< with multiply-accumulates that stay in float
  std::vector<std::pair<std::string, int64_t>> quantizedNodes; ///< and their multiply-accumulates
};

/// How a range comes from the elements that were seen.
enum class RangeMethod {
  MinMax,     ///< covers all
  Percentile, ///< leaves out the most extreme of each 10 000
  MinError,   ///< least mean square error of 8-bit rounding and clipping
};

/// What is known of the float values of a graph after some samples.
class RangeStatistics {
public:
  explicit RangeStatistics(RangeMethod method) : method(method) {}

  /// Evaluates `graph` on samples (each in the order of graph.inputs), on all cores.
  llvm::Error add(const Graph &graph, llvm::ArrayRef<std::vector<Tensor>> samples);
  Ranges ranges() const;

private:
  /// Finite elements by size. Bins are powers of two wide, so that histograms add up exactly.
  struct Histogram {
    float low, high;
    double binWidth = 0;
    std::vector<int64_t> counts; ///< the middle one starts at 0; empty for MinMax
  };
  static Histogram measure(llvm::ArrayRef<float> values, bool count);
  static void coarsen(Histogram &histogram, double binWidth);
  static void merge(Histogram &into, Histogram from);
  Range rangeOf(const Histogram &histogram) const;

  RangeMethod method;
  std::map<ValueId, Histogram> values;
};

/// Ranges of every float value that `graph` computes on the given inputs.
llvm::Expected<Ranges> calibrate(const Graph &graph, llvm::ArrayRef<std::vector<Tensor>> inputs,
                                 RangeMethod method = RangeMethod::MinMax);

/// Turns a prepared float graph into an int8 one, in place:
/// - Conv, ConvTranspose, Gemm and MatMul read uint8 activations (one scale and zero
///   point per tensor) and int8 weights (symmetric; one scale per output channel where
///   the operator has them).
/// - Their biases become int32 with scale (input scale x weight scale): what exporters
///   write and what integer accumulators add. In fp16 and bf16 graphs biases stay float,
///   since that product of scales would underflow.
/// - What follows an operator without another reader (bias, activation) stays between it
///   and the QuantizeLinear: one rounding, on the accumulators' way out.
/// - Add, Mul, pooling, Concat, Resize, Sigmoid and alike between such operators get
///   8-bit inputs and outputs; Softmax, normalisations and what only feeds them or the
///   graph's outputs stay float. Graph outputs nobody else reads are not rounded.
/// Fold BatchNormalization first (FoldBatchNorm.h). Operators that already read
/// DequantizeLinear are left alone. Subgraphs of If and Loop stay float.
llvm::Expected<QuantizeReport> quantizeGraph(Model &model, const QuantizeOptions &options);

} // namespace npucc
