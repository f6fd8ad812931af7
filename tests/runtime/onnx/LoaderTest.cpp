//===- LoaderTest.cpp - Reading ONNX files ------------------------------------===//

#include "tests/runtime/onnx/ModelBuilder.h"

#include "runtime/onnx/Sha256.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

#include <unistd.h>

using namespace npucc;
using namespace npucc::test;

namespace {

const Tensor &only(const Model &model) {
  REQUIRE(model.graph.constants.size() == 1);
  return model.graph.constants.begin()->second;
}

/// A model that passes one initializer on.
struct Initializer : ModelBuilder {
  Initializer(ElementType type, const std::vector<int64_t> &dims)
      : tensor(initializer("w", type, dims)) {
    node("Identity", {"w"}, {"y"});
    output("y");
  }
  onnx::TensorProto &tensor;
};

void externalData(onnx::TensorProto &tensor, const std::string &location,
                  const std::string &offset = "") {
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  auto *entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value(location);
  if (offset.empty())
    return;
  entry = tensor.add_external_data();
  entry->set_key("offset");
  entry->set_value(offset);
}

} // namespace

TEST_CASE("the fingerprint is SHA-256", "[loader]") {
  CHECK(sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  for (size_t length : {0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 1000}) {
    std::string bytes(length, 'x');
    for (size_t i = 0; i < length; ++i)
      bytes[i] = static_cast<char>(i * 7);
    CHECK(sha256Hex(bytes) ==
          llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(bytes)), true));
  }
}

TEST_CASE("initializers of every kind of storage", "[loader]") {
  SECTION("raw") {
    Initializer m(ElementType::Float32, {2});
    float values[] = {1.5f, -2.f};
    m.tensor.set_raw_data(values, sizeof(values));
    CHECK(listOf<float>(only(m.loaded())) == std::vector<float>{1.5f, -2.f});
  }
  SECTION("typed floats") {
    Initializer m(ElementType::Float32, {1, 2});
    m.tensor.add_float_data(3);
    m.tensor.add_float_data(4);
    Model model = m.loaded();
    CHECK(listOf<float>(only(model)) == std::vector<float>{3, 4});
    CHECK(shapeOf(only(model)) == std::vector<int64_t>{1, 2});
  }
  SECTION("16 and 8 bits in 32-bit fields") {
    Initializer m(ElementType::Float16, {2});
    m.tensor.add_int32_data(0x3C00);
    m.tensor.add_int32_data(0xC000);
    Model model = m.loaded();
    CHECK(only(model).asDouble(0) == 1);
    CHECK(only(model).asDouble(1) == -2);
    Initializer n(ElementType::Int8, {2});
    n.tensor.add_int32_data(-5);
    n.tensor.add_int32_data(127);
    CHECK(listOf<int8_t>(only(n.loaded())) == std::vector<int8_t>{-5, 127});
    Initializer f(ElementType::Float8E4M3FN, {1});
    f.tensor.add_int32_data(0x7E);
    CHECK(only(f.loaded()).asDouble(0) == 448);
    Initializer b(ElementType::BFloat16, {1});
    b.tensor.add_int32_data(0x3F80);
    CHECK(only(b.loaded()).asDouble(0) == 1);
    Initializer t(ElementType::Bool, {2});
    t.tensor.add_int32_data(1);
    t.tensor.add_int32_data(0);
    CHECK(only(t.loaded()).asInt(0) == 1);
  }
  SECTION("4 bits, packed") {
    Initializer m(ElementType::Int4, {3});
    m.tensor.add_int32_data(0x78);
    m.tensor.add_int32_data(0x0F);
    Model model = m.loaded();
    CHECK(only(model).asInt(0) == -8);
    CHECK(only(model).asInt(1) == 7);
    CHECK(only(model).asInt(2) == -1);
    Initializer raw(ElementType::Uint4, {3});
    raw.tensor.set_raw_data("\x21\x03", 2);
    CHECK(only(raw.loaded()).asInt(2) == 3);
  }
  SECTION("64 bits, doubles, unsigned") {
    Initializer m(ElementType::Int64, {1});
    m.tensor.add_int64_data(-7);
    CHECK(only(m.loaded()).asInt(0) == -7);
    Initializer d(ElementType::Float64, {1});
    d.tensor.add_double_data(0.1);
    CHECK(only(d.loaded()).asDouble(0) == 0.1);
    Initializer u(ElementType::Uint32, {1});
    u.tensor.add_uint64_data(4000000000u);
    CHECK(only(u.loaded()).asInt(0) == 4000000000);
  }
  SECTION("strings") {
    Initializer m(ElementType::String, {2});
    m.tensor.add_string_data("yes");
    m.tensor.add_string_data("no");
    CHECK(only(m.loaded()).stringValues()[1] == "no");
  }
  SECTION("empty") {
    Initializer m(ElementType::Float32, {0, 4});
    CHECK(only(m.loaded()).size() == 0);
  }
  SECTION("sparse") {
    for (bool linear : {true, false}) {
      ModelBuilder m;
      auto *sparse = m.proto.add_sparse_initializer();
      sparse->add_dims(2);
      sparse->add_dims(3);
      auto *values = sparse->mutable_values();
      values->set_name("w");
      values->set_data_type(1);
      values->add_dims(2);
      values->add_float_data(5);
      values->add_float_data(6);
      auto *indices = sparse->mutable_indices();
      indices->set_data_type(7);
      indices->add_dims(2);
      if (!linear)
        indices->add_dims(2);
      for (int64_t index : linear ? std::vector<int64_t>{1, 5} : std::vector<int64_t>{0, 1, 1, 2})
        indices->add_int64_data(index);
      m.node("Identity", {"w"}, {"y"});
      m.output("y");
      CHECK(listOf<float>(only(m.loaded())) == std::vector<float>{0, 5, 0, 0, 0, 6});
      sparse->set_dims(0, 1);
      contains(m.error(), "out of bounds");
      sparse->set_dims(0, int64_t(1) << 40);
      contains(m.error(), "not supported");
    }
  }
}

