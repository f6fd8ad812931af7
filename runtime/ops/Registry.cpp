//===- Registry.cpp - Finds what is known about an operator -------------------===//

#include "runtime/ops/Registry.h"

#include <algorithm>
#include <vector>

using namespace npucc;
using llvm::StringRef;

namespace {

bool before(const OpInfo *a, StringRef domain, StringRef name) {
  int order = StringRef(a->domain).compare(domain);
  return order < 0 || (order == 0 && StringRef(a->name) < name);
}

/// All entries, sorted; built at the first use, which may come from any thread.
const std::vector<const OpInfo *> &table() {
  static const std::vector<const OpInfo *> sorted = [] {
    std::vector<const OpInfo *> all;
    for (auto family : {convolutionOps, matmulOps, elementwiseOps, reductionOps, normalizationOps,
                        shapeOps, quantizationOps, recurrentOps, controlOps, imageOps})
      for (const OpInfo &info : family())
        all.push_back(&info);
    std::sort(all.begin(), all.end(), [](const OpInfo *a, const OpInfo *b) {
      return before(a, b->domain, b->name);
    });
    return all;
  }();
  return sorted;
}

} // namespace

const OpInfo *npucc::findOp(StringRef domain, StringRef name) {
  const auto &all = table();
  auto it = std::lower_bound(
      all.begin(), all.end(), nullptr,
      [&](const OpInfo *info, std::nullptr_t) { return before(info, domain, name); });
  return it != all.end() && domain == (*it)->domain && name == (*it)->name ? *it : nullptr;
}

llvm::ArrayRef<const OpInfo *> npucc::allOps() { return table(); }
