//===- Passes.td - The passes of the compiler --------------*- tablegen -*-===//
//
// In the order of the pipeline. Each pass has one file, named as the pass.
//
//===----------------------------------------------------------------------===//
#ifndef NPUCC_PASSES
#define NPUCC_PASSES

include "mlir/Pass/PassBase.td"

#endif // NPUCC_PASSES