TEST_CASE("external data stays in the model's folder", "[loader]") {
  Initializer m(ElementType::Float32, {2});
  float values[] = {0, 7, 8};
  writeFile(m.folder.file("weights.bin"),
            std::string(reinterpret_cast<char *>(values), sizeof(values)));
  externalData(m.tensor, "weights.bin", "4");
  CHECK(listOf<float>(only(m.loaded())) == std::vector<float>{7, 8});

  auto error = [&](const std::string &location, const std::string &offset = "") {
    m.tensor.clear_external_data();
    externalData(m.tensor, location, offset);
    return m.error();
  };
  contains(error("weights.bin", "8"), "past the file's end");
  contains(error("weights.bin", "18446744073709551615"), "past the file's end");
  contains(error("weights.bin", "-1"), "not a number");
  contains(error("../weights.bin"), "leaves the model's folder");
  contains(error("a/../../weights.bin"), "leaves the model's folder");
  contains(error("/etc/passwd"), "not a relative path");
  contains(error(""), "not a relative path");
  contains(error("absent.bin"), "absent.bin");
  contains(error("."), "leaves the model's folder");
  REQUIRE(symlink("/etc/passwd", m.folder.file("link").c_str()) == 0);
  contains(error("link"), "leaves the model's folder");
  REQUIRE(symlink("weights.bin", m.folder.file("inside").c_str()) == 0);
  m.tensor.clear_external_data();
  externalData(m.tensor, "inside");
  CHECK(only(m.loaded()).asDouble(1) == 7);
  // Misaligned bytes are copied.
  writeFile(m.folder.file("weights.bin"), "x" + std::string(8, '\0'));
  CHECK(errorOf([&] {
          m.tensor.clear_external_data();
          externalData(m.tensor, "weights.bin", "1");
          return m.load();
        }()) == "no error");
}

TEST_CASE("tensors that do not hold what they claim are errors", "[loader]") {
  Initializer m(ElementType::Float32, {2});
  m.tensor.set_raw_data("12345");
  contains(m.error(), "initializer 'w': holds 5 bytes where its shape [2] of fp32 asks for 8");
  m.tensor.clear_raw_data();
  contains(m.error(), "holds 0 values where its shape asks for 2");
  m.tensor.set_dims(0, int64_t(1) << 61);
  m.tensor.add_dims(int64_t(1) << 61);
  contains(m.error(), "is not valid");
  m.tensor.set_dims(0, -4);
  contains(m.error(), "is not valid");
  m.tensor.clear_dims();
  m.tensor.set_data_type(0);
  contains(m.error(), "element type 0 is not supported");
  m.tensor.set_data_type(99);
  contains(m.error(), "element type 99 is not supported");
}

