//===- BadFiles.cpp - Hostile and broken ONNX files ---------------------------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "runtime/ops/Registry.h"

#include "llvm/Support/MemoryBuffer.h"

#include <unistd.h>

using namespace npucc;
using namespace npucc::test;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

namespace {

constexpr int64_t kNumbers[] = {0,
                                1,
                                2,
                                3,
                                4,
                                5,
                                6,
                                7,
                                8,
                                16,
                                -1,
                                -2,
                                -3,
                                -7,
                                100,
                                1000,
                                65536,
                                INT32_MAX,
                                INT32_MIN,
                                int64_t(1) << 31,
                                int64_t(1) << 32,
                                int64_t(1) << 40,
                                int64_t(1) << 60,
                                INT64_MAX,
                                INT64_MIN};

constexpr const char *kAttributes[] = {"alpha",
                                       "axes",
                                       "axis",
                                       "batch_dims",
                                       "beta",
                                       "block_size",
                                       "blocksize",
                                       "ceil_mode",
                                       "center_point_box",
                                       "coordinate_transformation_mode",
                                       "count_include_pad",
                                       "cubic_coeff_a",
                                       "detect_negative",
                                       "dilations",
                                       "direction",
                                       "dtype",
                                       "else_branch",
                                       "epsilon",
                                       "equation",
                                       "exclude_outside",
                                       "exclusive",
                                       "group",
                                       "hidden_size",
                                       "high",
                                       "k",
                                       "keepdims",
                                       "kernel_shape",
                                       "kv_num_heads",
                                       "largest",
                                       "layout",
                                       "linear_before_reset",
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
                                       "output_height",
                                       "output_padding",
                                       "output_shape",
                                       "p",
                                       "pads",
                                       "perm",
                                       "pooled_shape",
                                       "q_num_heads",
                                       "reduction",
                                       "reverse",
                                       "sample_size",
                                       "sampling_ratio",
                                       "scale",
                                       "seed",
                                       "select_last_index",
                                       "shape",
                                       "size",
                                       "sizes",
                                       "sorted",
                                       "spatial_scale",
                                       "split",
                                       "starts",
                                       "ends",
                                       "steps",
                                       "storage_order",
                                       "strides",
                                       "then_branch",
                                       "body",
                                       "to",
                                       "transA",
                                       "transB",
                                       "transBatchA",
                                       "upper",
                                       "value",
                                       "value_ints",
                                       "values"};

constexpr const char *kTexts[] = {"",
                                  "constant",
                                  "reflect",
                                  "edge",
                                  "wrap",
                                  "linear",
                                  "cubic",
                                  "nearest",
                                  "SAME_UPPER",
                                  "VALID",
                                  "DCR",
                                  "bilinear",
                                  "align_corners",
                                  "half_pixel",
                                  "reverse",
                                  "bidirectional",
                                  "ij,jk->ik",
                                  "...i->i",
                                  "i,i,->",
                                  "->->",
                                  "sum",
                                  "two\nlines",
                                  "\xff\xfe",
                                  "add",
                                  "mul"};

constexpr const char *kValues[] = {"x",      "x",     "x",     "image", "w",    "w",   "vector",
                                   "scalar", "i",     "sizes", "at",    "pads", "one", "flag",
                                   "bytes",  "empty", "huge",  "half",  ""};

std::string contents(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  REQUIRE(buffer);
  return (*buffer)->getBuffer().str();
}

/// Values of many shapes and types, for operators to be given.
void addValues(GraphFiller graph) {
  graph.input("x", {2, 4});
  graph.input("image", {1, 4, 6, 6});
  graph.input("i", {3}, ElementType::Int64);
  graph.input("bytes", {2, 4}, ElementType::Uint8);
  graph.input("half", {2, 4}, ElementType::Float16);
  graph.floats("w", {4, 4, 1, 1}, std::vector<float>(16, 0.5f));
  graph.floats("vector", {4}, {1, 2, -3, 4});
  graph.floats("scalar", {}, {0.25f});
  graph.floats("empty", {0}, {});
  graph.ints("sizes", {2, -1, 4});
  graph.ints("at", {0, 1});
  graph.ints("pads", {0, -5, 3, 1});
  graph.ints("one", {1});
  graph.ints("huge", {int64_t(1) << 60, INT64_MIN, 3});
  graph.initializer("flag", ElementType::Bool, {}).add_int32_data(1);
}

} // namespace

