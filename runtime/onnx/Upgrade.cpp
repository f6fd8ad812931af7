//===- Upgrade.cpp - Brings operators to their newest form --------------------===//
//
// One table: operator, the version in which its form changed, and what brings an
// older node over that change. Entries of one operator stand in ascending order.
// What stayed compatible (new types, new optional attributes whose default is the
// old meaning) needs no entry.
//
//===----------------------------------------------------------------------===//

#include "runtime/onnx/Upgrade.h"

#include "runtime/onnx/Errors.h"

#include <onnx/onnx_pb.h>

#include <cfloat>
#include <cmath>

using namespace npucc;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// Names and new nodes
//===----------------------------------------------------------------------===//

std::string NameSet::unique(std::string name) {
  auto [it, fresh] = taken.try_emplace(name, 1);
  if (fresh)
    return name;
  // References into the map do not outlive the next insertion.
  for (unsigned suffix = it->second;; ++suffix) {
    std::string candidate = name + "_" + std::to_string(suffix);
    if (taken.try_emplace(candidate, 1).second) {
      taken[name] = suffix + 1;
      return candidate;
    }
  }
}

ValueId NodeSink::addValue(std::string name) {
  Value value;
  value.name = std::move(name);
  graph.values.push_back(std::move(value));
  return static_cast<ValueId>(graph.values.size() - 1);
}

ValueId NodeSink::addConstant(const std::string &name, Tensor tensor) {
  ValueId id = addValue(name);
  Value &value = graph.values[id];
  value.type = tensor.type();
  value.dims.emplace();
  for (int64_t size : tensor.shape())
    value.dims->push_back({size, ""});
  graph.constants[id] = std::move(tensor);
  return id;
}

ValueId NodeSink::emit(const std::string &opType, const std::string &name,
                       std::vector<ValueId> inputs,
                       std::map<std::string, Attribute, std::less<>> attributes) {
  Node node;
  node.name = names.unique(name);
  node.opType = opType;
  node.inputs = std::move(inputs);
  node.outputs = {addValue(node.name)};
  node.attributes = std::move(attributes);
  nodes.push_back(std::move(node));
  return nodes.back().outputs[0];
}

namespace {

Tensor vectorOf(llvm::ArrayRef<int64_t> values) {
  return Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(values.size())}, values);
}

Tensor scalarOf(int64_t value) { return Tensor::of<int64_t>(ElementType::Int64, {}, value); }

/// The node that is being upgraded, and where new ones go.
struct Upgrade {
  Node &node;
  NodeSink &sink;

  ValueId input(size_t i) const { return i < node.inputs.size() ? node.inputs[i] : kNoValue; }

  void setInput(size_t i, ValueId value) {
    if (node.inputs.size() <= i)
      node.inputs.resize(i + 1, kNoValue);
    node.inputs[i] = value;
  }

  std::string nameFor(StringRef part) const { return node.name + "/" + part.str(); }

  void dropAttribute(StringRef name) {
    auto it = node.attributes.find(std::string_view(name));
    if (it != node.attributes.end())
      node.attributes.erase(it);
  }

  void setAttribute(const std::string &name, Attribute value) {
    node.attributes.insert_or_assign(name, std::move(value));
  }

  /// Makes the attribute of integers, if there, the constant input `i`.
  void intsToInput(StringRef name, size_t i) {
    if (node.has(name))
      setInput(i, sink.addConstant(nameFor(name), vectorOf(node.getInts(name))));
    dropAttribute(name);
  }

  /// A scalar of the type that input 0 has, which may become known only later.
  ValueId scalarLikeInput(StringRef name, float value) {
    Tensor scalar = Tensor::of<float>(ElementType::Float32, {}, value);
    ElementType type = sink.graph.values[node.inputs[0]].type;
    if (type != ElementType::Undefined && type != ElementType::String)
      return sink.addConstant(nameFor(name), castTensor(scalar, type));
    ValueId constant = sink.addConstant(nameFor(name) + "/value", scalar);
    return sink.emit("CastLike", nameFor(name), {constant, node.inputs[0]});
  }
};

