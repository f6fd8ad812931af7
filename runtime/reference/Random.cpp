//===- Random.cpp - Seeded random tensors ---------------------------------===//
//
// Integer arithmetic only, so that the bytes depend on no maths library and no
// floating-point option of the compiler.
//
//===----------------------------------------------------------------------===//

#include "runtime/reference/Reference.h"

using namespace npucc;

namespace {

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
/// OOPSLA 2014).
struct SplitMix {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
};

/// The sum of twelve uniforms less 6: mean 0, variance 1, within 6 deviations. In
/// units of 2^-32 and exact.
double normal(SplitMix &random) {
  int64_t sum = 0;
  for (int i = 0; i < 6; ++i) {
    uint64_t bits = random.next();
    sum += static_cast<int64_t>((bits >> 32) + (bits & 0xffffffff));
  }
  // Each uniform is (k + 1/2) 2^-32, hence the 6.
  return static_cast<double>(sum - (int64_t(6) << 32) + 6) * 0x1p-32;
}

} // namespace

Tensor npucc::randomTensor(ElementType type, llvm::ArrayRef<int64_t> shape, uint64_t seed) {
  SplitMix random{seed};
  random.state = random.next(); // neighbouring seeds must not share a sequence
  if (isFloat(type)) {
    Tensor wide = Tensor::zeros(ElementType::Float32, shape);
    for (float &value : wide.mutableValues<float>())
      value = static_cast<float>(normal(random));
    return castTensor(wide, type);
  }
  Tensor wide = Tensor::zeros(ElementType::Int64, shape);
  for (int64_t &value : wide.mutableValues<int64_t>()) {
    uint64_t bits = random.next() >> 32;
    if (type == ElementType::Bool)
      value = static_cast<int64_t>(bits & 1);
    else if (bitWidth(type) <= 8) // casts wrap, so that signed types get their range too
      value = static_cast<int64_t>(bits & ((uint64_t(1) << bitWidth(type)) - 1));
    else
      value = static_cast<int64_t>(bits % 10);
  }
  return castTensor(wide, type);
}
