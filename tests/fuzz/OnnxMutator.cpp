//===- OnnxMutator.cpp - Random changes of ONNX files -------------------------===//

#include "tests/fuzz/OnnxMutator.h"

#include "runtime/onnx/AttributeKinds.h"
#include "runtime/ops/Registry.h"

#include <cmath>

using namespace npucc;
using namespace npucc::test;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

namespace {

constexpr int64_t kNumbers[] = {
    0,   1,    2,     3,         4,         5,         6,         7,         8,         9,
    16,  -1,   -2,    -3,        -7,        100,       1000,      65536,     INT32_MAX, INT32_MIN,
    127, -128, 32768, 1LL << 31, 1LL << 32, 1LL << 40, 1LL << 60, 1LL << 62, INT64_MAX, INT64_MIN};

constexpr const char *kAttributes[] = {"activations",
                                       "activation_alpha",
                                       "activation_beta",
                                       "allowzero",
                                       "alpha",
                                       "antialias",
                                       "auto_pad",
                                       "axes",
                                       "axis",
                                       "batch_dims",
                                       "beta",
                                       "bias",
                                       "block_size",
                                       "blocksize",
                                       "body",
                                       "ceil_mode",
                                       "center_point_box",
                                       "clip",
                                       "coordinate_transformation_mode",
                                       "count_include_pad",
                                       "cubic_coeff_a",
                                       "detect_negative",
                                       "detect_positive",
                                       "dilations",
                                       "direction",
                                       "do_rotary",
                                       "dtype",
                                       "else_branch",
                                       "end",
                                       "ends",
                                       "epsilon",
                                       "equation",
                                       "exclude_outside",
                                       "exclusive",
                                       "extrapolation_value",
                                       "fmod",
                                       "gamma",
                                       "group",
                                       "hidden_size",
                                       "high",
                                       "input_forget",
                                       "interleaved",
                                       "is_causal",
                                       "k",
                                       "keep_aspect_ratio_policy",
                                       "keepdims",
                                       "kernel_shape",
                                       "kv_num_heads",
                                       "lambd",
                                       "largest",
                                       "layout",
                                       "linear_before_reset",
                                       "local_window_size",
                                       "low",
                                       "max",
                                       "mean",
                                       "min",
                                       "mode",
                                       "nearest_mode",
                                       "noop_with_empty_axes",
                                       "num_groups",
                                       "num_heads",
                                       "num_outputs",
                                       "num_scan_inputs",
                                       "onesided",
                                       "output_datatype",
                                       "output_dtype",
                                       "output_height",
                                       "output_padding",
                                       "output_shape",
                                       "output_width",
                                       "p",
                                       "padding_mode",
                                       "pads",
                                       "perm",
                                       "pooled_shape",
                                       "q_num_heads",
                                       "qk_matmul_output_mode",
                                       "reduction",
                                       "reverse",
                                       "rotary_embedding_dim",
                                       "sample_size",
                                       "sampling_ratio",
                                       "saturate",
                                       "scale",
                                       "scan_input_axes",
                                       "scan_input_directions",
                                       "scan_output_axes",
                                       "scan_output_directions",
                                       "seed",
                                       "select_last_index",
                                       "shape",
                                       "size",
                                       "smooth_softmax",
                                       "softcap",
                                       "sorted",
                                       "spatial_scale",
                                       "split",
                                       "start",
                                       "starts",
                                       "stash_type",
                                       "steps",
                                       "storage_order",
                                       "strides",
                                       "then_branch",
                                       "to",
                                       "transA",
                                       "transB",
                                       "transBatchA",
                                       "transBatchB",
                                       "unidirectional",
                                       "upper",
                                       "value",
                                       "value_float",
                                       "value_floats",
                                       "value_int",
                                       "value_ints",
                                       "values",
                                       "ignore_index",
                                       "align_corners",
                                       "N",
                                       "bits",
                                       "block_size",
                                       "size",
                                       "bias",
                                       "alphas",
                                       "training_mode"};

constexpr const char *kTexts[] = {"",
                                  "constant",
                                  "reflect",
                                  "edge",
                                  "wrap",
                                  "linear",
                                  "cubic",
                                  "nearest",
                                  "SAME_UPPER",
                                  "SAME_LOWER",
                                  "VALID",
                                  "NOTSET",
                                  "DCR",
                                  "CRD",
                                  "bilinear",
                                  "bicubic",
                                  "align_corners",
                                  "half_pixel",
                                  "half_pixel_symmetric",
                                  "pytorch_half_pixel",
                                  "asymmetric",
                                  "tf_crop_and_resize",
                                  "tf_half_pixel_for_nn",
                                  "round_prefer_ceil",
                                  "floor",
                                  "ceil",
                                  "not_larger",
                                  "not_smaller",
                                  "forward",
                                  "reverse",
                                  "bidirectional",
                                  "ij,jk->ik",
                                  "...i->i",
                                  "i,i,->",
                                  "->->",
                                  "ii->i",
                                  "i j , j",
                                  "bij,bjk",
                                  "sum",
                                  "mean",
                                  "none",
                                  "avg",
                                  "max",
                                  "min",
                                  "add",
                                  "mul",
                                  "tanh",
                                  "Tanh",
                                  "Sigmoid",
                                  "Relu",
                                  "Affine",
                                  "zeros",
                                  "border",
                                  "reflection",
                                  "LEFT",
                                  "RIGHT",
                                  "two\nlines",
                                  "\xff\xfe",
                                  "output_half_pixel"};

/// Every message below `message`, itself included.
void collect(Message &message, std::vector<Message *> &out) {
  out.push_back(&message);
  const Reflection &reflection = *message.GetReflection();
  std::vector<const FieldDescriptor *> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor *field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
      continue;
    if (!field->is_repeated()) {
      collect(*reflection.MutableMessage(&message, field), out);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i)
      collect(*reflection.MutableRepeatedMessage(&message, field, i), out);
  }
}