using Step = llvm::Error (*)(Upgrade &);

llvm::Error done() { return llvm::Error::success(); }

//===----------------------------------------------------------------------===//
// The steps
//===----------------------------------------------------------------------===//

/// The types had names once: "FLOAT".
llvm::Error castByName(Upgrade &u) {
  onnx::TensorProto_DataType type;
  if (!onnx::TensorProto_DataType_Parse(u.node.getString("to", ""), &type))
    return makeError("attribute 'to' names no type");
  u.setAttribute("to", {int64_t(type)});
  return done();
}

llvm::Error concatDefault(Upgrade &u) {
  if (!u.node.has("axis"))
    u.setAttribute("axis", {int64_t(1)});
  return done();
}

/// In version 1 the exponent was a float.
llvm::Error wholeExponent(Upgrade &u) {
  float p = u.node.getFloat("p", 2);
  if (p != std::trunc(p) || !(std::abs(p) < 1024))
    return makeError("attribute 'p' is not a whole number, which is not supported");
  u.setAttribute("p", {static_cast<int64_t>(p)});
  return done();
}

llvm::Error padPaddings(Upgrade &u) {
  if (!u.node.has("paddings"))
    return makeError("attribute 'paddings' is missing");
  u.setAttribute("pads", {u.node.getInts("paddings")});
  u.dropAttribute("paddings");
  return done();
}

llvm::Error reshapeToInput(Upgrade &u) {
  if (!u.node.has("shape"))
    return makeError("attribute 'shape' is missing");
  u.intsToInput("shape", 1);
  return done();
}

llvm::Error seluDefaults(Upgrade &u) {
  if (!u.node.has("alpha"))
    u.setAttribute("alpha", {1.6732f});
  if (!u.node.has("gamma"))
    u.setAttribute("gamma", {1.0507f});
  return done();
}

llvm::Error oldTile(Upgrade &) { return makeError("Tile of version 1 is not supported"); }

/// Up to 6, `axis` told where the second operand's dimensions lie in the first's.
/// That takes the first one's rank, so the preparation deals with it.
llvm::Error oldBroadcast(Upgrade &u) {
  if (!u.node.getInt("broadcast", 0) || !u.node.has("axis"))
    u.dropAttribute("axis");
  u.dropAttribute("broadcast");
  return done();
}

/// Up to 6, a vector of slopes was one for each channel.
llvm::Error oldPRelu(Upgrade &u) {
  u.setAttribute("axis", {int64_t(1)});
  return done();
}

llvm::Error dropBroadcast(Upgrade &u) {
  u.dropAttribute("broadcast");
  return done();
}

llvm::Error axesToInput(Upgrade &u) {
  u.intsToInput("axes", 1);
  return done();
}

llvm::Error sliceToInputs(Upgrade &u) {
  if (!u.node.has("starts") || !u.node.has("ends"))
    return makeError("attributes 'starts' and 'ends' are missing");
  u.intsToInput("starts", 1);
  u.intsToInput("ends", 2);
  u.intsToInput("axes", 3);
  return done();
}

llvm::Error padToInputs(Upgrade &u) {
  if (!u.node.has("pads"))
    return makeError("attribute 'pads' is missing");
  u.intsToInput("pads", 1);
  float value = u.node.getFloat("value", 0);
  u.dropAttribute("value");
  if (value != 0)
    u.setInput(2, u.scalarLikeInput("value", value));
  return done();
}

llvm::Error clipToInputs(Upgrade &u) {
  float low = u.node.getFloat("min", -FLT_MAX), high = u.node.getFloat("max", FLT_MAX);
  u.dropAttribute("min");
  u.dropAttribute("max");
  if (low > -FLT_MAX)
    u.setInput(1, u.scalarLikeInput("min", low));
  if (high < FLT_MAX)
    u.setInput(2, u.scalarLikeInput("max", high));
  return done();
}

