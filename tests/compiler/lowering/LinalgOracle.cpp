//===- LinalgOracle.cpp - Runs lowered graphs without the NPU -----------------===//

#include "LinalgOracle.h"

#include "compiler/Passes.h"
#include "compiler/import/Attributes.h"
#include "compiler/import/Import.h"
#include "compiler/onnx/OnnxDialect.h"
#include "runtime/reference/Reference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"

#include <dlfcn.h>

using namespace mlir;

namespace npucc::test {

namespace {

using llvm::createStringError;

constexpr const char *kToLlvm =
    "empty-tensor-to-alloc-tensor,"
    "one-shot-bufferize{bufferize-function-boundaries=1 "
    "function-boundary-type-conversion=identity-layout-map},"
    "buffer-results-to-out-params{modify-public-functions=1},"
    "func.func(convert-linalg-to-loops),"
    "func.func(arith-expand{include-bf16=true}),"
    "expand-strided-metadata,lower-affine,convert-scf-to-cf,"
    "convert-math-to-libm,func.func(convert-math-to-llvm),convert-arith-to-llvm,convert-index-to-llvm,"
    "finalize-memref-to-llvm,convert-func-to-llvm,convert-cf-to-llvm,"
    "reconcile-unrealized-casts";

llvm::Error runPipeline(ModuleOp module, StringRef pipeline, const char *what) {
  PassManager pm(module->getName());
  std::string text;
  llvm::raw_string_ostream errors(text);
  if (mlir::failed(parsePassPipeline(pipeline, pm, errors)))
    return createStringError("pipeline of %s: %s", what, text.c_str());
  if (mlir::failed(pm.run(module)))
    return createStringError("%s failed", what);
  return llvm::Error::success();
}

class Oracle {
public:
  Oracle(Model &model, const OracleOptions &options) : graph(model.graph), options(options) {
    for (auto [i, node] : llvm::enumerate(graph.nodes))
      nodeByName[node.name] = i;
  }

  llvm::Expected<OracleResult> run(Model &model);

private:
  void cut(func::FuncOp function);
  /// Host nodes' results and constants become arguments; their operands become results.
  llvm::Error open(func::FuncOp function);
  llvm::Error execute(ModuleOp module);
  void compare(const Tensor &expected, const Tensor &actual);

