//===- TensorLimit.h - How large a tensor may become ------------*- C++ -*-===//
#pragma once

#include <cstddef>
#include <cstdint>

namespace npucc {

/// No network has more dimensions, and loops over pairs of them stay short.
constexpr size_t kMaxRank = 64;
/// What a tensor without elements may have in its other dimensions together: kernels walk them,
/// and hold lists of their length.
constexpr int64_t kMaxEmptyExtent = int64_t(1) << 26;
/// No tensor of a real model comes near; products of such counts and of attributes in their
/// ranges cannot overflow.
constexpr int64_t kMaxElements = int64_t(1) << 44;

/// Bytes beyond which a tensor that a file asks for is an error instead of an allocation.
int64_t maxTensorBytes();
/// For tests that evaluate strangers' graphs within milliseconds.
void setMaxTensorBytes(int64_t bytes);

} // namespace npucc