llvm::Error splitToInput(Upgrade &u) {
  u.intsToInput("split", 1);
  return done();
}

/// Before 18 the number of outputs told into how many equal parts to split.
llvm::Error splitNumOutputs(Upgrade &u) {
  if (u.input(1) == kNoValue)
    u.setAttribute("num_outputs", {static_cast<int64_t>(u.node.outputs.size())});
  return done();
}

llvm::Error topKToInput(Upgrade &u) {
  if (!u.node.has("k"))
    return makeError("attribute 'k' is missing");
  u.setInput(1, u.sink.addConstant(u.nameFor("k"), vectorOf(u.node.getInt("k", 0))));
  u.dropAttribute("k");
  return done();
}

/// Up to 12 the operator saw a matrix: everything from `axis` on was one dimension.
/// Preparation turns this back into one node where that means the same.
llvm::Error coercedToMatrix(Upgrade &u) {
  Node &node = u.node;
  int64_t axis = node.getInt("axis", 1);
  ValueId source = node.inputs[0];
  ValueId matrix = u.sink.emit("Flatten", u.nameFor("flatten"), {source}, {{"axis", {axis}}});
  ValueId result = u.sink.addValue(u.nameFor("matrix"));
  ValueId shape = u.sink.emit("Shape", u.nameFor("shape"), {source});
  Node reshape;
  reshape.name = u.sink.names.unique(u.nameFor("reshape"));
  reshape.opType = "Reshape";
  reshape.inputs = {result, shape};
  reshape.outputs = node.outputs;
  // A dimension of 0 in the shape is that dimension, not a copied one.
  reshape.attributes["allowzero"] = {int64_t(1)};
  node.inputs = {matrix};
  node.outputs = {result};
  u.setAttribute("axis", {int64_t(-1)});
  u.sink.nodes.push_back(std::move(node));
  node = std::move(reshape);
  return done();
}

/// Upsample, and Resize as it was in version 10.
llvm::Error toResize(Upgrade &u) {
  Node &node = u.node;
  ValueId scales = u.input(1);
  if (node.has("scales")) {
    std::vector<float> values = node.getFloats("scales");
    Shape shape{static_cast<int64_t>(values.size())};
    scales = u.sink.addConstant(u.nameFor("scales"),
                                Tensor::of<float>(ElementType::Float32, shape, values));
    u.dropAttribute("scales");
  }
  if (scales == kNoValue)
    return makeError("it has no scales");
  node.opType = "Resize";
  node.inputs = {node.inputs[0], kNoValue, scales};
  std::string mode = node.getString("mode", "nearest");
  if (mode == "bilinear")
    mode = "linear";
  u.setAttribute("mode", {mode});
  u.setAttribute("coordinate_transformation_mode", {std::string("asymmetric")});
  // Version 10 took the element below when enlarging, the one above when shrinking.
  bool shrinks = false;
  if (const Tensor *constant = u.sink.graph.constant(scales))
    for (int64_t i = 0; i < constant->size(); ++i)
      shrinks |= isFloat(constant->type()) && constant->asDouble(i) < 1;
  u.setAttribute("nearest_mode", {std::string(shrinks ? "ceil" : "floor")});
  return done();
}

llvm::Error batchNormalization(Upgrade &u) {
  if (!u.node.getInt("spatial", 1))
    return makeError("attribute 'spatial' = 0 is not supported");
  u.dropAttribute("spatial");
  u.dropAttribute("is_test");
  // The other outputs were for training only.
  if (u.node.outputs.size() > 1)
    u.node.outputs.resize(1);
  return done();
}

llvm::Error dropout(Upgrade &u) {
  u.dropAttribute("ratio");
  u.dropAttribute("is_test");
  return done();
}