  const Graph &graph;
  const OracleOptions &options;
  llvm::StringMap<size_t> nodeByName;
  OracleResult result;
  std::vector<Tensor> arguments;       ///< in the function's order
  std::vector<ValueId> argumentValues; ///< kNoValue: `arguments` has it already
  std::vector<ValueId> resultValues;
  std::vector<ValueId> cutValues;
  std::vector<Tensor> expected; ///< the reference's results
  std::vector<std::pair<RankedTensorType, ElementType>> resultTypes;
  ConstantCache cache;
};

} // namespace

void Oracle::cut(func::FuncOp function) {
  Block &entry = function.getBody().front();
  Operation *returned = entry.getTerminator();
  for (auto node : entry.getOps<onnx::NodeOp>()) {
    auto found = nodeByName.find(onnx::nodeName(node.getLoc()));
    if (node.getOpType() != options.cutAt || found == nodeByName.end() ||
        isConstantExpression(node.getOutputs()[0]))
      continue;
    mlir::Value value = node.getOutputs()[0];
    value.replaceAllUsesWith(entry.addArgument(value.getType(), node.getLoc()));
    returned->insertOperands(returned->getNumOperands(), value);
    cutValues.push_back(graph.nodes[found->second].outputs[0]);
  }
  function.setType(FunctionType::get(function.getContext(), entry.getArgumentTypes(),
                                     returned->getOperandTypes()));
}

llvm::Error Oracle::open(func::FuncOp function) {
  Block &entry = function.getBody().front();
  auto returned = cast<func::ReturnOp>(entry.getTerminator());
  SmallVector<mlir::Value> results; // besides those that it has
  resultValues.assign(graph.outputs.begin(), graph.outputs.end());
  llvm::append_range(resultValues, cutValues);
  argumentValues.assign(graph.inputs.begin(), graph.inputs.end());
  llvm::append_range(argumentValues, cutValues);
  arguments.resize(argumentValues.size());
  for (Operation &op : llvm::make_early_inc_range(entry)) {
    if (auto data = dyn_cast<onnx::DataOp>(op)) {
      llvm::Expected<Tensor> tensor = evaluateConstant(data.getResult(), cache);
      if (!tensor)
        return tensor.takeError();
      arguments.push_back(*tensor);
      argumentValues.push_back(kNoValue);
      data.getResult().replaceAllUsesWith(entry.addArgument(data.getType(), data.getLoc()));
      data.erase();
      continue;
    }
    auto node = dyn_cast<onnx::NodeOp>(op);
    if (!node || !node->hasAttr("npu.host_reason"))
      continue;
    StringRef name = onnx::nodeName(node.getLoc());
    auto found = nodeByName.find(name);
    if (found == nodeByName.end())
      return createStringError("no node '%s' in the graph", name.str().c_str());
    const Node &original = graph.nodes[found->second];
    result.hostNodes.push_back(
        (name + ": " + node.getOpType() + ": " +
         node->getAttrOfType<StringAttr>("npu.host_reason").getValue())
            .str());
    for (auto [operand, id] : llvm::zip(node.getInputs(), original.inputs)) {
      if (id == kNoValue || graph.constant(id) || isConstantExpression(operand) ||
          isa<BlockArgument>(operand))
        continue;
      results.push_back(operand);
      resultValues.push_back(id);
    }
    for (auto [output, id] : llvm::zip(node.getOutputs(), original.outputs)) {
      if (id == kNoValue)
        continue;
      output.replaceAllUsesWith(entry.addArgument(output.getType(), node.getLoc()));
      arguments.emplace_back();
      argumentValues.push_back(id);
    }
    node.erase();
  }
  results.insert(results.begin(), returned.getOperands().begin(), returned.getOperands().end());
  returned.getOperandsMutable().assign(results);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(entry)))
    if (isOpTriviallyDead(&op))
      op.erase();
  function.setType(FunctionType::get(function.getContext(), entry.getArgumentTypes(),
                                     returned.getOperandTypes()));
  function.setResAttrsAttr({});
  function.setArgAttrsAttr({});
  // Weights may be mapped from the file: nothing is computed in place of an argument.
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    function.setArgAttr(i, "bufferization.writable",
                        BoolAttr::get(function.getContext(), false));
  function->setAttr("llvm.emit_c_interface", UnitAttr::get(function.getContext()));
  for (Type type : returned.getOperandTypes())
    resultTypes.push_back({cast<RankedTensorType>(type),
                           fromMlirType(cast<RankedTensorType>(type).getElementType())});
  return llvm::Error::success();
}

static bool isFloatType(ElementType type) { return npucc::isFloat(type); }

void Oracle::compare(const Tensor &expected, const Tensor &actual) {
  ++result.outputs;
  int64_t count = expected.size();
  if (isFloatType(expected.type())) {
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < count; ++i) {
      double e = expected.asDouble(i), a = actual.asDouble(i);
      if (e == a || (std::isnan(e) && std::isnan(a)))
        continue;
      double d = std::abs(e - a);
      worst = d > worst || std::isnan(d) ? (std::isnan(d) ? INFINITY : d) : worst;
    }
    for (int64_t i = 0; i < count; ++i)
      if (std::isfinite(expected.asDouble(i)))
        largest = std::max(largest, std::abs(expected.asDouble(i)));
    result.worstRelative = std::max(result.worstRelative, worst / (largest > 0 ? largest : 1));
    return;
  }
  // Signless storage: the same bytes, read as the graph says.
  Tensor typed = Tensor::view(expected.type(), actual.shape(), actual.data(), nullptr);
  result.integerElements += count;
  for (int64_t i = 0; i < count; ++i) {
    int64_t difference = std::abs(expected.asInt(i) - typed.asInt(i));
    result.integerMismatches += difference != 0;
    result.largestIntegerError = std::max(result.largestIntegerError, difference);
  }
}

/// { allocated, aligned, offset, sizes, strides }.
static std::vector<int64_t> descriptor(const void *data, ArrayRef<int64_t> shape) {
  std::vector<int64_t> result{reinterpret_cast<int64_t>(data), reinterpret_cast<int64_t>(data), 0};
  result.insert(result.end(), shape.begin(), shape.end());
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  result.insert(result.end(), strides.begin(), strides.end());
  return result;
}

