//===- Registry.cpp - All lowerings by operator -------------------------------===//

#include "compiler/lowering/Lowering.h"

#include "llvm/ADT/StringMap.h"

namespace npucc::lowering {

llvm::ArrayRef<const Lowering *> allLowerings() {
  static const std::vector<const Lowering *> entries = [] {
    std::vector<const Lowering *> result;
    for (llvm::ArrayRef<Lowering> family :
         {convolutionLowerings(), convTransposeLowerings(), matmulLowerings(), poolingLowerings(),
          unaryLowerings(), binaryLowerings(), reductionLowerings(), normalizationLowerings(),
          viewLowerings(), moveLowerings(), resizeLowerings(), quantizationLowerings(),
          recurrentLowerings()})
      for (const Lowering &entry : family)
        result.push_back(&entry);
    return result;
  }();
  return entries;
}

const Lowering *findLowering(llvm::StringRef domain, llvm::StringRef op) {
  static const llvm::StringMap<const Lowering *> table = [] {
    llvm::StringMap<const Lowering *> result;
    for (const Lowering *entry : allLowerings())
      result[(llvm::Twine(entry->domain) + ":" + entry->op).str()] = entry;
    return result;
  }();
  return table.lookup((domain + ":" + op).str());
}

} // namespace npucc::lowering