TEST_CASE("initializers that are inputs too are no inputs", "[loader]") {
  ModelBuilder m(7);
  m.model.set_ir_version(3);
  m.input("x", {2});
  m.input("w", {2});
  m.floats("w", {2}, {1, 2});
  m.node("Add", {"x", "w"}, {"y"});
  m.output("y");
  Model model = m.loaded();
  REQUIRE(model.graph.inputs.size() == 1);
  CHECK(model.graph.values[model.graph.inputs[0]].name == "x");
  CHECK(model.opset == 7);
  CHECK(model.irVersion == 3);
  CHECK(countParameters(model) == 2);
  CHECK(model.fileBytes == static_cast<int64_t>(m.model.SerializeAsString().size()));
  CHECK(model.sha256 == sha256Hex(m.model.SerializeAsString()));
}

TEST_CASE("constants become constants of the graph", "[loader]") {
  ModelBuilder m;
  m.node("Constant", {}, {"a"}).f("value_float", 2.5f);
  m.node("Constant", {}, {"b"}).i("value_int", 3);
  m.node("Constant", {}, {"c"}).ints("value_ints", {4, 5});
  m.node("Constant", {}, {"d"}).floats("value_floats", {6, 7});
  m.node("Constant", {}, {"e"}).s("value_string", "text");
  auto &tensor = m.node("Constant", {}, {"f"}).tensor("value");
  tensor.set_data_type(1);
  tensor.add_float_data(8);
  for (const char *name : {"a", "b", "c", "d", "e", "f"})
    m.output(name);
  Model model = m.loaded();
  CHECK(model.graph.nodes.empty());
  auto constant = [&](size_t i) { return model.graph.constants.at(model.graph.outputs[i]); };
  CHECK(constant(0).asDouble(0) == 2.5);
  CHECK(constant(0).rank() == 0);
  CHECK(constant(1).asInt(0) == 3);
  CHECK(listOf<int64_t>(constant(2)) == std::vector<int64_t>{4, 5});
  CHECK(constant(3).type() == ElementType::Float32);
  CHECK(constant(4).stringValues()[0] == "text");
  CHECK(constant(5).asDouble(0) == 8);
}

TEST_CASE("nodes are sorted and their names made unique", "[loader]") {
  ModelBuilder m;
  m.input("x", {2});
  m.node("Relu", {"b"}, {"c"}, "same");
  m.node("Neg", {"a"}, {"b"}, "same");
  m.node("Abs", {"x"}, {"a"});
  m.node("Abs", {"c"}, {"d"});
  m.output("d");
  Model model = m.loaded();
  CHECK(operators(model.graph) == "Abs Neg Relu Abs");
  CHECK(model.graph.nodes[0].name == "Abs_2");
  CHECK(model.graph.nodes[1].name == "same_1");
  CHECK(model.graph.nodes[2].name == "same");
}

TEST_CASE("graphs that make no sense are errors", "[loader]") {
  SECTION("cycle") {
    ModelBuilder m;
    m.node("Relu", {"b"}, {"a"}, "first");
    m.node("Relu", {"a"}, {"b"});
    m.output("b");
    contains(m.error(), "node 'first' (Relu): it needs its own output");
  }
  SECTION("undefined input") {
    ModelBuilder m;
    m.node("Relu", {"nothing"}, {"a"}, "r");
    m.output("a");
    contains(m.error(), "node 'r' (Relu): input 'nothing' is not defined anywhere");
  }
  SECTION("undefined output") {
    ModelBuilder m;
    m.output("a");
    contains(m.error(), "output 'a' is not defined anywhere");
  }
  SECTION("defined twice") {
    ModelBuilder m;
    m.input("x", {1});
    m.node("Relu", {"x"}, {"a"});
    m.node("Abs", {"x"}, {"a"});
    m.output("a");
    contains(m.error(), "value 'a' is defined twice");
  }
  SECTION("input that is no tensor") {
    ModelBuilder m;
    auto *input = m.proto.add_input();
    input->set_name("s");
    input->mutable_type()->mutable_sequence_type();
    contains(m.error(), "'s' is not a tensor");
  }
  SECTION("names stay on one line") {
    ModelBuilder m;
    m.node("Relu", {"no\nthing"}, {"a"}, "r\n\x1b[31m" + std::string(1000, 'x'));
    std::string error = m.error();
    contains(error, "'no?thing'");
    CHECK(error.size() < 500);
  }
  SECTION("no operator") {
    ModelBuilder m;
    m.node("", {}, {"a"}, "n");
    contains(m.error(), "node 'n' has no operator");
  }
}

