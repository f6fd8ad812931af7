//===- TensorLimit.cpp - How large a tensor may become ------------------------===//

#include "runtime/tensor/TensorLimit.h"

#include <atomic>

/// 8 GiB: no network needs more in one tensor.
static std::atomic<int64_t> limitBytes{int64_t(8) << 30};

int64_t npucc::maxTensorBytes() { return limitBytes; }
void npucc::setMaxTensorBytes(int64_t bytes) { limitBytes = bytes; }
