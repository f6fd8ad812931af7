//===- Compiler.cpp - The pipeline from the onnx dialect to a program ---------===//

#include "compiler/driver/Compiler.h"
#include "compiler/import/Attributes.h"
#include "compiler/onnx/OnnxDialect.h"

#if __has_include("compiler/emit/Emit.h")
#include "compiler/emit/Emit.h"
#endif

#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/Timing.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace npucc {

/// Runs passes of Passes.td, given as the text of a pipeline, and what `more` adds to them.
static LogicalResult run(ModuleOp module, const llvm::Twine &pipeline,
                         const CompileOptions &options,
                         llvm::function_ref<void(OpPassManager &)> more = nullptr) {
  PassManager pm(module->getName());
  // --mlir-print-ir-after and alike, where a tool has registered them.
  if (failed(applyPassManagerCLOptions(pm)))
    return failure();
  if (options.timing)
    pm.enableTiming(*options.timing);
  std::string error;
  llvm::raw_string_ostream errors(error);
  if (failed(parsePassPipeline(pipeline.str(), pm, errors)))
    return module.emitError() << "pipeline '" << pipeline << "': " << error;
  if (more)
    more(pm);
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
    if (auto reason = node->getAttrOfType<StringAttr>(onnx::kHostReasonAttr))
      error << ": " << reason.getValue();
  });
  return failure(found);
}

LogicalResult lowerToLinalg(ModuleOp module, const CompileOptions &options) {
  std::string pass = "convert-onnx-to-linalg";
  if (options.storage != ElementType::Undefined)
    pass += "{storage=" + std::string(name(options.storage)) + "}";
  if (failed(run(module, pass, options, [](OpPassManager &pm) {
        pm.addPass(createCanonicalizerPass());
        pm.addPass(createCSEPass());
        pm.addPass(createLinalgElementwiseOpFusionPass());
        pm.addPass(createCanonicalizerPass());
        pm.addPass(createCSEPass());
      })))
    return failure();
  return options.allowHost ? success() : refuseHostNodes(module);
}

LogicalResult lowerToNpu(ModuleOp module, const Machine &machine, const CompileOptions &options) {
  std::string machineOption =
      "{machine=" + (machine.file.empty() ? machine.name : machine.file) + "}";
  return run(module,
             "npu-group,npu-schedule" + machineOption + ",npu-allocate" + machineOption +
                 ",npu-sync" + machineOption,
             options);
}

FailureOr<Program> emit(ModuleOp module, const Machine &machine, const CompileOptions &options) {
#if __has_include("compiler/emit/Emit.h")
  FailureOr<Program> program = emitProgram(module, machine);
  if (succeeded(program) && !options.precision.empty())
    program->precision = options.precision;
  return program;
#else
  (void)machine, (void)options;
  return module.emitError("programs cannot be emitted yet"), failure();
#endif
}

FailureOr<Program> compile(ModuleOp module, const Machine &machine, const CompileOptions &options) {
  if (failed(lowerToLinalg(module, options)) || failed(lowerToNpu(module, machine, options)))
    return failure();
  return emit(module, machine, options);
}

} // namespace npucc
