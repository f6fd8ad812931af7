//===- Registry.cpp - All lowerings by operator -------------------------------===//

#include "compiler/lowering/Lowering.h"

#include "llvm/ADT/StringMap.h"

namespace npucc::lowering {

const Lowering *findLowering(llvm::StringRef domain, llvm::StringRef op) {
  static const llvm::StringMap<const Lowering *> table = [] {
    llvm::StringMap<const Lowering *> result;
    for (llvm::ArrayRef<Lowering> family :
         {convolutionLowerings(), convTransposeLowerings(), matmulLowerings(), poolingLowerings(),
          unaryLowerings(), binaryLowerings(), reductionLowerings(), normalizationLowerings(),
          viewLowerings(), moveLowerings(), resizeLowerings(), quantizationLowerings()})
      for (const Lowering &entry : family)
        result[(llvm::Twine(entry.domain) + ":" + entry.op).str()] = &entry;
    return result;
  }();
  return table.lookup((domain + ":" + op).str());
}

} // namespace npucc::lowering