/// The graphs of a model, the main one first.
std::vector<onnx::GraphProto *> graphsOf(onnx::ModelProto &model) {
  std::vector<Message *> all;
  collect(*model.mutable_graph(), all);
  std::vector<onnx::GraphProto *> graphs;
  for (Message *message : all)
    if (message->GetDescriptor() == onnx::GraphProto::descriptor())
      graphs.push_back(static_cast<onnx::GraphProto *>(message));
  return graphs;
}

} // namespace

int64_t OnnxMutator::number() {
  if (oneIn(3))
    return pick(kNumbers);
  return static_cast<int64_t>(below(12)) - 2;
}

std::vector<int64_t> OnnxMutator::numbers(size_t most) {
  std::vector<int64_t> list(below(most + 1));
  for (int64_t &value : list)
    value = number();
  return list;
}

std::string OnnxMutator::text() { return pick(kTexts); }

int32_t OnnxMutator::elementType() {
  constexpr int32_t usual[] = {1, 1, 1, 7, 7, 6, 9, 2, 3, 10, 16, 11};
  return oneIn(4) ? static_cast<int32_t>(below(24)) : pick(usual);
}

/// Gives a tensor a type, a shape and, where that is little, as many bytes as they ask for.
void OnnxMutator::fill(onnx::TensorProto &tensor, int32_t type, const std::vector<int64_t> &dims) {
  std::string name = tensor.name();
  tensor.Clear();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (int64_t dim : dims)
    tensor.add_dims(dim);
  std::optional<int64_t> count = checkedElementCount(dims);
  if (!count || *count > 256 || type < 1 || type > static_cast<int32_t>(ElementType::Int4))
    return;
  auto elements = static_cast<size_t>(*count);
  auto element = static_cast<ElementType>(type);
  if (element == ElementType::String) {
    for (size_t i = 0; i < elements; ++i)
      tensor.add_string_data(text());
    return;
  }
  std::string bytes;
  for (size_t i = 0; i < elements; ++i) {
    if (element == ElementType::Float32) {
      constexpr float special[] = {0, -1, 1e30f, INFINITY, -INFINITY, NAN, 1e-40f};
      float value = oneIn(8) ? pick(special) : static_cast<float>(below(200)) / 32.f - 2;
      bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
    } else if (element == ElementType::Int64) {
      int64_t value = number();
      bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
    } else if (element == ElementType::Int32) {
      auto value = static_cast<int32_t>(number());
      bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
    } else {
      size_t width = bitWidth(element) / 8;
      for (size_t b = 0; b < std::max<size_t>(width, i % 2 || width ? width : 1); ++b)
        bytes.push_back(static_cast<char>(below(element == ElementType::Bool ? 2 : 256)));
    }
  }
  tensor.set_raw_data(bytes);
}

