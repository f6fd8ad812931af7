#include "runtime/ops/Families.h"
namespace npucc::ops {
llvm::ArrayRef<OpInfo> einsumOps() { return {}; }
llvm::ArrayRef<OpInfo> attentionOps() { return {}; }
llvm::ArrayRef<OpInfo> microsoftQuantizedOps() { return {}; }
llvm::ArrayRef<OpInfo> samplingOps() { return {}; }
llvm::ArrayRef<OpInfo> detectionOps() { return {}; }
llvm::ArrayRef<OpInfo> signalOps() { return {}; }
} // namespace npucc::ops
