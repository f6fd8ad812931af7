//===- NetworkBuilder.cpp - Graphs made by hand -------------------------------===//

#include "models/zoo/NetworkBuilder.h"

#include <cmath>

using namespace npucc;
using namespace npucc::zoo;
using llvm::Twine;

ValueId NetworkBuilder::value(const Twine &name) {
  std::string unique = name.str();
  if (unsigned count = names[unique]++)
    unique += "_" + std::to_string(count);
  Value made;
  made.name = std::move(unique);
  graph.values.push_back(std::move(made));
  return static_cast<ValueId>(graph.values.size()) - 1;
}

ValueId NetworkBuilder::input(const Twine &name, ElementType elements,
                              llvm::ArrayRef<std::string> dims) {
  ValueId id = value(name);
  Value &made = graph.values[id];
  made.type = elements;
  made.dims.emplace();
  for (const std::string &dim : dims) {
    int64_t size;
    bool symbol = llvm::StringRef(dim).getAsInteger(10, size);
    made.dims->push_back(symbol ? Dim{-1, dim} : Dim{size, ""});
  }
  graph.inputs.push_back(id);
  return id;
}

void NetworkBuilder::output(const Twine &name, ValueId id) {
  graph.values[id].name = name.str();
  graph.outputs.push_back(id);
}

ValueId NetworkBuilder::weight(const Twine &name, Ints shape, double deviation, double mean) {
  // Seeds are floats in ONNX: whole numbers up to 2^24 are exact.
  return node("RandomNormal", name, {},
              {{"dtype", {static_cast<int64_t>(type)}},
               {"mean", {static_cast<float>(mean)}},
               {"scale", {static_cast<float>(deviation)}},
               {"seed", {static_cast<float>(++weightCount)}},
               {"shape", {std::move(shape)}}});
}

ValueId NetworkBuilder::constant(const Twine &name, Tensor tensor) {
  ValueId id = value(name);
  graph.values[id].type = tensor.type();
  graph.values[id].dims.emplace();
  for (int64_t size : tensor.shape())
    graph.values[id].dims->push_back({size, ""});
  graph.constants[id] = std::move(tensor);
  return id;
}

ValueId NetworkBuilder::ints(const Twine &name, Ints values) {
  return constant(
      name, Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(values.size())}, values));
}

ValueId NetworkBuilder::index(const Twine &name, int64_t number) {
  return constant(name, Tensor::of<int64_t>(ElementType::Int64, {}, number));
}

ValueId NetworkBuilder::floats32(const Twine &name, Ints shape, Floats values) {
  return constant(name, Tensor::of<float>(ElementType::Float32, shape, values));
}

ValueId NetworkBuilder::floats(const Twine &name, Ints shape, Floats values) {
  return constant(name, castTensor(Tensor::of<float>(ElementType::Float32, shape, values), type));
}

ValueId NetworkBuilder::scalar(const Twine &name, double number) {
  return floats(name, {}, {static_cast<float>(number)});
}

std::vector<ValueId> NetworkBuilder::nodes(llvm::StringRef op, const Twine &name,
                                           std::vector<ValueId> inputs, size_t results,
                                           Attributes attributes) {
  std::vector<ValueId> outputs;
  for (size_t i = 0; i < results; ++i)
    outputs.push_back(value(i ? name + "." + Twine(i) : name));
  Node made;
  made.name = graph.values[outputs[0]].name;
  made.opType = op.str();
  made.inputs = std::move(inputs);
  made.outputs = outputs;
  made.attributes = std::move(attributes);
  graph.nodes.push_back(std::move(made));
  return outputs;
}

ValueId NetworkBuilder::node(llvm::StringRef op, const Twine &name, std::vector<ValueId> inputs,
                             Attributes attributes) {
  return nodes(op, name, std::move(inputs), 1, std::move(attributes))[0];
}

ValueId NetworkBuilder::reshape(const Twine &name, ValueId x, Ints shape) {
  return node("Reshape", name, {x, ints(name + ".shape", std::move(shape))});
}

ValueId NetworkBuilder::transpose(const Twine &name, ValueId x, Ints order) {
  return node("Transpose", name, {x}, {{"perm", {std::move(order)}}});
}

ValueId NetworkBuilder::slice(const Twine &name, ValueId x, int64_t axis, int64_t from,
                              int64_t to) {
  return node(
      "Slice", name,
      {x, ints(name + ".from", {from}), ints(name + ".to", {to}), ints(name + ".axis", {axis})});
}

