//===- Import.cpp - From a loaded graph to the onnx dialect -------------------===//

#include "compiler/import/Import.h"
#include "compiler/import/AssumeShapes.h"
#include "compiler/import/Attributes.h"
#include "compiler/onnx/OnnxDialect.h"
#include "runtime/ops/Registry.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

namespace npucc {
namespace {

class Importer {
public:
  Importer(const Model &model, MLIRContext &context)
      : graph(model.graph), model(model), context(&context), builder(&context),
        values(graph.values.size()) {}

  OwningOpRef<ModuleOp> run();

private:
  /// Null, with `reason` set, where the compiler has no type for a value.
  Type typeOf(ValueId id, std::string &reason);
  void addNode(const Node &node);
  mlir::Value valueOf(ValueId id);
  mlir::Value noneValue();
  DictionaryAttr layerOf(const Node &node);
  Location named(StringRef name) { return NameLoc::get(builder.getStringAttr(name)); }

  const Graph &graph;
  const Model &model;
  MLIRContext *context;
  OpBuilder builder;
  std::vector<mlir::Value> values; ///< by ValueId
  mlir::Value none;
  bool failed = false;
};

Type Importer::typeOf(ValueId id, std::string &reason) {
  const npucc::Value &value = graph.values[id];
  if (!value.isStatic()) {
    reason = "the shape of '" + value.name +
             "' depends on data and has no bound; functional mode measures it";
    return {};
  }
  Type element = toMlirType(value.type, context);
  if (!element) {
    reason = "'" + value.name + "' is a tensor of " +
             (value.type == ElementType::String ? "strings" : "unknown element type");
    return {};
  }
  return RankedTensorType::get(value.shape(), element,
                               isAssumed(value) ? builder.getStringAttr("bound") : StringAttr());
}

mlir::Value Importer::noneValue() {
  if (!none) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(builder.getBlock());
    none = onnx::NoneOp::create(builder, builder.getUnknownLoc(), builder.getNoneType());
  }
  return none;
}

mlir::Value Importer::valueOf(ValueId id) {
  if (id == kNoValue)
    return noneValue();
  if (values[id])
    return values[id];
  // Constants are written where they are first needed, so that unused ones do not appear.
  const Tensor *tensor = graph.constant(id);
  if (!tensor)
    return {};
  StringRef name = graph.values[id].name;
  ElementsAttr attr = attrFromTensor(*tensor, context, name.empty() ? "constant" : name);
  if (!attr)
    return {};
  return values[id] =
             onnx::ConstantOp::create(builder, named(name), cast<TensorType>(attr.getType()), attr);
}

DictionaryAttr Importer::layerOf(const Node &node) {
  int64_t macs = 0;
  const OpInfo *info = findOp(node.domain, node.opType);
  if (info && info->macs) {
    auto pointers = [&](const std::vector<ValueId> &ids) {
      llvm::SmallVector<const npucc::Value *> result;
      for (ValueId id : ids)
        result.push_back(id == kNoValue ? nullptr : &graph.values[id]);
      return result;
    };
    macs = info->macs(node, pointers(node.inputs), pointers(node.outputs));
  }
  return builder.getDictionaryAttr({builder.getNamedAttr("node", builder.getStringAttr(node.name)),
                                    builder.getNamedAttr("op", builder.getStringAttr(node.opType)),
                                    builder.getNamedAttr("macs", builder.getI64IntegerAttr(macs))});
}

void Importer::addNode(const Node &node) {
  Location loc = named(node.name);
  std::string reason;
  auto fail = [&](const llvm::Twine &why) {
    failed = true;
    emitError(loc) << why;
  };

  SmallVector<Type> types;
  for (ValueId id : node.outputs) {
    Type type = id == kNoValue ? Type(builder.getNoneType()) : typeOf(id, reason);
    if (!type)
      return fail(reason);
    types.push_back(type);
  }
  SmallVector<mlir::Value> operands;
  auto addOperand = [&](ValueId id) {
    mlir::Value operand = valueOf(id);
    operands.push_back(operand);
    if (operand)
      return true;
    // Without a value because its producer failed: that node has been reported already.
    failed = true;
    if (graph.constant(id))
      typeOf(id, reason), fail(reason);
    return false;
  };
  for (ValueId id : node.inputs)
    if (!addOperand(id))
      return;

  NamedAttrList attributes;
  for (const auto &[name, attribute] : node.attributes) {
    mlir::Attribute attr = toMlirAttribute(attribute, context, node.name);
    if (!attr)
      return fail("attribute '" + name + "' is a tensor of strings");
    attributes.set(name, attr);
    if (const auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      for (auto [inner, outer] : (*body)->captures)
        if (!addOperand(outer))
          return;
  }
  auto op = onnx::NodeOp::create(builder, loc, types, node.opType, node.domain, operands,
                                 attributes.getDictionary(context));
  for (auto [id, result] : llvm::zip(node.outputs, op.getOutputs()))
    if (id != kNoValue)
      values[id] = result;
}

OwningOpRef<ModuleOp> Importer::run() {
  context->loadDialect<onnx::OnnxDialect, func::FuncDialect>();
  Location fileLoc = FileLineColLoc::get(context, model.path, 0, 0);
  OwningOpRef<ModuleOp> module = ModuleOp::create(fileLoc);
  (*module)->setAttr(onnx::kModelAttr, builder.getStringAttr(model.path));

  std::string reason;
  SmallVector<Type> inputTypes, outputTypes;
  auto nameAttr = [&](ValueId id) {
    return builder.getDictionaryAttr(
        builder.getNamedAttr(onnx::kNameAttr, builder.getStringAttr(graph.values[id].name)));
  };
  SmallVector<DictionaryAttr> inputNames, outputNames;
  for (ValueId id : graph.inputs) {
    inputNames.push_back(nameAttr(id));
    inputTypes.push_back(typeOf(id, reason));
    if (!inputTypes.back())
      failed = (emitError(named(graph.values[id].name)) << reason, true);
  }

  if (failed)
    return nullptr;

  builder.setInsertionPointToEnd(module->getBody());
  // The function's type gets its results once the body is there.
  auto function =
      func::FuncOp::create(builder, fileLoc, "main", builder.getFunctionType(inputTypes, {}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  for (auto [id, argument] : llvm::zip(graph.inputs, body->getArguments())) {
    argument.setLoc(named(graph.values[id].name));
    if (!graph.constant(id)) // else the program is for one value of it
      values[id] = argument;
  }

  SmallVector<mlir::Attribute> layers;
  for (const Node &node : graph.nodes) {
    addNode(node);
    layers.push_back(layerOf(node));
  }
  SmallVector<mlir::Value> results;
  for (ValueId id : graph.outputs) {
    outputNames.push_back(nameAttr(id));
    results.push_back(failed ? mlir::Value() : valueOf(id));
    if (!results.back())
      return failed ? nullptr
                    : (emitError(fileLoc)
                           << "graph output '" << graph.values[id].name << "' is made by no node",
                       nullptr);
    outputTypes.push_back(results.back().getType());
  }
  if (failed)
    return nullptr;
  func::ReturnOp::create(builder, fileLoc, results);
  function.setType(builder.getFunctionType(inputTypes, outputTypes));
  function.setAllArgAttrs(inputNames);
  function.setAllResultAttrs(outputNames);
  (*module)->setAttr(onnx::kLayersAttr, builder.getArrayAttr(layers));
  if (mlir::failed(verify(*module)))
    return nullptr;
  return module;
}

} // namespace

OwningOpRef<ModuleOp> importGraph(const Model &model, MLIRContext &context) {
  return Importer(model, context).run();
}

} // namespace npucc