FileRange FileRange::given(FileRange standard) {
  const char *variable = std::getenv("NPUCC_BAD_FILES");
  if (!variable)
    return standard;
  llvm::StringRef text = variable;
  REQUIRE_FALSE(text.consumeInteger(10, standard.first));
  REQUIRE(text.consume_front(":"));
  REQUIRE_FALSE(text.consumeInteger(10, standard.end));
  return standard;
}

BadFiles::BadFiles()
    : networks{contents(NPUCC_SOURCE_MODELS_DIR "/networks/digits.onnx"),
               contents(NPUCC_SOURCE_MODELS_DIR "/networks/digits_int8.onnx")} {
  writeFile(folder.file("weights.bin"), std::string(64, '\1'));
  REQUIRE(symlink("/etc/passwd", folder.file("outside.bin").c_str()) == 0);
  REQUIRE(symlink("loop.bin", folder.file("loop.bin").c_str()) == 0);
}

int64_t BadFiles::number() {
  return oneIn(4) ? static_cast<int64_t>(below(12)) - 2 : pick(kNumbers);
}

std::vector<int64_t> BadFiles::numbers(size_t most) {
  std::vector<int64_t> list(below(most + 1));
  for (int64_t &value : list)
    value = number();
  return list;
}

/// A truncated file, or one with some wrong bits or bytes.
std::string BadFiles::damagedBytes(std::string bytes) {
  if (oneIn(3)) {
    description = "truncated";
    return bytes.substr(0, below(bytes.size()));
  }
  description = "damaged bytes";
  // Most of a file is weights: the structure stands around them, at the ends above all.
  size_t region = oneIn(3) ? bytes.size() : 400;
  for (uint64_t count = 1 + below(6); count; --count) {
    size_t at = below(region);
    if (oneIn(2))
      at = bytes.size() - 1 - at;
    bytes[at] = static_cast<char>(oneIn(3) ? below(256) : bytes[at] ^ (1 << below(8)));
  }
  return bytes;
}

/// Convolutions and pools with strides, pads and groups of any value.
void BadFiles::badWindow(GraphFiller graph) {
  description = "windows";
  auto small = [&] { return static_cast<int64_t>(1 + below(6)); };
  graph.input("x", {small(), small(), small(), small()});
  std::vector<int64_t> weights = {small(), small(), small(), small()};
  if (oneIn(4))
    weights[below(4)] = 0;
  graph.floats("w", weights,
               std::vector<float>(weights[0] * weights[1] * weights[2] * weights[3], 0.5f));
  constexpr const char *ops[] = {"Conv",   "ConvTranspose", "MaxPool",          "AveragePool",
                                 "LpPool", "GlobalMaxPool", "GlobalAveragePool"};
  std::string op = pick(ops);
  bool weighted = op[0] == 'C';
  NodeBuilder node = graph.node(
      op, weighted ? std::vector<std::string>{"x", "w"} : std::vector<std::string>{"x"}, {"y"});
  if (!weighted)
    node.ints("kernel_shape", {small(), small()});
  constexpr const char *lists[] = {"strides",      "dilations",      "pads",
                                   "kernel_shape", "output_padding", "output_shape"};
  for (uint64_t count = 1 + below(2); count; --count) {
    std::string name = pick(lists);
    std::vector<int64_t> values(name == "pads" ? 4 : 2, 1);
    values[below(values.size())] = number();
    if (name != "kernel_shape" || weighted)
      node.ints(name, oneIn(6) ? numbers(5) : values);
  }
  if (oneIn(3))
    node.i(oneIn(2) ? "group" : "ceil_mode", number());
  if (oneIn(4))
    node.s("auto_pad", pick(kTexts));
  graph.output("y");
}

