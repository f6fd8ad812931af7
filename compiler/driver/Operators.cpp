//===- Operators.cpp - The table of operators: docs/operators.md ----------===//

#include "compiler/driver/Driver.h"
#include "compiler/lowering/Lowering.h"
#include "runtime/ops/Registry.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using llvm::StringRef;

namespace npucc {
namespace {

const char kIntroduction[] = R"(# Operators

Written by `npucc --list-operators`; a test compares the two.

Operators are listed in their newest form: *since* is the ONNX version in which that appeared, and older files
are brought up to date when they are loaded. `com.microsoft` is ONNX Runtime's domain, whose versions do not count
with ONNX's.

- **shape**: types and shapes of the results are inferred. Dimensions that depend on data stay open until it is known.
- **kernel**: how the reference evaluates it, which is also what the control core runs. *graph*: it holds graphs, whose
  nodes are evaluated in turn.
- **runs on**: *NPU*: there is a lowering, which may refuse a form; `npucc` says so, and that node runs on the host.
  *host*: always on the control core, or not at all where everything it needs is known at compile time.

)";

} // namespace

ExitStatus listOperatorsTo(llvm::raw_ostream &out) {
  llvm::ArrayRef<const OpInfo *> all = allOps();
  auto onNpu = [](const OpInfo *op) { return lowering::findLowering(op->domain, op->name); };
  out << kIntroduction
      << llvm::formatv("{0} operators, {1} of them on the NPU.\n\n", all.size(),
                       llvm::count_if(all, onNpu))
      << "| domain | operator | since | shape | kernel | runs on |\n|---|---|---|---|---|---|\n";
  for (const OpInfo *op : all)
    out << llvm::formatv("| {0} | {1} | {2} | {3} | {4} | {5} |\n",
                         StringRef(op->domain).empty() ? "ai.onnx" : op->domain, op->name,
                         op->since, op->infer ? "yes" : "no", op->kernel ? "yes" : "graph",
                         onNpu(op) ? "NPU" : "host");
  return kDone;
}

} // namespace npucc