TEST_CASE("versions that are not supported are errors", "[loader]") {
  contains(ModelBuilder(0).error(), "opset 0 is older than 1");
  contains(ModelBuilder(99).error(), "opset 99 is newer than");
  ModelBuilder old;
  old.model.set_ir_version(2);
  contains(old.error(), "IR version 2 is older");
  ModelBuilder none;
  none.model.clear_opset_import();
  contains(none.error(), "does not say which opset");
  ModelBuilder alias;
  alias.model.mutable_opset_import(0)->set_domain("ai.onnx");
  alias.input("x", {1});
  alias.node("Relu", {"x"}, {"y"}).proto.set_domain("ai.onnx");
  alias.output("y");
  CHECK(alias.loaded().graph.nodes[0].domain.empty());
}

TEST_CASE("files that are no ONNX are errors", "[loader]") {
  TemporaryFolder folder;
  std::string path = folder.file("x.onnx");
  auto error = [&](const std::string &bytes) {
    writeFile(path, bytes);
    return errorOf(loadModel(path));
  };
  contains(error(""), "not an ONNX file");
  contains(error("This is a text and not a model.\n"), "not an ONNX file");
  contains(error(std::string(1000, '\xff')), "not an ONNX file");
  contains(errorOf(loadModel(folder.file("absent.onnx"))), "absent.onnx: ");
  contains(errorOf(loadModel(folder.file(""))), "not a regular file");
  contains(errorOf(loadModel("/dev/zero")), "not a regular file");

  // Every prefix of a good file, and many damaged ones, give an error or a model.
  ModelBuilder m;
  m.input("x", {"N", 3});
  m.floats("w", {3}, {1, 2, 3});
  m.node("Add", {"x", "w"}, {"y"}, "add");
  m.node("Softmax", {"y"}, {"z"}).i("axis", 1);
  m.output("z");
  std::string good = m.model.SerializeAsString();
  for (size_t length = 0; length < good.size(); ++length) {
    std::string text = error(good.substr(0, length));
    CHECK(text.find('\n') == std::string::npos);
  }
  uint32_t seed = 1;
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (int k = 0; k < 3; ++k) {
      seed = seed * 1664525 + 1013904223;
      bad[(seed >> 8) % bad.size()] = static_cast<char>(seed >> 24);
    }
    writeFile(path, bad);
    auto model = loadModel(path);
    std::string text = model ? errorOf(prepare(*model, {})) : llvm::toString(model.takeError());
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("subgraphs capture outer values", "[loader]") {
  ModelBuilder m;
  m.input("x", {2});
  m.input("c", {}, ElementType::Bool);
  m.node("Abs", {"x"}, {"a"});
  auto outer = m.node("If", {"c"}, {"y"}, "outer");
  GraphFiller yes{outer.graph("then_branch")}, no{outer.graph("else_branch")};
  auto inner = yes.node("If", {"c"}, {"r"}, "inner");
  yes.output("r");
  GraphFiller innerYes{inner.graph("then_branch")}, innerNo{inner.graph("else_branch")};
  innerYes.node("Neg", {"a"}, {"p"});
  innerYes.output("p");
  innerNo.output("x");
  no.node("Relu", {"a"}, {"q"});
  no.output("q");
  m.output("y");
  Model model = m.loaded();
  REQUIRE(operators(model.graph) == "Abs If");
  const Node &node = model.graph.nodes[1];
  auto branch = node.getGraph("then_branch");
  REQUIRE(branch);
  CHECK(branch->captures.size() == 3); // c, a, x
  for (auto [innerId, outerId] : branch->captures)
    CHECK(branch->values[innerId].name == model.graph.values[outerId].name);
  auto deepest = branch->nodes[0].getGraph("then_branch");
  REQUIRE(deepest->captures.size() == 1);
  CHECK(branch->values[deepest->captures[0].second].name == "a");
  CHECK(node.getGraph("else_branch")->captures.size() == 1);
}

TEST_CASE("nesting is limited", "[loader]") {
  auto nested = [](int depth) {
    ModelBuilder m;
    m.input("c", {}, ElementType::Bool);
    onnx::GraphProto *graph = &m.proto;
    for (int i = 0; i < depth; ++i) {
      auto node = GraphFiller{*graph}.node("If", {"c"}, {"y" + std::to_string(i)});
      graph->add_output()->set_name("y" + std::to_string(i));
      GraphFiller{node.graph("else_branch")}.output("c");
      graph = &node.graph("then_branch");
    }
    graph->add_output()->set_name("c");
    return m.error();
  };
  CHECK(nested(64) == "no error");
  contains(nested(65), "nested more than 64 deep");
  contains(nested(2000), "not an ONNX file, or a damaged one");
}

TEST_CASE("model-local functions are inlined", "[loader]") {
  ModelBuilder m;
  m.input("x", {2});
  auto *function = m.model.add_functions();
  function->set_domain("mine");
  function->set_name("Twice");
  function->add_input("in");
  function->add_output("out");
  function->add_attribute("alpha");
  auto *node = function->add_node();
  node->set_op_type("LeakyRelu");
  node->add_input("in");
  node->add_output("middle");
  auto *reference = node->add_attribute();
  reference->set_name("alpha");
  reference->set_type(onnx::AttributeProto::FLOAT);
  reference->set_ref_attr_name("alpha");
  node = function->add_node();
  node->set_op_type("Add");
  node->add_input("middle");
  node->add_input("middle");
  node->add_output("out");
  auto *import = function->add_opset_import();
  import->set_version(21);
  auto first = m.node("Twice", {"x"}, {"a"}, "call");
  first.proto.set_domain("mine");
  first.f("alpha", 0.5f);
  m.node("Twice", {"a"}, {"b"}, "call").proto.set_domain("mine");
  m.output("b");

  SECTION("twice") {
    Model model = m.loaded();
    CHECK(operators(model.graph) == "LeakyRelu Add LeakyRelu Add");
    CHECK(model.graph.nodes[0].getFloat("alpha", 0) == 0.5f);
    CHECK_FALSE(model.graph.nodes[2].has("alpha"));
  }
  SECTION("an attribute's default, in a field that the protobuf does not know") {
    onnx::AttributeProto value;
    value.set_name("alpha");
    value.set_type(onnx::AttributeProto::FLOAT);
    value.set_f(0.25f);
    function->mutable_unknown_fields()->AddLengthDelimited(11, value.SerializeAsString());
    Model model = m.loaded();
    CHECK(model.graph.nodes[0].getFloat("alpha", 0) == 0.5f);
    CHECK(model.graph.nodes[2].getFloat("alpha", 0) == 0.25f);
  }
  SECTION("a function that calls itself") {
    node->set_op_type("Twice");
    node->set_domain("mine");
    node->mutable_input()->RemoveLast();
    contains(m.error(), "calls itself");
  }
  SECTION("an output that is an input") {
    node->set_output(0, "unused");
    function->set_output(0, "in");
    Model model = m.loaded();
    CHECK(operators(model.graph) == "LeakyRelu Add Identity LeakyRelu Add Identity");
  }
  SECTION("too many inputs") {
    m.proto.mutable_node(0)->add_input("x");
    contains(m.error(), "takes 1 inputs");
  }
}

TEST_CASE("functions cannot explode", "[loader]") {
  ModelBuilder m;
  m.input("x", {2});
  for (int level = 0; level < 40; ++level) {
    auto *function = m.model.add_functions();
    function->set_domain("mine");
    function->set_name("F" + std::to_string(level));
    function->add_input("in");
    function->add_output("out");
    function->add_opset_import()->set_version(21);
    for (int i = 0; i < 2; ++i) {
      auto *node = function->add_node();
      node->set_op_type(level ? "F" + std::to_string(level - 1) : "Relu");
      node->set_domain(level ? "mine" : "");
      node->add_input(i ? "middle" : "in");
      node->add_output(i ? "out" : "middle");
    }
  }
  m.node("F39", {"x"}, {"y"}).proto.set_domain("mine");
  m.output("y");
  contains(m.error(), "expand to");
}

TEST_CASE("the shared models load", "[loader]") {
  std::string folder = sharedFolder();
  if (folder.empty())
    return;
  std::error_code code;
  int count = 0;
  for (llvm::sys::fs::directory_iterator it(folder + "/models", code), end; it != end && !code;
       it.increment(code)) {
    std::string path = it->path() + "/model.onnx";
    if (!llvm::sys::fs::exists(path))
      continue;
    Model model = check(loadModel(path));
    CHECK_FALSE(model.graph.inputs.empty());
    CHECK_FALSE(model.graph.outputs.empty());
    ++count;
  }
  CHECK(count > 0);
}