/// Initializers that do not hold what they claim.
void BadFiles::badTensor(GraphFiller graph) {
  description = "tensors";
  std::vector<int64_t> dims = {2, 3};
  if (!oneIn(4))
    dims = numbers(5);
  onnx::TensorProto &tensor = graph.initializer("w", ElementType::Float32, dims);
  tensor.set_data_type(static_cast<int32_t>(below(30)) - 2);
  std::string bytes(below(100), '\1');
  switch (below(6)) {
  case 0:
    break;
  case 1:
    for (uint64_t i = 0; i < below(12); ++i)
      tensor.add_int32_data(static_cast<int32_t>(number()));
    break;
  case 2:
    for (uint64_t i = 0; i < below(12); ++i)
      tensor.add_string_data(pick(kTexts));
    break;
  case 3: {
    auto *sparse = graph.proto.add_sparse_initializer();
    sparse->mutable_values()->set_name("sparse");
    sparse->mutable_values()->set_data_type(1);
    sparse->mutable_values()->add_dims(2);
    sparse->mutable_values()->add_float_data(1);
    sparse->mutable_values()->add_float_data(2);
    sparse->mutable_indices()->set_data_type(7);
    for (int64_t index : {number(), number()})
      sparse->mutable_indices()->add_int64_data(index);
    sparse->mutable_indices()->add_dims(2);
    for (int64_t size : numbers(3))
      sparse->add_dims(size);
    graph.proto.mutable_initializer()->RemoveLast();
    graph.node("Identity", {"sparse"}, {"y"});
    graph.output("y");
    return;
  }
  default:
    tensor.set_raw_data(bytes);
  }
  constexpr const char *ops[] = {"Identity", "Relu", "Transpose", "Shape", "ReduceSum", "Flatten"};
  graph.node(pick(ops), {"w"}, {"y"});
  graph.output("y");
}

