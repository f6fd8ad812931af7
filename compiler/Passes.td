//===- Passes.td - The passes of the compiler --------------*- tablegen -*-===//
//
// In the order of the pipeline. Each pass has one file, named as the pass.
//
//===----------------------------------------------------------------------===//
#ifndef NPUCC_PASSES
#define NPUCC_PASSES

include "mlir/Pass/PassBase.td"

//===- lowering: onnx to linalg ------------------------------------------===//

def OnnxSinkDequantize : Pass<"onnx-sink-dequantize", "::mlir::func::FuncOp"> {
  let summary = "move data in 8 bits: sink DequantizeLinear, hoist QuantizeLinear";
}

def ConvertOnnxToLinalg : Pass<"convert-onnx-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "ONNX operators to linalg on tensors of signless storage types";
  let description = [{
    A node that no lowering takes stays an `onnx.node` with the attribute `npu.host_reason`;
    where its operands and results are stored as other types than it computes with, those
    stand in `npu.input_types` and `npu.output_types`.
  }];
  let options = [Option<"storage", "storage", "std::string", /*default=*/"\"\"",
                        "store fp32 tensors as bf16, f16 or f8E4M3FN (default: as they are)">];
  let statistics = [Statistic<"numLowered", "lowered", "nodes lowered to linalg">,
                    Statistic<"numHost", "host", "nodes left for the host">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def NpuccFuseElementwise : Pass<"npucc-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "fuse elementwise linalg ops; fold copies into the maps of their users";
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def NpuccWidenSmall : Pass<"npucc-widen-small", "::mlir::func::FuncOp"> {
  let summary = "keep small fp16 and bf16 tensors in fp32 between ops";
  let options = [Option<"maxElements", "max-elements", "int64_t", /*default=*/"65536",
                        "tensors with more elements are stored as the network says">];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

//===- schedule: linalg to npu commands ----------------------------------===//

def NpuGroup : Pass<"npu-group", "::mlir::func::FuncOp"> {
  let summary = "write the group of each linalg op as an attribute, for a look at the decision";
  let options = [Option<"machine", "machine", "std::string", /*default=*/"\"edge\"",
                        "machine name or file">];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def NpuSchedule : Pass<"npu-schedule", "::mlir::func::FuncOp"> {
  let summary = "groups, residency, tilings and addresses; then loops of npu commands";
  let options = [Option<"machine", "machine", "std::string", /*default=*/"\"edge\"",
                        "machine name or file">];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::arith::ArithDialect", "::npucc::npu::NpuDialect",
                           "::npucc::onnx::OnnxDialect"];
}

def NpuSync : Pass<"npu-sync", "::mlir::func::FuncOp"> {
  let summary = "counting semaphores between the engines' streams";
  let dependentDialects = ["::npucc::npu::NpuDialect"];
}

#endif // NPUCC_PASSES
