//===- Prepare.cpp - The graph that is compiled -------------------------------===//

#include "compiler/driver/Prepare.h"
#include "compiler/driver/Quantization.h"
#include "compiler/import/AssumeShapes.h"
#include "runtime/onnx/Errors.h"
#include "runtime/ops/Registry.h"
#include "runtime/quantize/FoldBatchNorm.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using llvm::Expected;
using llvm::StringRef;

namespace npucc {

std::vector<const Node *> unknownNodes(const Graph &graph) {
  std::vector<const Node *> result;
  for (const Node &node : graph.nodes)
    if (!findOp(node.domain, node.opType))
      result.push_back(&node);
  return result;
}

static bool isQuantized(const Graph &graph) {
  return llvm::any_of(graph.nodes, [](const Node &node) {
    StringRef op = node.opType;
    return op.starts_with("QLinear") || op.ends_with("Integer") || op == "DequantizeLinear";
  });
}

/// The arithmetic in which the graph does most of its multiply-accumulates.
static std::string arithmeticOf(const Graph &graph) {
  std::vector<const Node *> producers(graph.values.size());
  for (const Node &node : graph.nodes)
    for (ValueId id : node.outputs)
      if (id != kNoValue)
        producers[id] = &node;
  auto pointers = [&](const std::vector<ValueId> &ids) {
    llvm::SmallVector<const Value *> result;
    for (ValueId id : ids)
      result.push_back(id == kNoValue ? nullptr : &graph.values[id]);
    return result;
  };
  std::map<ElementType, int64_t> macsBy;
  for (const Node &node : graph.nodes) {
    const OpInfo *info = findOp(node.domain, node.opType);
    if (!info || !info->macs || node.inputs.empty() || node.inputs[0] == kNoValue)
      continue;
    ValueId first = node.inputs[0];
    // A float operator between DequantizeLinear and QuantizeLinear computes on the integers.
    if (const Node *from = producers[first]; from && from->opType == "DequantizeLinear")
      first = from->inputs[0];
    ElementType type = graph.values[first].type;
    if (isInteger(type) && bitWidth(type) <= 8)
      type = ElementType::Int8;
    macsBy[type] += info->macs(node, pointers(node.inputs), pointers(node.outputs));
  }
  auto most = llvm::max_element(macsBy, [](auto &a, auto &b) { return a.second < b.second; });
  return std::string(name(most == macsBy.end() ? ElementType::Float32 : most->first));
}

llvm::StringSet<> statesOf(const Options &options) {
  llvm::StringSet<> states;
  for (const std::string &feed : options.feeds)
    states.insert(StringRef(feed).rsplit('=').second);
  return states;
}

/// The given tensors, zeros for states (--feed), and seeded random ones for the others.
static Expected<NamedTensors> completeInputs(const Graph &graph, const NamedTensors &given,
                                             const Options &options) {
  NamedTensors result;
  llvm::StringSet<> states = statesOf(options);
  for (auto [index, id] : llvm::enumerate(graph.inputs)) {
    const Value &value = graph.values[id];
    if (bitWidth(value.type) == 0)
      continue; // strings: the importer says so
    auto it = given.find(value.name);
    if (it == given.end()) {
      result[value.name] = states.contains(value.name)
                               ? Tensor::zeros(value.type, value.shape())
                               : randomTensor(value.type, value.shape(), options.seed + index);
      continue;
    }
    if (it->second.shape() != llvm::ArrayRef<int64_t>(value.shape()))
      return makeError("--input {0}: the file's shape is not that of the graph's input",
                       quoted(value.name));
    result[value.name] =
        it->second.type() == value.type ? it->second : castTensor(it->second, value.type);
  }
  return result;
}

static llvm::Error checkInputNames(const Graph &graph, const NamedTensors &given) {
  for (const auto &[name, tensor] : given) {
    std::string known;
    bool found = false;
    for (ValueId id : graph.inputs) {
      found |= graph.values[id].name == name;
      known += " " + quoted(graph.values[id].name);
    }
    if (!found)
      return makeError("--input {0}: the graph's inputs are{1}", quoted(name), known);
  }
  return llvm::Error::success();
}

/// The first input whose leading dimension is open and named like a batch, or not named; -1.
static int batchInput(const Graph &graph) {
  for (auto [index, id] : llvm::enumerate(graph.inputs)) {
    const Value &value = graph.values[id];
    if (!value.dims || value.dims->empty() || value.dims->front().size >= 0)
      continue;
    StringRef symbol = value.dims->front().symbol;
    if (symbol.empty() || symbol == "?" || symbol == "N" || symbol.contains_insensitive("batch"))
      return static_cast<int>(index);
  }
  return -1;
}

/// Given integers that decide shapes or branches can be constants: the program is then for these.
constexpr int64_t kMaxDecidingElements = 64;

/// What the control core has to do because something is not known at compile time.
static size_t openDecisions(const Graph &graph) {
  return llvm::count_if(graph.nodes, isControl) +
         llvm::count_if(graph.values, [](const Value &value) { return !value.isStatic(); });
}

/// prepare(), with those inputs as constants without which more would be open.
static llvm::Error prepareForValues(Model &model, Bindings bindings, const NamedTensors &given,
                                    std::vector<std::string> &assumptions) {
  const Model file = model;
  if (llvm::Error error = prepare(model, bindings))
    return error;
  if (openDecisions(model.graph) == 0)
    return llvm::Error::success();
  for (ValueId id : file.graph.inputs) {
    const Value &value = file.graph.values[id];
    auto it = given.find(value.name);
    if (it == given.end() || it->second.rank() > 1 || it->second.size() > kMaxDecidingElements ||
        !(isInteger(value.type) || value.type == ElementType::Bool))
      continue;
    bindings.inputValues[value.name] =
        it->second.type() == value.type ? it->second : castTensor(it->second, value.type);
  }
  if (bindings.inputValues.empty())
    return llvm::Error::success();
  auto prepared = [&](Model &result) {
    result = file;
    return prepare(result, bindings);
  };
  Model best, other;
  if (llvm::Error error = prepared(best))
    return error;
  if (openDecisions(best.graph) >= openDecisions(model.graph))
    return llvm::Error::success();
  // Those that decide nothing stay data.
  auto all = bindings.inputValues;
  for (const auto &[name, value] : all) {
    bindings.inputValues.erase(name);
    if (llvm::Error error = prepared(other))
      return error;
    if (openDecisions(other.graph) > openDecisions(best.graph))
      bindings.inputValues[name] = value;
    else
      best = other;
  }
  for (const auto &[name, value] : bindings.inputValues)
    assumptions.push_back(
        "input " + quoted(name) +
        " decides shapes or branches: the program is compiled for the value given");
  model = std::move(best);
  return llvm::Error::success();
}

Expected<PreparedModel> prepareModel(Model model, const Options &options,
                                     const NamedTensors &given) {
  PreparedModel result;
  Expected<Bindings> bindings = makeBindings(options, given);
  if (!bindings)
    return bindings.takeError();
  Expected<Precision> precision = parsePrecision(options.precision);
  if (!precision)
    return precision.takeError();
  if (llvm::Error error = checkInputNames(model.graph, given))
    return error;
  result.parameters = countParameters(model);
  int batched = batchInput(model.graph);
  if (llvm::Error error = prepareForValues(model, *bindings, given, result.assumptions))
    return error;

  if (options.batch)
    result.batch = *options.batch;
  else if (batched >= 0)
    result.batch = model.graph.values[model.graph.inputs[batched]].shape().front();
  // Writing the graph as it is needs no data.
  if (options.functional && (precision->quantize || !options.writesOnnxFile())) {
    Expected<NamedTensors> inputs = completeInputs(model.graph, given, options);
    if (!inputs)
      return inputs.takeError();
    result.inputs = std::move(*inputs);
  }
  removeEmpty(model.graph);
  llvm::erase_if(model.graph.outputs, [&](ValueId id) {
    const Tensor *constant = model.graph.constant(id);
    if (!constant || constant->size() > 0)
      return false;
    result.emptyOutputs[model.graph.values[id].name] = *constant;
    return true;
  });
  if (!options.writesOnnxFile()) {
    std::optional<std::vector<Tensor>> data;
    if (options.functional) {
      data.emplace();
      for (ValueId id : model.graph.inputs)
        data->push_back(result.inputs[model.graph.values[id].name]);
    }
    Expected<std::vector<std::string>> assumed = assumeShapes(model.graph, data);
    if (!assumed)
      return prefixed(assumed.takeError(), model.path + ": ");
    llvm::append_range(result.assumptions, *assumed);
  }
  result.macs = countMacs(model.graph);
  result.network = model.graph;
  result.model = std::move(model);

  Expected<std::vector<std::string>> folded = foldBatchNorm(result.model);
  if (!folded)
    return folded.takeError();
  if (precision->quantize && !isQuantized(result.model.graph))
    if (llvm::Error error = quantizeModel(result, options, given))
      return error;
  result.storage = precision->storage;
  result.precision = arithmeticOf(result.model.graph);
  if (result.storage != ElementType::Undefined && result.precision == "fp32")
    result.precision = std::string(name(result.storage));
  return result;
}

} // namespace npucc
