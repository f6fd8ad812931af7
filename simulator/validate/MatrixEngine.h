//===- MatrixEngine.h - Commands of a target on an array ----------*- C++ -*-===//
#pragma once

#include "runtime/program/Command.h"
#include "simulator/validate/Kinds.h"

namespace npucc {

/// A weight-stationary array for int8 and the commands that it runs, one after the other.
struct MatrixSeries {
  int64_t rows = 0, cols = 0, loadBytes = 0, outElements = 0;
  bool shadow = true;
  /// out[m x n] (+)= a[m x k] b[k x n]; `emits`: through the output stage at its end.
  struct Command {
    int64_t m, n, k;
    bool clears, emits;
  };
  std::vector<Command> commands;
};

llvm::Expected<MatrixSeries> readMatrixSeries(Fields &fields);

/// height x width outputs of `out` channels, from `in` channels under a window; int8, stride 1.
struct ConvolutionShape {
  int64_t height = 1, width = 1, out = 1, in = 1, kernelHeight = 1, kernelWidth = 1;
  double macs() const {
    return double(height) * double(width) * double(out) * double(in) * double(kernelHeight) *
           double(kernelWidth);
  }
};
/// The fields height, width, out, in, kernel.
void readConvolution(Fields &fields, ConvolutionShape &shape);
MatrixCommand convolutionCommand(const ConvolutionShape &shape);

} // namespace npucc