/// From 21 on, scale and bias are given for each channel, not for each group.
llvm::Error groupNormalization(Upgrade &u) {
  int64_t groups = u.node.getInt("num_groups", 0);
  if (groups < 1)
    return makeError("attribute 'num_groups' must be positive");
  NodeSink &sink = u.sink;
  ValueId channels = sink.emit("Shape", u.nameFor("channels"), {u.node.inputs[0]},
                               {{"start", {int64_t(1)}}, {"end", {int64_t(2)}}});
  ValueId count = sink.addConstant(u.nameFor("groups"), vectorOf(groups));
  ValueId each = sink.emit("Div", u.nameFor("channels_per_group"), {channels, count});
  ValueId target =
      sink.emit("Concat", u.nameFor("expanded_shape"), {count, each}, {{"axis", {int64_t(0)}}});
  ValueId one = sink.addConstant(u.nameFor("axis"), vectorOf(1));
  ValueId flat = sink.addConstant(u.nameFor("flat"), vectorOf(-1));
  for (size_t i : {1, 2}) {
    if (u.input(i) == kNoValue)
      return makeError("it needs a scale and a bias");
    std::string part = i == 1 ? "scale" : "bias";
    ValueId column = sink.emit("Unsqueeze", u.nameFor(part + "_column"), {u.input(i), one});
    ValueId wide = sink.emit("Expand", u.nameFor(part + "_expanded"), {column, target});
    u.setInput(i, sink.emit("Reshape", u.nameFor(part), {wide, flat}));
  }
  return done();
}

llvm::Error scatter(Upgrade &u) {
  u.node.opType = "ScatterElements";
  return done();
}

llvm::Error roiAlign(Upgrade &u) {
  u.setAttribute("coordinate_transformation_mode", {std::string("output_half_pixel")});
  return done();
}

llvm::Error gridSample(Upgrade &u) {
  std::string mode = u.node.getString("mode", "bilinear");
  u.setAttribute("mode", {std::string(mode == "bilinear"  ? "linear"
                                      : mode == "bicubic" ? "cubic"
                                                          : mode)});
  return done();
}

llvm::Error dft(Upgrade &u) {
  u.setInput(2, u.sink.addConstant(u.nameFor("axis"), scalarOf(u.node.getInt("axis", 1))));
  u.dropAttribute("axis");
  return done();
}

/// Version 8 had a batch in front of the sequence: a Scan over samples, each scanned as today.
llvm::Error oldScan(Upgrade &u) {
  Node &node = u.node;
  std::shared_ptr<Graph> body = node.getGraph("body");
  if (!body)
    return makeError("attribute 'body' is missing");
  if (node.inputs[0] != kNoValue)
    return makeError("sequence lengths, which Scan of version 8 has, are not supported");
  node.inputs.erase(node.inputs.begin());

  auto sample = std::make_shared<Graph>();
  sample->name = body->name;
  auto addValue = [&] {
    sample->values.emplace_back();
    sample->values.back().name = node.name + "/" + std::to_string(sample->values.size());
    return static_cast<ValueId>(sample->values.size() - 1);
  };
  Node inner;
  inner.name = u.nameFor("sample");
  inner.opType = "Scan";
  for (size_t i = 0; i < node.inputs.size(); ++i)
    sample->inputs.push_back(addValue());
  for (size_t i = 0; i < node.outputs.size(); ++i)
    sample->outputs.push_back(addValue());
  inner.inputs = sample->inputs;
  inner.outputs = sample->outputs;
  auto scanned = std::make_shared<Graph>(*body);
  for (auto &capture : scanned->captures) {
    sample->captures.emplace_back(addValue(), capture.second);
    capture.second = sample->captures.back().first;
  }
  inner.attributes["body"] = {std::move(scanned)};
  inner.attributes["num_scan_inputs"] = {node.getInt("num_scan_inputs", 0)};
  inner.attributes["scan_input_directions"] = {node.getInts("directions")};
  sample->nodes.push_back(std::move(inner));

  auto all = static_cast<int64_t>(node.inputs.size());
  node.attributes.clear();
  node.attributes["body"] = {std::move(sample)};
  node.attributes["num_scan_inputs"] = {all};
  return llvm::Error::success();
}