std::string OnnxMutator::valueName(const onnx::GraphProto &graph) {
  switch (below(8)) {
  case 0:
    return "";
  case 1:
  case 2:
    if (graph.input_size())
      return graph.input(static_cast<int>(below(graph.input_size()))).name();
    break;
  case 3:
  case 4:
    if (graph.initializer_size())
      return graph.initializer(static_cast<int>(below(graph.initializer_size()))).name();
    break;
  default:
    break;
  }
  for (int tries = 0; tries < 3 && graph.node_size(); ++tries) {
    const auto &node = graph.node(static_cast<int>(below(graph.node_size())));
    bool in = oneIn(2);
    int size = in ? node.input_size() : node.output_size();
    if (size)
      return in ? node.input(static_cast<int>(below(size)))
                : node.output(static_cast<int>(below(size)));
  }
  return "x";
}

std::string OnnxMutator::freshName(const onnx::GraphProto &graph) {
  return "v" + std::to_string(graph.node_size() + graph.initializer_size()) + "_" +
         std::to_string(below(1000));
}

//===----------------------------------------------------------------------===//
// By reflection
//===----------------------------------------------------------------------===//

void OnnxMutator::mutateField(Message &root) {
  std::vector<Message *> all;
  collect(root, all);
  Message &message = *pick(all);
  const Reflection &reflection = *message.GetReflection();
  const Descriptor &descriptor = *message.GetDescriptor();
  // A field that is there, or, more rarely, any.
  std::vector<const FieldDescriptor *> fields;
  reflection.ListFields(message, &fields);
  const FieldDescriptor *field =
      fields.empty() || oneIn(3)
          ? descriptor.field(static_cast<int>(below(descriptor.field_count())))
          : pick(fields);
  bool repeated = field->is_repeated(),
       isMessage = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  int size = repeated ? reflection.FieldSize(message, field) : 0;
  int at = size ? static_cast<int>(below(static_cast<uint64_t>(size))) : 0;
  if (oneIn(4)) { // take away
    if (!repeated || oneIn(4))
      return reflection.ClearField(&message, field);
    if (!size)
      return;
    reflection.SwapElements(&message, field, at, size - 1);
    if (oneIn(2))
      reflection.RemoveLast(&message, field);
    return;
  }
  if (isMessage) {
    // A copy of a message of the same kind, or an empty one.
    std::vector<Message *> same;
    for (Message *other : all)
      if (other->GetDescriptor() == field->message_type())
        same.push_back(other);
    std::string bytes;
    if (!same.empty() && !oneIn(4))
      pick(same)->SerializePartialToString(&bytes);
    Message &target = !repeated          ? *reflection.MutableMessage(&message, field)
                      : size && oneIn(2) ? *reflection.MutableRepeatedMessage(&message, field, at)
                                         : *reflection.AddMessage(&message, field);
    target.ParsePartialFromString(bytes);
    return;
  }
  bool add = repeated && (!size || oneIn(3));
  int64_t value = number();
  auto small = static_cast<int32_t>(value);
  float real = oneIn(6) ? (oneIn(2) ? INFINITY : NAN) : static_cast<float>(value) / 4;
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT64:
    return add        ? reflection.AddInt64(&message, field, value)
           : repeated ? reflection.SetRepeatedInt64(&message, field, at, value)
                      : reflection.SetInt64(&message, field, value);
  case FieldDescriptor::CPPTYPE_UINT64:
    return add ? reflection.AddUInt64(&message, field, static_cast<uint64_t>(value))
           : repeated
               ? reflection.SetRepeatedUInt64(&message, field, at, static_cast<uint64_t>(value))
               : reflection.SetUInt64(&message, field, static_cast<uint64_t>(value));
  case FieldDescriptor::CPPTYPE_INT32:
    return add        ? reflection.AddInt32(&message, field, small)
           : repeated ? reflection.SetRepeatedInt32(&message, field, at, small)
                      : reflection.SetInt32(&message, field, small);
  case FieldDescriptor::CPPTYPE_FLOAT:
    return add        ? reflection.AddFloat(&message, field, real)
           : repeated ? reflection.SetRepeatedFloat(&message, field, at, real)
                      : reflection.SetFloat(&message, field, real);
  case FieldDescriptor::CPPTYPE_DOUBLE:
    return add        ? reflection.AddDouble(&message, field, real)
           : repeated ? reflection.SetRepeatedDouble(&message, field, at, real)
                      : reflection.SetDouble(&message, field, real);
  case FieldDescriptor::CPPTYPE_ENUM: {
    int choice = static_cast<int>(below(16));
    return add        ? reflection.AddEnumValue(&message, field, choice)
           : repeated ? reflection.SetRepeatedEnumValue(&message, field, at, choice)
                      : reflection.SetEnumValue(&message, field, choice);
  }
  case FieldDescriptor::CPPTYPE_STRING: {
    std::string old;
    if (repeated && size)
      old = reflection.GetRepeatedString(message, field, at);
    else if (!repeated)
      old = reflection.GetString(message, field);
    std::string fresh = old;
    if (field->name() == "op_type")
      fresh = pick(allOps())->name;
    else if (field->name() == "raw_data" && !old.empty() && !oneIn(4))
      for (uint64_t count = 1 + below(4); count; --count)
        fresh[below(fresh.size())] = static_cast<char>(oneIn(3) ? 255 : below(256));
    else if (oneIn(2) || old.empty())
      fresh = oneIn(4) ? pick(kAttributes) : text();
    else
      fresh.resize(below(old.size() + 4));
    return add        ? reflection.AddString(&message, field, fresh)
           : repeated ? reflection.SetRepeatedString(&message, field, at, fresh)
                      : reflection.SetString(&message, field, fresh);
  }
  default:
    return reflection.ClearField(&message, field);
  }
}

