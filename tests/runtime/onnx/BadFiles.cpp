//===- BadFiles.cpp - Hostile and broken ONNX files ---------------------------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "runtime/ops/Registry.h"

#include "llvm/Support/MemoryBuffer.h"

#include <unistd.h>

using namespace npucc;
using namespace npucc::test;

namespace {

constexpr int64_t kHuge = int64_t(1) << 60;

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
  graph.ints("huge", {kHuge, INT64_MIN, 3});
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

llvm::ArrayRef<BadKind> BadFiles::kinds() {
  static const BadKind list[] = {
      {"truncated", nullptr, &BadFiles::truncated},
      {"wrong bits", nullptr, &BadFiles::wrongBits},
      {"wrong bytes", nullptr, &BadFiles::wrongBytes},
      {"data shorter than its shape", "asks for", &BadFiles::shortData},
      {"a shape that overflows", "'big'", &BadFiles::overflowingShape},
      {"a tensor of 2^60 elements", "'big'", &BadFiles::hugeTensor},
      {"tensors of any kind", nullptr, &BadFiles::anyTensor},
      {"sparse tensors", nullptr, &BadFiles::sparseTensor},
      {"external data in ..", "leaves the model's folder", &BadFiles::outsideFolder},
      {"external data at an absolute path", "is not a relative path", &BadFiles::absolutePath},
      {"external data through a link", "leaves the model's folder", &BadFiles::throughLink},
      {"external data of any kind", nullptr, &BadFiles::badExternal},
      {"stride 0", "strides", &BadFiles::strideZero},
      {"dilation 0", "dilations", &BadFiles::dilationZero},
      {"negative pads that eat the input", "pads", &BadFiles::negativePads},
      {"channels that groups do not divide", "group", &BadFiles::undividedGroups},
      {"windows of any kind", nullptr, &BadFiles::anyWindow},
      {"a cycle", "the graph has a cycle", &BadFiles::cycle},
      {"an undefined value", "is not defined anywhere", &BadFiles::undefinedValue},
      {"graphs nested too deep", "nested more than 64 deep", &BadFiles::deepNesting},
      {"an absurd opset", "opset", &BadFiles::absurdOpset},
      {"versions of any kind", nullptr, &BadFiles::anyVersions},
      {"functions that call themselves", nullptr, &BadFiles::functions},
      {"inputs of impossible shapes", nullptr, &BadFiles::impossibleInputs},
      {"loops", nullptr, &BadFiles::loops},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"operators", nullptr, &BadFiles::anyOperator},
      {"changed fields", nullptr, &BadFiles::changedFields},
      {"changed fields", nullptr, &BadFiles::changedFields},
  };
  return list;
}

BadFiles::BadFiles()
    : networks{contents(NPUCC_SOURCE_MODELS_DIR "/networks/digits.onnx"),
               contents(NPUCC_SOURCE_MODELS_DIR "/networks/digits_int8.onnx")} {
  writeFile(folder.file("weights.bin"), std::string(64, '\1'));
  REQUIRE(symlink("/etc/passwd", folder.file("outside.bin").c_str()) == 0);
  REQUIRE(symlink("/", folder.file("root").c_str()) == 0);
  REQUIRE(symlink("loop.bin", folder.file("loop.bin").c_str()) == 0);
}

std::string BadFiles::write(unsigned index) {
  mutator.random.seed(index);
  description.clear();
  bytes = pick(networks);
  model.Clear();
  model.set_ir_version(8);
  model.add_opset_import()->set_version(21);
  (this->*kindOf(index).make)();
  std::string path = folder.file("bad.onnx");
  writeFile(path, model.has_graph() ? model.SerializePartialAsString() : bytes);
  return path;
}

//===----------------------------------------------------------------------===//
// Damage to the bytes of a network
//===----------------------------------------------------------------------===//

void BadFiles::truncated() { bytes.resize(below(bytes.size())); }

void BadFiles::wrongBits() {
  // Most of a file is weights: the structure stands around them, at the ends above all.
  size_t region = oneIn(3) ? bytes.size() : 400;
  for (uint64_t count = 1 + below(6); count; --count) {
    size_t at = below(region);
    bytes[oneIn(2) ? bytes.size() - 1 - at : at] ^= static_cast<char>(1 << below(8));
  }
}