struct Entry {
  const char *opType;
  int64_t before; ///< nodes read by an older version than this need the step
  Step step;
};

constexpr Entry kSteps[] = {
    {"Add", 7, oldBroadcast},
    {"And", 7, oldBroadcast},
    {"BatchNormalization", 14, batchNormalization},
    {"Cast", 6, castByName},
    {"Clip", 11, clipToInputs},
    {"Concat", 4, concatDefault},
    {"DFT", 20, dft},
    {"Div", 7, oldBroadcast},
    {"Dropout", 12, dropout},
    {"Equal", 7, oldBroadcast},
    {"Gemm", 7, dropBroadcast},
    {"GlobalLpPool", 2, wholeExponent},
    {"Greater", 7, oldBroadcast},
    {"GridSample", 20, gridSample},
    {"GroupNormalization", 21, groupNormalization},
    {"Hardmax", 13, coercedToMatrix},
    {"Less", 7, oldBroadcast},
    {"LogSoftmax", 13, coercedToMatrix},
    {"LpPool", 2, wholeExponent},
    {"Mul", 7, oldBroadcast},
    {"Or", 7, oldBroadcast},
    {"PRelu", 7, oldPRelu},
    {"Pad", 2, padPaddings},
    {"Pad", 11, padToInputs},
    {"Pow", 7, oldBroadcast},
    {"ReduceL1", 18, axesToInput},
    {"ReduceL2", 18, axesToInput},
    {"ReduceLogSum", 18, axesToInput},
    {"ReduceLogSumExp", 18, axesToInput},
    {"ReduceMax", 18, axesToInput},
    {"ReduceMean", 18, axesToInput},
    {"ReduceMin", 18, axesToInput},
    {"ReduceProd", 18, axesToInput},
    {"ReduceSum", 13, axesToInput},
    {"ReduceSumSquare", 18, axesToInput},
    {"Reshape", 5, reshapeToInput},
    {"Resize", 11, toResize},
    {"RoiAlign", 16, roiAlign},
    {"Scan", 9, oldScan},
    {"Scatter", 11, scatter},
    {"Selu", 6, seluDefaults},
    {"Slice", 10, sliceToInputs},
    {"Softmax", 13, coercedToMatrix},
    {"Split", 13, splitToInput},
    {"Split", 18, splitNumOutputs},
    {"Squeeze", 13, axesToInput},
    {"Sub", 7, oldBroadcast},
    {"Tile", 6, oldTile},
    {"TopK", 10, topKToInput},
    {"Unsqueeze", 13, axesToInput},
    {"Upsample", kNewestOpset + 1, toResize},
    {"Xor", 7, oldBroadcast},
};

} // namespace

llvm::Error npucc::upgradeNode(Node node, int64_t opset, NodeSink &sink) {
  Upgrade upgrade{node, sink};
  upgrade.dropAttribute("consumed_inputs");
  std::string opType = node.opType;
  for (const Entry &entry : kSteps) {
    if (opType != entry.opType || opset >= entry.before)
      continue;
    bool optionalFirst = opType == "Scan";
    if (node.inputs.empty() || (node.inputs[0] == kNoValue && !optionalFirst) ||
        node.outputs.empty())
      return makeError("its first input or its output is missing");
    if (llvm::Error error = entry.step(upgrade))
      return error;
  }
  // An empty tensor means the same as an absent one.
  if (opType == "Resize")
    for (size_t i = 1; i < node.inputs.size(); ++i)
      if (const Tensor *constant = sink.graph.constant(node.inputs[i]))
        if (constant->size() == 0)
          node.inputs[i] = kNoValue;
  sink.nodes.push_back(std::move(node));
  return llvm::Error::success();
}
