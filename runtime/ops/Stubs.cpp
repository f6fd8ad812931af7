#include "runtime/ops/Families.h"
namespace npucc::ops {
llvm::ArrayRef<OpInfo> attentionOps() { return {}; }
llvm::ArrayRef<OpInfo> microsoftQuantizedOps() { return {}; }
} // namespace npucc::ops