std::vector<ValueId> NetworkBuilder::split(const Twine &name, ValueId x, int64_t axis, Ints sizes) {
  size_t count = sizes.size();
  return nodes("Split", name, {x, ints(name + ".sizes", std::move(sizes))}, count,
               {{"axis", {axis}}});
}

ValueId NetworkBuilder::concat(const Twine &name, std::vector<ValueId> parts, int64_t axis) {
  return node("Concat", name, std::move(parts), {{"axis", {axis}}});
}

ValueId NetworkBuilder::linear(const Twine &name, ValueId x, int64_t from, int64_t to, bool bias) {
  // Variance is kept: 1 / fan-in (LeCun et al., Efficient BackProp, 1998).
  ValueId weights = weight(name + ".weight", {from, to}, 1 / std::sqrt(double(from)));
  if (!bias)
    return node("MatMul", name, {x, weights});
  ValueId product = node("MatMul", name + ".matmul", {x, weights});
  return add(name, product, weight(name + ".bias", {to}, 0.02));
}

ValueId NetworkBuilder::layerNorm(const Twine &name, ValueId x, int64_t width, double epsilon,
                                  bool affine) {
  Attributes attributes{{"axis", {int64_t(-1)}}, {"epsilon", {static_cast<float>(epsilon)}}};
  if (affine)
    return node(
        "LayerNormalization", name,
        {x, weight(name + ".weight", {width}, 0.02, 1), weight(name + ".bias", {width}, 0.02)},
        attributes);
  auto [one, isNew] = unitScales.try_emplace(width, kNoValue);
  if (isNew)
    one->second = floats("unit." + Twine(width), {width}, Floats(static_cast<size_t>(width), 1.0f));
  return node("LayerNormalization", name, {x, one->second}, attributes);
}

ValueId NetworkBuilder::rmsNorm(const Twine &name, ValueId x, int64_t width, double epsilon) {
  return node("RMSNormalization", name, {x, weight(name + ".weight", {width}, 0.02, 1)},
              {{"axis", {int64_t(-1)}}, {"epsilon", {static_cast<float>(epsilon)}}});
}

ValueId NetworkBuilder::gelu(const Twine &name, ValueId x, bool tanhForm) {
  return node("Gelu", name, {x}, {{"approximate", {std::string(tanhForm ? "tanh" : "none")}}});
}

ValueId NetworkBuilder::splitHeads(const Twine &name, ValueId x, int64_t heads, int64_t width) {
  return transpose(name, reshape(name + ".split", x, {0, 0, heads, width}), {0, 2, 1, 3});
}

ValueId NetworkBuilder::mergeHeads(const Twine &name, ValueId x, int64_t heads, int64_t width) {
  return reshape(name, transpose(name + ".tokens", x, {0, 2, 1, 3}), {0, 0, heads * width});
}

ValueId NetworkBuilder::attention(const Twine &name, ValueId q, ValueId k, ValueId v, int64_t width,
                                  ValueId mask) {
  ValueId scores =
      node("MatMul", name + ".scores", {q, transpose(name + ".keys", k, {0, 1, 3, 2})});
  scores = mul(name + ".scaled", scores, scalar(name + ".scale", 1 / std::sqrt(double(width))));
  if (mask != kNoValue)
    scores = add(name + ".masked", scores, mask);
  ValueId weights = node("Softmax", name + ".softmax", {scores}, {{"axis", {int64_t(-1)}}});
  return node("MatMul", name + ".values", {weights, v});
}

ValueId NetworkBuilder::conv(const Twine &name, ValueId x, int64_t from, int64_t to, int64_t kernel,
                             int64_t stride, bool bias, int64_t groups) {
  // He et al., Delving Deep into Rectifiers, ICCV 2015: variance 2 / fan-in.
  int64_t fanIn = from / groups * kernel * kernel, pad = (kernel - 1) / 2;
  std::vector<ValueId> inputs{x, weight(name + ".weight", {to, from / groups, kernel, kernel},
                                        std::sqrt(2.0 / double(fanIn)))};
  if (bias)
    inputs.push_back(weight(name + ".bias", {to}, 0.02));
  return node("Conv", name, std::move(inputs),
              {{"group", {groups}},
               {"kernel_shape", {Ints{kernel, kernel}}},
               {"pads", {Ints{pad, pad, pad, pad}}},
               {"strides", {Ints{stride, stride}}}});
}
