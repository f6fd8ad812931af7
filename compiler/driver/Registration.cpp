//===- Registration.cpp - Dialects and passes of the project ------------------===//

#include "compiler/driver/Registration.h"
#include "compiler/Passes.h"
#include "compiler/npu/NpuDialect.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassRegistry.h"

namespace npucc {

#define GEN_PASS_REGISTRATION
#include "compiler/Passes.h.inc"

void registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<onnx::OnnxDialect, npu::NpuDialect, mlir::affine::AffineDialect,
                  mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::linalg::LinalgDialect,
                  mlir::math::MathDialect, mlir::memref::MemRefDialect, mlir::scf::SCFDialect,
                  mlir::tensor::TensorDialect>();
}

void registerPasses() { registerNpuccPasses(); }

} // namespace npucc