llvm::Error Oracle::execute(ModuleOp module) {
  // memref.copy of strided buffers calls a library that lies beside libMLIR.
  Dl_info info{};
  dladdr(reinterpret_cast<void *>(&ExecutionEngine::setupTargetTripleAndDataLayout), &info);
  llvm::SmallString<128> library(llvm::sys::path::parent_path(info.dli_fname ? info.dli_fname : ""));
  llvm::sys::path::append(library, "libmlir_c_runner_utils.so");
  StringRef libraries[] = {library};
  ExecutionEngineOptions engineOptions;
  auto transformer = makeOptimizingTransformer(2, 0, nullptr);
  engineOptions.transformer = transformer;
  engineOptions.sharedLibPaths = libraries;
  auto engine = ExecutionEngine::create(module, engineOptions);
  if (!engine)
    return engine.takeError();

  std::vector<Tensor> outputs;
  std::vector<std::vector<int64_t>> descriptors;
  for (const Tensor &argument : arguments)
    descriptors.push_back(descriptor(argument.data(), argument.shape()));
  for (auto &[type, element] : resultTypes) {
    outputs.push_back(Tensor::zeros(element, type.getShape()));
    descriptors.push_back(descriptor(outputs.back().mutableData(), type.getShape()));
  }
  std::vector<void *> pointers(descriptors.size()), packed;
  for (size_t i = 0; i < descriptors.size(); ++i)
    pointers[i] = descriptors[i].data();
  for (void *&pointer : pointers)
    packed.push_back(&pointer);
  if (llvm::Error error = (*engine)->invokePacked("_mlir_ciface_main", packed))
    return error;
  for (size_t i = 0; i < outputs.size(); ++i)
    compare(expected[i], outputs[i]);
  return llvm::Error::success();
}

llvm::Expected<OracleResult> Oracle::run(Model &model) {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<onnx::OnnxDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = importGraph(model, context);
  if (!module)
    return createStringError("import failed");
  auto function = module->lookupSymbol<func::FuncOp>("main");
  cut(function);
  PassManager lower(module.get()->getName());
  ConvertOnnxToLinalgOptions lowering;
  lowering.storage = options.storage;
  lower.addNestedPass<func::FuncOp>(createOnnxSinkDequantize());
  lower.addNestedPass<func::FuncOp>(createConvertOnnxToLinalg(lowering));
  if (options.fuse)
    lower.addNestedPass<func::FuncOp>(createNpuccFuseElementwise());
  if (mlir::failed(lower.run(*module)))
    return createStringError("lowering failed");
  if (options.print)
    module->print(llvm::errs(), OpPrintingFlags().elideLargeElementsAttrs(16));
  module->walk([&](Operation *op) {
    result.generics += op->getName().getStringRef() == "linalg.generic";
  });
  if (llvm::Error error = open(function))
    return std::move(error);
  if (!options.run)
    return result;

  // The reference first: host nodes' results come from it.
  std::vector<Tensor> inputs = options.inputs;
  uint64_t seed = options.seed;
  for (size_t i = inputs.size(); i < graph.inputs.size(); ++i)
    inputs.push_back(randomTensor(graph.values[graph.inputs[i]].type,
                                  graph.values[graph.inputs[i]].shape(), seed++));
  llvm::DenseMap<ValueId, Tensor> seen;
  for (ValueId id : argumentValues)
    if (id != kNoValue)
      seen[id] = Tensor();
  for (ValueId id : resultValues)
    seen[id] = Tensor();
  for (auto [id, tensor] : llvm::zip(graph.inputs, inputs))
    seen[id] = tensor;
  auto outputs = evaluate(graph, inputs, [&](ValueId id, const Tensor &tensor) {
    if (auto it = seen.find(id); it != seen.end())
      it->second = tensor;
  });
  if (!outputs)
    return outputs.takeError();
  for (auto [id, tensor] : llvm::zip(graph.outputs, *outputs))
    seen[id] = tensor;
  for (ValueId id : resultValues)
    expected.push_back(seen[id]);

  Block &entry = function.getBody().front();
  for (auto [i, id] : llvm::enumerate(argumentValues)) {
    if (id != kNoValue)
      arguments[i] = seen[id];
    auto type = cast<RankedTensorType>(entry.getArgument(i).getType());
    ElementType stored = fromMlirType(type.getElementType());
    if (isFloatType(stored) && arguments[i].type() != stored)
      arguments[i] = castTensor(arguments[i], stored);
  }
  if (llvm::Error error = runPipeline(*module, kToLlvm, "MLIR's own lowering"))
    return std::move(error);
  if (llvm::Error error = execute(*module))
    return std::move(error);
  return result;
}

llvm::Expected<OracleResult> runOracle(Model &model, const OracleOptions &options) {
  static const bool once = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    registerAllPasses();
    return true;
  }();
  (void)once;
  if (llvm::Error error = prepare(model, options.bindings))
    return std::move(error);
  return Oracle(model, options).run(model);
}

} // namespace npucc::test
