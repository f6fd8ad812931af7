//===- Compiler.cpp - The pipeline from the onnx dialect to a program ---------===//

#include "compiler/driver/Compiler.h"
#include "compiler/Passes.h"
#include "compiler/emit/Emit.h"
#include "compiler/import/Attributes.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace npucc {

static LogicalResult run(ModuleOp module, const CompileOptions &options,
                         llvm::function_ref<void(OpPassManager &)> build) {
  PassManager pm(module->getName());
  // --mlir-print-ir-after and alike, where a tool has registered them.
  if (failed(applyPassManagerCLOptions(pm)))
    return failure();
  if (options.timing)
    pm.enableTiming(*options.timing);
  build(pm);
  return pm.run(module);
}

/// Operators without a lowering, in a compilation that must not use the control core.
static LogicalResult refuseHostNodes(ModuleOp module) {
  bool found = false;
  module.walk([&](onnx::NodeOp node) {
    if (llvm::all_of(node.getOutputs(), [](mlir::Value v) { return isConstantExpression(v); }))
      return;
    found = true;
    InFlightDiagnostic error = node.emitError();
    error << "would run on the control core, which --no-host rules out";
    if (auto reason = node->getAttrOfType<StringAttr>("npu.host_reason"))
      error << ": " << reason.getValue();
  });
  return failure(found);
}

LogicalResult lowerToLinalg(ModuleOp module, const CompileOptions &options) {
  ConvertOnnxToLinalgOptions settings;
  if (options.storage != ElementType::Undefined) {
    llvm::raw_string_ostream text(settings.storage);
    toMlirType(options.storage, module->getContext()).print(text);
  }
  if (failed(run(module, options, [&](OpPassManager &pm) {
        pm.addNestedPass<func::FuncOp>(createOnnxSinkDequantize());
        pm.addNestedPass<func::FuncOp>(createConvertOnnxToLinalg(settings));
        pm.addPass(createCanonicalizerPass());
        pm.addPass(createCSEPass());
        pm.addNestedPass<func::FuncOp>(createNpuccFuseElementwise());
        pm.addNestedPass<func::FuncOp>(createNpuccWidenSmall());
        pm.addPass(createCanonicalizerPass());
        pm.addPass(createCSEPass());
      })))
    return failure();
  return options.allowHost ? success() : refuseHostNodes(module);
}

LogicalResult lowerToNpu(ModuleOp module, const Machine &machine, const CompileOptions &options) {
  NpuScheduleOptions scheduling;
  scheduling.machine = machine.file.empty() ? machine.name : machine.file;
  return run(module, options, [&](OpPassManager &pm) {
    pm.addNestedPass<func::FuncOp>(createNpuSchedule(scheduling));
    pm.addNestedPass<func::FuncOp>(createNpuSync());
  });
}

FailureOr<Program> emit(ModuleOp module, const Machine &machine, const CompileOptions &options) {
  FailureOr<Program> program = emitProgram(module, machine);
  if (succeeded(program) && !options.precision.empty())
    program->precision = options.precision;
  return program;
}

FailureOr<Program> compile(ModuleOp module, const Machine &machine, const CompileOptions &options) {
  if (failed(lowerToLinalg(module, options)) || failed(lowerToNpu(module, machine, options)))
    return failure();
  return emit(module, machine, options);
}

} // namespace npucc