void BadFiles::wrongBytes() {
  for (uint64_t count = 1 + below(6); count; --count)
    bytes[below(oneIn(3) ? bytes.size() : 400)] = static_cast<char>(below(256));
}

/// One to three fields, anywhere in a network's graph.
void BadFiles::changedFields() {
  REQUIRE(model.ParseFromString(bytes));
  for (uint64_t count = 1 + below(3); count; --count)
    mutator.mutateField(*model.mutable_graph());
}

//===----------------------------------------------------------------------===//
// Tensors that do not hold what they claim
//===----------------------------------------------------------------------===//

void BadFiles::shortData() {
  constexpr ElementType types[] = {ElementType::Float32, ElementType::Int64, ElementType::Uint8,
                                   ElementType::Float16, ElementType::Int4};
  onnx::TensorProto &tensor = graph().initializer(
      "w", pick(types), {static_cast<int64_t>(4 + below(100)), static_cast<int64_t>(1 + below(9))});
  tensor.set_raw_data(std::string(below(2), '\1')); // 4-bit elements take two bytes at least
  graph().node("Identity", {"w"}, {"y"});
  graph().output("y");
}

void BadFiles::overflowingShape() {
  constexpr int64_t sizes[] = {INT64_MAX, kHuge, int64_t(1) << 40, int64_t(1) << 62};
  std::vector<int64_t> dims = {pick(sizes), pick(sizes)};
  while (oneIn(2))
    dims.push_back(static_cast<int64_t>(below(5)));
  if (oneIn(2))
    graph().input("big", {dims.begin(), dims.end()});
  else
    graph().initializer("big", ElementType::Float32, dims).set_raw_data(std::string(16, '\1'));
  graph().node("Relu", {"big"}, {"y"});
  graph().output("y");
}

void BadFiles::hugeTensor() {
  std::vector<int64_t> dims = {kHuge};
  if (oneIn(2))
    dims = {int64_t(1) << 30, int64_t(1) << 30};
  switch (below(3)) {
  case 0:
    graph().input("big", {dims.begin(), dims.end()}, ElementType::Int8);
    break;
  case 1:
    graph().initializer("big", ElementType::Int8, dims).set_raw_data("little");
    break;
  default:
    graph().ints("shape", dims);
    graph().node("ConstantOfShape", {"shape"}, {"big"});
  }
  graph().node("Relu", {"big"}, {"y"});
  graph().output("y");
}

void BadFiles::anyTensor() {
  std::vector<int64_t> dims = {2, 3};
  if (!oneIn(4))
    dims = mutator.numbers(5);
  onnx::TensorProto &tensor = graph().initializer("w", ElementType::Float32, dims);
  tensor.set_data_type(static_cast<int32_t>(below(30)) - 2);
  uint64_t count = below(12);
  switch (below(5)) {
  case 0:
    break;
  case 1:
    for (; count; --count)
      tensor.add_int32_data(static_cast<int32_t>(number()));
    break;
  case 2:
    for (; count; --count)
      tensor.add_string_data(mutator.text());
    break;
  default:
    tensor.set_raw_data(std::string(below(100), '\1'));
  }
  constexpr const char *ops[] = {"Identity", "Relu", "Transpose", "Shape", "ReduceSum", "Flatten"};
  graph().node(pick(ops), {"w"}, {"y"});
  graph().output("y");
}

void BadFiles::sparseTensor() {
  onnx::SparseTensorProto &sparse = *graph().proto.add_sparse_initializer();
  sparse.mutable_values()->set_name("sparse");
  sparse.mutable_values()->set_data_type(1);
  sparse.mutable_values()->add_dims(2);
  sparse.mutable_values()->add_float_data(1);
  sparse.mutable_values()->add_float_data(2);
  sparse.mutable_indices()->set_data_type(7);
  for (int64_t index : {number(), number()})
    sparse.mutable_indices()->add_int64_data(index);
  sparse.mutable_indices()->add_dims(2);
  for (int64_t size : mutator.numbers(3))
    sparse.add_dims(size);
  graph().node("Identity", {"sparse"}, {"y"});
  graph().output("y");
}

