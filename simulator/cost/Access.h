//===- Access.h - How well an access pattern uses a port ----------*- C++ -*-===//
//
// A scratchpad port delivers whole words. An operand that lies scattered wastes part of
// each word, and this is what makes one data layout faster than another.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Command.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <algorithm>
#include <cstdlib>

namespace npucc::cost {

/// Bytes of one element; half a byte for packed 4-bit types.
inline double elementBytes(ElementType type) {
  unsigned bits = bitWidth(type);
  return bits ? bits / 8.0 : 1.0;
}

/// The dimensions along which an access may run, with the strides of one operand,
/// sorted by stride. Unit extents and broadcasts (stride 0) never end a run.
class AccessDims {
public:
  void add(int64_t extent, int64_t stride) {
    if (extent <= 1 || stride == 0)
      return;
    Entry entry{extent, std::abs(stride)};
    dims.push_back(entry);
    for (size_t i = dims.size() - 1; i > 0 && dims[i].stride < dims[i - 1].stride; --i)
      std::swap(dims[i], dims[i - 1]);
  }

  /// Useful bytes in one word of `word` bytes. Dimensions merge while a stride equals the
  /// bytes already covered; the first gap ends the run, but a dimension whose elements are
  /// less than a word apart (a stride-2 window) still finds several of them in the word.
  double usefulBytes(double element, double word) const {
    double run = element;
    for (const Entry &dim : dims) {
      if (run >= word)
        return word;
      double stride = static_cast<double>(dim.stride);
      if (stride == run) {
        run *= static_cast<double>(dim.extent);
        continue;
      }
      if (stride > run && stride < word) {
        auto fit = static_cast<int64_t>(word / stride);
        run *= static_cast<double>(std::clamp<int64_t>(fit, 1, dim.extent));
      }
      break;
    }
    return std::min(run, word);
  }

  /// Contiguous bytes of one piece, without a word limit.
  int64_t contiguousBytes(int64_t element, int64_t &pieces) const {
    int64_t run = element;
    pieces = 1;
    for (const Entry &dim : dims) {
      if (pieces == 1 && dim.stride == run)
        run *= dim.extent;
      else
        pieces *= dim.extent;
    }
    return run;
  }

private:
  struct Entry {
    int64_t extent, stride;
  };
  llvm::SmallVector<Entry, 8> dims;
};

} // namespace npucc::cost