void OnnxMutator::crossOver(onnx::ModelProto &model, const onnx::ModelProto &other) {
  onnx::ModelProto donor = other;
  std::vector<Message *> places, parts, fitting;
  collect(model, places);
  collect(donor, parts);
  const Message &part = *pick(parts);
  // In the place of a message of that kind, or behind it where there may be several.
  for (Message *place : places)
    if (place->GetDescriptor() == part.GetDescriptor())
      fitting.push_back(place);
  if (!fitting.empty() && !oneIn(4)) {
    pick(fitting)->CopyFrom(part);
    return;
  }
  for (Message *place : places) {
    const Descriptor &descriptor = *place->GetDescriptor();
    for (int i = 0; i < descriptor.field_count(); ++i) {
      const FieldDescriptor *field = descriptor.field(i);
      if (field->is_repeated() && field->message_type() == part.GetDescriptor() && oneIn(2)) {
        place->GetReflection()->AddMessage(place, field)->CopyFrom(part);
        return;
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// By what is known of ONNX
//===----------------------------------------------------------------------===//

void OnnxMutator::addAttribute(onnx::NodeProto &node) {
  onnx::AttributeProto *attribute = nullptr;
  if (node.attribute_size() && oneIn(2))
    attribute = node.mutable_attribute(static_cast<int>(below(node.attribute_size())));
  else
    attribute = node.add_attribute();
  std::string name = attribute->name().empty() || oneIn(4) ? pick(kAttributes) : attribute->name();
  int kind = attribute->type() && !oneIn(4) ? attribute->type() : 1 + static_cast<int>(below(8));
  // Another kind than the right one is an early error.
  if (std::optional<size_t> known = attributeKind(name); known && !oneIn(16)) {
    using Proto = onnx::AttributeProto; // in the order of Attribute::value
    constexpr int kinds[] = {Proto::INT,   Proto::FLOAT, Proto::STRING, Proto::TENSOR,
                             Proto::GRAPH, Proto::INTS,  Proto::FLOATS, Proto::STRINGS};
    kind = kinds[*known];
  }
  attribute->Clear();
  attribute->set_name(name);
  attribute->set_type(static_cast<onnx::AttributeProto::AttributeType>(kind));
  switch (kind) {
  case onnx::AttributeProto::FLOAT:
    return attribute->set_f(oneIn(4) ? (oneIn(2) ? INFINITY : NAN)
                                     : static_cast<float>(number()) / 4);
  case onnx::AttributeProto::STRING:
    return attribute->set_s(text());
  case onnx::AttributeProto::TENSOR:
    return fill(*attribute->mutable_t(), elementType(), {1});
  case onnx::AttributeProto::INTS:
    for (int64_t value : numbers(5))
      attribute->add_ints(value);
    return;
  case onnx::AttributeProto::FLOATS:
    for (int64_t value : numbers(4))
      attribute->add_floats(static_cast<float>(value) / 4);
    return;
  case onnx::AttributeProto::STRINGS:
    for (uint64_t count = below(4); count; --count)
      attribute->add_strings(text());
    return;
  case onnx::AttributeProto::GRAPH:
    attribute->mutable_g()->add_output()->set_name("inner");
    return;
  default:
    attribute->set_type(onnx::AttributeProto::INT);
    return attribute->set_i(number());
  }
}

void OnnxMutator::addNode(onnx::GraphProto &graph) {
  const OpInfo *op = pick(allOps());
  onnx::NodeProto node;
  node.set_op_type(op->name);
  node.set_domain(op->domain);
  for (uint64_t count = below(5) + !oneIn(8); count; --count)
    node.add_input(valueName(graph));
  std::string name = freshName(graph);
  node.add_output(name);
  for (int i = 1; oneIn(3); ++i)
    node.add_output(name + "_" + std::to_string(i));
  for (uint64_t count = below(4); count; --count)
    addAttribute(node);
  graph.add_node()->Swap(&node);
  if (graph.output_size() && oneIn(2))
    graph.mutable_output(static_cast<int>(below(graph.output_size())))->set_name(name);
  else
    graph.add_output()->set_name(name);
}

/// Another operand, one more or one less.
void OnnxMutator::rewire(onnx::GraphProto &graph) {
  if (!graph.node_size())
    return addNode(graph);
  onnx::NodeProto &node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
  if (!node.input_size() || oneIn(4))
    node.add_input(valueName(graph));
  else if (oneIn(6))
    node.mutable_input()->RemoveLast();
  else
    node.set_input(static_cast<int>(below(node.input_size())), valueName(graph));
  if (oneIn(8))
    node.add_output(freshName(graph));
}

/// A constant as an operand of a node.
void OnnxMutator::addConstant(onnx::GraphProto &graph) {
  std::vector<int64_t> dims(below(5));
  for (int64_t &dim : dims)
    dim = oneIn(16) ? number() : static_cast<int64_t>(below(5));
  onnx::TensorProto tensor;
  tensor.set_name(freshName(graph));
  if (oneIn(3))
    dims.resize(1, 3);
  fill(tensor, elementType(), dims);
  if (graph.node_size()) {
    onnx::NodeProto &node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
    if (node.input_size() && !oneIn(4))
      node.set_input(static_cast<int>(below(node.input_size())), tensor.name());
    else
      node.add_input(tensor.name());
  }
  graph.add_initializer()->Swap(&tensor);
}

/// A constant gets another type or shape, and contents that match.
void OnnxMutator::reshapeConstant(onnx::GraphProto &graph) {
  if (!graph.initializer_size())
    return addConstant(graph);
  onnx::TensorProto &tensor =
      *graph.mutable_initializer(static_cast<int>(below(graph.initializer_size())));
  std::vector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  if (dims.empty() || oneIn(3))
    dims.push_back(static_cast<int64_t>(below(4)));
  else if (oneIn(3))
    dims.pop_back();
  else
    dims[below(dims.size())] = oneIn(8) ? number() : static_cast<int64_t>(below(6));
  fill(tensor, oneIn(3) ? elementType() : tensor.data_type(), dims);
}

/// An input gets another type or shape.
void OnnxMutator::changeInput(onnx::GraphProto &graph) {
  onnx::ValueInfoProto *input = nullptr;
  if (!graph.input_size() || oneIn(6)) {
    input = graph.add_input();
    input->set_name(freshName(graph));
  } else {
    input = graph.mutable_input(static_cast<int>(below(graph.input_size())));
  }
  auto *type = input->mutable_type()->mutable_tensor_type();
  if (!type->elem_type() || oneIn(3))
    type->set_elem_type(elementType());
  auto *shape = type->mutable_shape();
  if (oneIn(3) && shape->dim_size())
    shape->mutable_dim()->RemoveLast();
  else if (oneIn(3) || !shape->dim_size())
    shape->add_dim();
  if (!shape->dim_size())
    return;
  auto *dim = shape->mutable_dim(static_cast<int>(below(shape->dim_size())));
  constexpr const char *symbols[] = {"N", "batch", "?", "", "s+1", "past + s"};
  if (oneIn(5))
    dim->set_dim_param(pick(symbols));
  else
    dim->set_dim_value(oneIn(8) ? number() : static_cast<int64_t>(below(9)));
}

/// An If, a Loop or a Scan whose body holds copies of nodes of the graph.
void OnnxMutator::addControl(onnx::GraphProto &graph) {
  constexpr const char *ops[] = {"If", "Loop", "Scan"};
  std::string op = pick(ops), name = freshName(graph);
  onnx::NodeProto node;
  node.set_op_type(op);
  node.add_output(name);
  auto makeBody = [&](const char *attributeName, const char *prefix) -> onnx::GraphProto & {
    onnx::AttributeProto &attribute = *node.add_attribute();
    attribute.set_name(attributeName);
    attribute.set_type(onnx::AttributeProto::GRAPH);
    onnx::GraphProto &body = *attribute.mutable_g();
    std::string last = valueName(graph);
    for (uint64_t count = below(3); count && graph.node_size(); --count) {
      onnx::NodeProto &copy = *body.add_node();
      copy = graph.node(static_cast<int>(below(graph.node_size())));
      for (std::string &output : *copy.mutable_output())
        output = prefix + name + output + std::to_string(count);
      if (copy.output_size())
        last = copy.output(0);
    }
    body.add_output()->set_name(last);
    return body;
  };
  auto addScalar = [&](int32_t type, const char *suffix, int64_t value) {
    onnx::TensorProto &tensor = *graph.add_initializer();
    tensor.set_name(name + suffix);
    fill(tensor, type, {});
    if (type == 7)
      tensor.set_raw_data(std::string(reinterpret_cast<const char *>(&value), sizeof value));
    return tensor.name();
  };
  auto addInput = [&](onnx::GraphProto &body, const std::string &inputName, int32_t type) {
    onnx::ValueInfoProto &input = *body.add_input();
    input.set_name(inputName);
    input.mutable_type()->mutable_tensor_type()->set_elem_type(type);
  };
  if (op == "If") {
    node.add_input(oneIn(2) ? addScalar(9, "_if", 1) : valueName(graph));
    makeBody("then_branch", "t");
    makeBody("else_branch", "e");
  } else if (op == "Loop") {
    node.add_input(addScalar(7, "_trip", number()));
    node.add_input(oneIn(2) ? "" : addScalar(9, "_go", 1));
    onnx::GraphProto &body = makeBody("body", "l");
    addInput(body, name + "_i", 7);
    addInput(body, name + "_c", 9);
    onnx::ValueInfoProto result = body.output(0);
    body.clear_output();
    body.add_output()->set_name(name + "_c");
    if (oneIn(2)) { // a state
      node.add_input(valueName(graph));
      addInput(body, name + "_s", 1);
      *body.add_output() = result;
      if (body.node_size() && body.node(0).input_size())
        body.mutable_node(0)->set_input(0, name + "_s");
    }
    if (oneIn(2)) {
      *body.add_output() = result;
      node.add_output(name + "_all");
    }
  } else {
    onnx::GraphProto &body = makeBody("body", "s");
    bool state = oneIn(2);
    onnx::ValueInfoProto result = body.output(0);
    if (state) {
      node.add_input(valueName(graph));
      addInput(body, name + "_s", 1);
      *body.add_output() = result;
      node.add_output(name + "_all");
    }
    node.add_input(valueName(graph));
    addInput(body, name + "_x", 1);
    if (body.node_size() && body.node(0).input_size())
      body.mutable_node(0)->set_input(0, name + (state && oneIn(2) ? "_s" : "_x"));
    onnx::AttributeProto &attribute = *node.add_attribute();
    attribute.set_name("num_scan_inputs");
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(1);
  }
  graph.add_node()->Swap(&node);
  graph.add_output()->set_name(name);
}

/// A node becomes the call of a function that holds it.
void OnnxMutator::addFunction(onnx::ModelProto &model, onnx::GraphProto &graph) {
  if (!graph.node_size())
    return;
  onnx::NodeProto &node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
  onnx::FunctionProto &function = *model.add_functions();
  function.set_domain("local");
  function.set_name("F" + std::to_string(model.functions_size()));
  *function.mutable_opset_import() = model.opset_import();
  *function.add_node() = node;
  for (const std::string &name : node.input())
    if (!name.empty())
      function.add_input(name);
  for (const std::string &name : node.output())
    function.add_output(name);
  for (onnx::AttributeProto &attribute : *function.mutable_node(0)->mutable_attribute())
    if (oneIn(2)) {
      function.add_attribute(attribute.name());
      attribute.set_ref_attr_name(attribute.name());
    }
  node.set_op_type(function.name());
  node.set_domain("local");
  *node.mutable_input() = function.input();
}

void OnnxMutator::changeVersions(onnx::ModelProto &model) {
  if (!model.opset_import_size())
    model.add_opset_import();
  auto &import = *model.mutable_opset_import(static_cast<int>(below(model.opset_import_size())));
  import.set_version(oneIn(8) ? number() : 1 + static_cast<int64_t>(below(24)));
  if (oneIn(4)) {
    auto &microsoft = *model.add_opset_import();
    microsoft.set_domain("com.microsoft");
    microsoft.set_version(1);
  }
  if (oneIn(8))
    model.set_ir_version(number());
}

void OnnxMutator::changeGraph(onnx::ModelProto &model, onnx::GraphProto &graph) {
  switch (below(16)) {
  case 0:
  case 1:
    return addNode(graph);
  case 2:
  case 3:
  case 4:
    return rewire(graph);
  case 5:
  case 6:
    return addConstant(graph);
  case 7:
    return reshapeConstant(graph);
  case 8:
  case 9:
    return changeInput(graph);
  case 10:
    return oneIn(2) ? addControl(graph) : changeVersions(model);
  case 11:
    if (oneIn(4))
      return addFunction(model, graph);
    [[fallthrough]];
  case 12: // another operator with the same operands
    if (graph.node_size()) {
      const OpInfo *op = pick(allOps());
      onnx::NodeProto &node = *graph.mutable_node(static_cast<int>(below(graph.node_size())));
      node.set_op_type(op->name);
      node.set_domain(op->domain);
    }
    return;
  default:
    if (graph.node_size())
      addAttribute(*graph.mutable_node(static_cast<int>(below(graph.node_size()))));
  }
}

void OnnxMutator::mutate(onnx::ModelProto &model) {
  if (!model.has_graph() || !model.opset_import_size()) {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(21);
    model.mutable_graph()->add_output()->set_name("x");
    changeInput(*model.mutable_graph());
  }
  for (uint64_t count = 1 + below(3); count; --count) {
    if (oneIn(3))
      mutateField(model);
    else
      changeGraph(model, *pick(graphsOf(model)));
  }
}