onnx::TensorProto &BadFiles::external(const char *location) {
  onnx::TensorProto &tensor =
      graph().initializer("w", oneIn(2) ? ElementType::Uint8 : ElementType::Float32, {4, 2});
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  auto *entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value(location);
  graph().node("Identity", {"w"}, {"y"});
  graph().output("y");
  return tensor;
}

void BadFiles::outsideFolder() {
  constexpr const char *places[] = {
      "../weights.bin", "..", "a/../../weights.bin", "./../b", "../../../../../../../etc/passwd",
      "weights.bin/.."};
  external(pick(places));
}

void BadFiles::absolutePath() {
  constexpr const char *places[] = {"/etc/passwd", "/", "//etc/passwd", "/dev/zero", "/proc/kcore"};
  external(pick(places));
}

void BadFiles::throughLink() {
  constexpr const char *places[] = {"outside.bin", "root/etc/passwd", "./outside.bin"};
  external(pick(places));
}

/// Past the end, nowhere, or as it should be.
void BadFiles::badExternal() {
  constexpr const char *places[] = {
      "loop.bin", "", ".", "missing.bin", "weights.bin", "./weights.bin", "bad.onnx", "two\nlines"};
  constexpr const char *sizes[] = {
      "0",   "8", "32", "60", "-1", "18446744073709551615", "1e3", "", "99999999999999999999",
      "0x10"};
  onnx::TensorProto &tensor = external(pick(places));
  if (oneIn(4))
    tensor.set_dims(0, number());
  for (const char *key : {"offset", "length"})
    if (!oneIn(3)) {
      auto *entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(pick(sizes));
    }
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

NodeBuilder BadFiles::smallWindow(bool weighted) {
  auto small = [&] { return static_cast<int64_t>(1 + below(6)); };
  int64_t channels = small();
  graph().input("x", {small(), channels, 5 + small(), 5 + small()});
  graph().output("y");
  constexpr const char *pools[] = {"MaxPool", "AveragePool", "LpPool"};
  if (!weighted) {
    NodeBuilder node = graph().node(pick(pools), {"x"}, {"y"}, "window");
    return node.ints("kernel_shape", {small(), small()});
  }
  std::vector<int64_t> dims = {channels, channels, small(), small()};
  graph().floats("w", dims, std::vector<float>(dims[0] * dims[1] * dims[2] * dims[3], 0.5f));
  return graph().node(oneIn(3) ? "ConvTranspose" : "Conv", {"x", "w"}, {"y"}, "window");
}

void BadFiles::strideZero() { smallWindow(oneIn(2)).ints("strides", {oneIn(2), 0}); }

void BadFiles::dilationZero() { smallWindow(oneIn(2)).ints("dilations", {0, oneIn(2)}); }

void BadFiles::negativePads() {
  int64_t size = -static_cast<int64_t>(12 + below(1000)); // the inputs are smaller
  if (oneIn(2)) {
    smallWindow(oneIn(2)).ints("pads", {0, size, 0, oneIn(2) ? size : 0});
    return;
  }
  graph().input("x", {2, 11});
  graph().ints("amounts", {0, oneIn(2) ? size : 0, 0, size});
  graph().node("Pad", {"x", "amounts"}, {"y"}, "pads");
  graph().output("y");
}

void BadFiles::undividedGroups() {
  int64_t groups = 2 + static_cast<int64_t>(below(5)), channels = groups + 1;
  graph().input("x", {1, channels, 6, 6});
  graph().floats("w", {channels, 1, 1, 1}, std::vector<float>(channels, 1));
  graph().node(oneIn(2) ? "Conv" : "ConvTranspose", {"x", "w"}, {"y"}).i("group", groups);
  graph().output("y");
}

/// Strides, pads and groups of any value.
void BadFiles::anyWindow() {
  bool weighted = oneIn(2);
  NodeBuilder node = smallWindow(weighted);
  constexpr const char *lists[] = {"strides",      "dilations",      "pads",
                                   "kernel_shape", "output_padding", "output_shape"};
  for (uint64_t count = 1 + below(2); count; --count) {
    std::string name = pick(lists);
    std::vector<int64_t> values(name == "pads" ? 4 : 2, 1);
    values[below(values.size())] = number();
    if (name != "kernel_shape" || weighted)
      node.ints(name, oneIn(6) ? mutator.numbers(5) : values);
  }
  if (oneIn(3))
    node.i(oneIn(2) ? "group" : "ceil_mode", number());
  if (oneIn(4))
    node.s("auto_pad", mutator.text());
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

void BadFiles::cycle() {
  graph().input("x", {2, 2});
  auto length = static_cast<int>(1 + below(5));
  for (int i = 0; i < length; ++i)
    graph().node("Add", {"x", "v" + std::to_string((i + 1) % length)}, {"v" + std::to_string(i)});
  graph().output("v0");
}

void BadFiles::undefinedValue() {
  constexpr const char *names[] = {"nowhere", "two\nlines", "\xff\xfe", " x"};
  graph().input("x", {2, 2});
  graph().node("Add", {"x", oneIn(3) ? "x" : pick(names)}, {"y"});
  if (oneIn(2))
    graph().node("Relu", {pick(names)}, {"z"});
  graph().output(pick(names));
}

void BadFiles::deepNesting() {
  constexpr int depths[] = {65, 100, 400};
  graph().input("x", {2, 2});
  onnx::GraphProto *inner = model.mutable_graph();
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
}

void BadFiles::absurdOpset() {
  constexpr int64_t versions[] = {0, -1, -7, 1000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
  model.mutable_opset_import(0)->set_version(pick(versions));
  graph().input("x", {2, 2});
  graph().node("Relu", {"x"}, {"y"});
  graph().output("y");
}

void BadFiles::anyVersions() {
  model.mutable_opset_import(0)->set_version(number());
  if (oneIn(2))
    model.set_ir_version(number());
  if (oneIn(3))
    model.add_opset_import()->set_version(number());
  graph().input("x", {2, 2});
  graph().node("Relu", {"x"}, {"y"});
  graph().output("y");
}

/// Or one another.
void BadFiles::functions() {
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
  graph().input("x", {2, 2});
  graph().node("F" + std::to_string(below(3)), {"x"}, {"y"}).proto.set_domain("mine");
  graph().output("y");
}

void BadFiles::impossibleInputs() {
  graph().input("x", {});
  auto *type = graph().proto.mutable_input(0)->mutable_type()->mutable_tensor_type();
  for (int64_t size : mutator.numbers(6))
    type->mutable_shape()->add_dim()->set_dim_value(size);
  constexpr const char *ops[] = {"Relu",       "Transpose", "Softmax", "Shape",
                                 "ReduceMean", "Flatten",   "Size",    "GlobalAveragePool"};
  graph().node(pick(ops), {"x"}, {"y"});
  graph().node("MatMul", {"y", "y"}, {"z"});
  graph().output("z");
}

void BadFiles::loops() {
  graph().input("x", {2, 2});
  graph().ints("count", {oneIn(2) ? number() : 3});
  graph().initializer("go", ElementType::Bool, {}).add_int32_data(1);
  NodeBuilder node = graph().node(oneIn(3) ? "Scan" : "Loop", {"count", "go", "x"}, {"y", "z"});
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
  graph().output(oneIn(2) ? "y" : "z");
}

/// Any operator, with inputs and attributes that chance decides.
void BadFiles::anyOperator() {
  addValues(graph());
  model.add_opset_import()->set_domain("com.microsoft");
  model.mutable_opset_import(1)->set_version(1);
  if (oneIn(3))
    model.mutable_opset_import(0)->set_version(1 + static_cast<int64_t>(below(23)));
  std::string last;
  for (uint64_t count = 1 + below(2); count; --count) {
    const OpInfo *op = pick(allOps());
    description += std::string(" ") + op->name;
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
    NodeBuilder node = graph().node(op->name, inputs, outputs, oneIn(8) ? "two\nlines" : "");
    node.proto.set_domain(op->domain);
    for (uint64_t attributes = below(4); attributes; --attributes)
      mutator.addAttribute(node.proto);
  }
  graph().output(last);
}
