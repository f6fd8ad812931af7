//===- TensorLimit.h - How large a tensor may become ------------*- C++ -*-===//
#pragma once

#include <cstdint>

namespace npucc {

/// Bytes beyond which a tensor that a file asks for is an error instead of an allocation.
int64_t maxTensorBytes();
/// For tests that evaluate strangers' graphs within milliseconds.
void setMaxTensorBytes(int64_t bytes);

} // namespace npucc