/// External data outside the folder, past the end, or nowhere.
void BadFiles::badExternal(GraphFiller graph) {
  description = "external data";
  onnx::TensorProto &tensor =
      graph.initializer("w", oneIn(2) ? ElementType::Uint8 : ElementType::Float32, {4, 2});
  if (oneIn(4))
    tensor.set_dims(0, number());
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  constexpr const char *places[] = {
      "../weights.bin", "/etc/passwd", "outside.bin", "loop.bin",      "a/../../b", "", ".",
      "missing.bin",    "weights.bin", "weights.bin", "./weights.bin", "two\nlines"};
  constexpr const char *sizes[] = {
      "0",   "8", "32", "60", "-1", "18446744073709551615", "1e3", "", "99999999999999999999",
      "0x10"};
  auto add = [&](const char *key, const char *value) {
    auto *entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", pick(places));
  for (const char *key : {"offset", "length"})
    if (!oneIn(3))
      add(key, pick(sizes));
  graph.node("Neg", {"w"}, {"y"});
  graph.output("y");
}

/// Cycles, undefined names, nesting, and versions that do not exist.
void BadFiles::badGraph(onnx::ModelProto &model) {
  GraphFiller graph{*model.mutable_graph()};
  graph.input("x", {2, 2});
  switch (below(6)) {
  case 0: {
    description = "a cycle or an undefined value";
    constexpr const char *names[] = {"x", "a", "b", "c", "d", "", "nowhere", "two\nlines"};
    for (int i = 0; i < 4; ++i)
      graph.node("Add", {pick(names), pick(names)}, {pick(names)});
    graph.output(pick(names));
    return;
  }
  case 1: {
    description = "deep nesting";
    onnx::GraphProto *inner = model.mutable_graph();
    constexpr int depths[] = {10, 60, 64, 65, 100, 400};
    for (int depth = pick(depths); depth; --depth) {
      GraphFiller level{*inner};
      std::string name = "y" + std::to_string(depth);
      level.initializer("c" + name, ElementType::Bool, {}).add_int32_data(oneIn(2));
      NodeBuilder node = level.node("If", {"c" + name}, {name});
      level.output(name);
      GraphFiller other{node.graph("else_branch")};
      other.node("Relu", {"x"}, {"else" + name});
      other.output("else" + name);
      inner = &node.graph("then_branch");
    }
    GraphFiller last{*inner};
    last.node("Neg", {"x"}, {"innermost"});
    last.output("innermost");
    return;
  }
  case 2:
    description = "versions";
    model.mutable_opset_import(0)->set_version(number());
    if (oneIn(2))
      model.set_ir_version(number());
    if (oneIn(3))
      model.add_opset_import()->set_version(number());
    graph.node("Relu", {"x"}, {"y"});
    graph.output("y");
    return;
  case 3: {
    description = "functions that call themselves or one another";
    for (int i = 0; i < 3; ++i) {
      auto *function = model.add_functions();
      function->set_domain("mine");
      function->set_name("F" + std::to_string(i));
      function->add_input("in");
      function->add_output(oneIn(4) ? "in" : "out");
      if (!oneIn(4))
        function->add_opset_import()->set_version(oneIn(4) ? number() : 21);
      auto *node = function->add_node();
      node->set_op_type("F" + std::to_string(below(3)));
      node->set_domain(oneIn(2) ? "mine" : "");
      node->add_input(oneIn(4) ? "other" : "in");
      node->add_output("out");
    }
    graph.node("F" + std::to_string(below(3)), {"x"}, {"y"}).proto.set_domain("mine");
    graph.output("y");
    return;
  }
  case 4: {
    description = "inputs of impossible shapes";
    auto *type = graph.proto.mutable_input(0)->mutable_type()->mutable_tensor_type();
    type->clear_shape();
    for (int64_t size : numbers(6))
      type->mutable_shape()->add_dim()->set_dim_value(size);
    constexpr const char *ops[] = {"Relu",       "Transpose", "Softmax", "Shape",
                                   "ReduceMean", "Flatten",   "Size",    "GlobalAveragePool"};
    graph.node(pick(ops), {"x"}, {"y"});
    graph.node("MatMul", {"y", "y"}, {"z"});
    graph.output("z");
    return;
  }
  default: {
    description = "loops";
    graph.ints("count", {oneIn(2) ? number() : 3});
    graph.initializer("go", ElementType::Bool, {}).add_int32_data(1);
    NodeBuilder node = graph.node(oneIn(3) ? "Scan" : "Loop", {"count", "go", "x"}, {"y", "z"});
    if (oneIn(2))
      node.i("num_scan_inputs", number());
    GraphFiller body{node.graph("body")};
    body.input("n", {}, ElementType::Int64);
    body.input("again", {}, ElementType::Bool);
    if (!oneIn(4))
      body.input("s", {2, 2});
    body.node("Concat", {"x", oneIn(3) ? "x" : "s"}, {"t"}).i("axis", number());
    body.output(oneIn(4) ? "t" : "again");
    body.output("t");
    if (oneIn(2))
      body.output("n");
    graph.output(oneIn(2) ? "y" : "z");
    return;
  }
  }
}

/// An attribute of any kind and value.
void BadFiles::badAttribute(NodeBuilder node) {
  const char *name = pick(kAttributes);
  switch (below(8)) {
  case 0:
    node.f(name, oneIn(3) ? INFINITY : static_cast<float>(number()));
    return;
  case 1:
    node.s(name, pick(kTexts));
    return;
  case 2:
  case 3:
    node.ints(name, numbers(5));
    return;
  case 4:
    if (oneIn(2))
      node.floats(name, std::vector<float>(below(4), oneIn(2) ? NAN : 1.5f));
    else
      node.add(name, static_cast<onnx::AttributeProto::AttributeType>(below(15)));
    return;
  case 5: {
    onnx::TensorProto &tensor = node.tensor(name);
    tensor.set_data_type(oneIn(2) ? 7 : 1);
    tensor.add_dims(1);
    tensor.set_raw_data(std::string(tensor.data_type() == 7 ? 8 : 4, '\2'));
    return;
  }
  default:
    node.i(name, number());
  }
}

/// Any operator, with inputs and attributes that chance decides.
void BadFiles::badOperator(onnx::ModelProto &model) {
  GraphFiller graph{*model.mutable_graph()};
  addValues(graph);
  model.add_opset_import()->set_domain("com.microsoft");
  model.mutable_opset_import(1)->set_version(1);
  if (oneIn(3))
    model.mutable_opset_import(0)->set_version(1 + static_cast<int64_t>(below(23)));
  std::string last;
  for (uint64_t count = 1 + below(2); count; --count) {
    const OpInfo *op = pick(allOps());
    description += description.empty() ? op->name : std::string(" ") + op->name;
    std::vector<std::string> inputs(below(6));
    for (std::string &input : inputs)
      input = pick(kValues);
    if (!inputs.empty() && oneIn(2))
      inputs[0] = oneIn(2) ? "x" : "image";
    if (!inputs.empty() && !last.empty())
      inputs[0] = last;
    last = "y" + std::to_string(count);
    std::vector<std::string> outputs = {last};
    while (oneIn(3))
      outputs.push_back(last + std::to_string(outputs.size()));
    NodeBuilder node = graph.node(op->name, inputs, outputs, oneIn(8) ? "two\nlines" : "");
    node.proto.set_domain(op->domain);
    for (uint64_t attributes = below(4); attributes; --attributes)
      badAttribute(node);
  }
  graph.output(last);
}

/// Changes one field somewhere in a message.
void BadFiles::mutate(Message &message) {
  const Reflection &reflection = *message.GetReflection();
  std::vector<const FieldDescriptor *> fields;
  reflection.ListFields(message, &fields);
  if (fields.empty())
    return;
  const FieldDescriptor *field = pick(fields);
  bool repeated = field->is_repeated();
  int size = repeated ? reflection.FieldSize(message, field) : 1;
  int at = static_cast<int>(below(static_cast<uint64_t>(size)));
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !oneIn(8)) {
    mutate(repeated ? *reflection.MutableRepeatedMessage(&message, field, at)
                    : *reflection.MutableMessage(&message, field));
    return;
  }
  if (oneIn(4)) {
    if (!repeated || oneIn(4))
      reflection.ClearField(&message, field);
    else if (oneIn(2))
      reflection.RemoveLast(&message, field);
    else
      reflection.SwapElements(&message, field, at, size - 1);
    return;
  }
  int64_t value = number();
  auto small = static_cast<int32_t>(value);
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT64:
    return repeated ? reflection.SetRepeatedInt64(&message, field, at, value)
                    : reflection.SetInt64(&message, field, value);
  case FieldDescriptor::CPPTYPE_INT32:
    return repeated ? reflection.SetRepeatedInt32(&message, field, at, small)
                    : reflection.SetInt32(&message, field, small);
  case FieldDescriptor::CPPTYPE_FLOAT:
    return repeated ? reflection.SetRepeatedFloat(&message, field, at, static_cast<float>(value))
                    : reflection.SetFloat(&message, field, static_cast<float>(value));
  case FieldDescriptor::CPPTYPE_ENUM:
    return repeated ? reflection.SetRepeatedEnumValue(&message, field, at, small % 16)
                    : reflection.SetEnumValue(&message, field, small % 16);
  case FieldDescriptor::CPPTYPE_STRING: {
    std::string text = repeated ? reflection.GetRepeatedString(message, field, at)
                                : reflection.GetString(message, field);
    // Another operator where there was one, or the bytes cut short.
    if (field->name() == "op_type")
      text = pick(allOps())->name;
    else if (oneIn(2))
      text = pick(kTexts);
    else
      text.resize(below(text.size() + 4));
    return repeated ? reflection.SetRepeatedString(&message, field, at, text)
                    : reflection.SetString(&message, field, text);
  }
  case FieldDescriptor::CPPTYPE_MESSAGE:
    if (repeated)
      reflection.AddMessage(&message, field)
          ->CopyFrom(reflection.GetRepeatedMessage(message, field, at));
    else
      reflection.ClearField(&message, field);
    return;
  default:
    reflection.ClearField(&message, field);
  }
}

std::string BadFiles::write(unsigned index) {
  random.seed(index);
  description.clear();
  std::string path = folder.file("bad.onnx"), network = networks[index / 8 % 2];
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(21);
  GraphFiller graph{*model.mutable_graph()};
  switch (index % 8) {
  case 0:
    writeFile(path, damagedBytes(network));
    return path;
  case 1:
    badWindow(graph);
    break;
  case 2:
    oneIn(3) ? badExternal(graph) : badTensor(graph);
    break;
  case 3:
    badGraph(model);
    break;
  case 4:
  case 5:
  case 6:
    badOperator(model);
    break;
  default:
    description = "changed fields";
    REQUIRE(model.ParseFromString(network));
    for (uint64_t count = 1 + below(3); count; --count)
      mutate(*model.mutable_graph());
  }
  writeFile(path, model.SerializePartialAsString());
  return path;
}
