//===- UpgradeTest.cpp - Old forms of operators become the newest -------------===//

#include "tests/runtime/onnx/ModelBuilder.h"

using namespace npucc;
using namespace npucc::test;

namespace {

/// A model of one old node on input x [2, 3, 4, 5].
struct OldNode : ModelBuilder {
  OldNode(int64_t opset, const std::string &opType, const std::vector<std::string> &more = {},
          int outputs = 1)
      : ModelBuilder(opset), node(make(opType, more, outputs)) {}

  NodeBuilder make(const std::string &opType, const std::vector<std::string> &more, int outputs) {
    input("x", {2, 3, 4, 5});
    std::vector<std::string> inputs{"x"}, results;
    inputs.insert(inputs.end(), more.begin(), more.end());
    for (int i = 0; i < outputs; ++i) {
      results.push_back("y" + std::to_string(i));
      output(results.back());
    }
    return ModelBuilder::node(opType, inputs, results, "n");
  }

  /// Loads, and returns the only node.
  const Node &upgraded(const std::string &opType) {
    model_ = loaded();
    INFO(operators(model_.graph));
    REQUIRE(model_.graph.nodes.size() == 1);
    const Node &result = model_.graph.nodes[0];
    CHECK(result.opType == opType);
    CHECK(result.name == "n");
    return result;
  }
  std::vector<int64_t> ints(size_t i) { return intsOf(model_.graph, model_.graph.nodes.back(), i); }
  double scalar(size_t i) {
    const Tensor *tensor = model_.graph.constant(model_.graph.nodes.back().inputs[i]);
    REQUIRE(tensor);
    return tensor->asDouble(0);
  }

  NodeBuilder node;
  Model model_;
};

} // namespace

TEST_CASE("axes become an input", "[upgrade]") {
  struct Case {
    const char *op;
    int64_t last; ///< opset in which axes were an attribute still
  };
  for (Case c :
       {Case{"Squeeze", 12}, Case{"Unsqueeze", 12}, Case{"ReduceSum", 12}, Case{"ReduceMean", 17},
        Case{"ReduceMax", 17}, Case{"ReduceMin", 17}, Case{"ReduceProd", 17}, Case{"ReduceL1", 17},
        Case{"ReduceL2", 17}, Case{"ReduceLogSum", 17}, Case{"ReduceLogSumExp", 17},
        Case{"ReduceSumSquare", 17}})
    for (int64_t opset : {int64_t(7), int64_t(11), c.last}) {
      OldNode m(opset, c.op);
      m.node.ints("axes", {1, -1});
      const Node &node = m.upgraded(c.op);
      CHECK(m.ints(1) == std::vector<int64_t>{1, -1});
      CHECK_FALSE(node.has("axes"));
    }
  OldNode all(13, "ReduceMax");
  all.node.i("keepdims", 0);
  const Node &node = all.upgraded("ReduceMax");
  CHECK(node.inputs.size() == 1);
  CHECK(node.getInt("keepdims", 1) == 0);
}

TEST_CASE("attributes of Slice, Split, TopK, Pad and Clip become inputs", "[upgrade]") {
  SECTION("Slice") {
    OldNode m(9, "Slice");
    m.node.ints("starts", {1}).ints("ends", {-1}).ints("axes", {2});
    CHECK(m.upgraded("Slice").attributes.empty());
    CHECK(m.ints(1) == std::vector<int64_t>{1});
    CHECK(m.ints(2) == std::vector<int64_t>{-1});
    CHECK(m.ints(3) == std::vector<int64_t>{2});
    OldNode bad(9, "Slice");
    contains(bad.error(), "node 'n' (Slice): attributes 'starts' and 'ends' are missing");
  }
  SECTION("Split") {
    OldNode m(11, "Split", {}, 2);
    m.node.ints("split", {1, 2}).i("axis", 1);
    CHECK(m.upgraded("Split").getInt("axis", 0) == 1);
    CHECK(m.ints(1) == std::vector<int64_t>{1, 2});
    OldNode equal(13, "Split", {}, 2);
    CHECK(equal.upgraded("Split").getInt("num_outputs", 0) == 2);
  }
  SECTION("TopK") {
    OldNode m(9, "TopK", {}, 2);
    m.node.i("k", 3);
    CHECK_FALSE(m.upgraded("TopK").has("k"));
    CHECK(m.ints(1) == std::vector<int64_t>{3});
    contains(OldNode(9, "TopK", {}, 2).error(), "'k' is missing");
  }
  SECTION("Pad") {
    OldNode m(10, "Pad");
    m.node.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1}).s("mode", "constant").f("value", 2);
    CHECK(m.upgraded("Pad").getString("mode", "") == "constant");
    CHECK(m.ints(1) == std::vector<int64_t>{0, 0, 1, 1, 0, 0, 1, 1});
    CHECK(m.scalar(2) == 2);
    OldNode zero(10, "Pad");
    zero.node.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1});
    CHECK(zero.upgraded("Pad").inputs.size() == 2);
  }
  SECTION("Clip") {
    OldNode m(10, "Clip");
    m.node.f("min", 0).f("max", 6);
    CHECK(m.upgraded("Clip").attributes.empty());
    CHECK(m.scalar(1) == 0);
    CHECK(m.scalar(2) == 6);
    OldNode upper(7, "Clip");
    upper.node.f("max", 6);
    CHECK(upper.upgraded("Clip").inputs[1] == kNoValue);
    OldNode none(7, "Clip");
    CHECK(none.upgraded("Clip").inputs.size() == 1);
  }
  SECTION("a scalar takes the type of what it goes with, even where that comes later") {
    ModelBuilder m(10);
    m.input("x", {2}, ElementType::Float16);
    m.node("Relu", {"x"}, {"a"});
    m.node("Clip", {"a"}, {"y"}).f("min", 1);
    m.output("y");
    CHECK(operators(m.loaded().graph) == "Relu CastLike Clip");
    Model model = m.prepared();
    CHECK(operators(model.graph) == "Relu Clip");
    CHECK(model.graph.constant(model.graph.nodes[1].inputs[1])->type() == ElementType::Float16);
  }
}

TEST_CASE("Softmax on matrices", "[upgrade]") {
  for (const char *op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    OldNode m(11, op);
    m.node.i("axis", 2);
    CHECK(operators(m.loaded().graph) == std::string("Flatten Shape ") + op + " Reshape");
    OldNode modern(13, op);
    modern.node.i("axis", 2);
    CHECK(modern.upgraded(op).getInt("axis", 0) == 2);
  }
}

TEST_CASE("Upsample and the first Resize", "[upgrade]") {
  OldNode v7(7, "Upsample");
  v7.node.floats("scales", {1, 1, 2, 2}).s("mode", "nearest");
  const Node *node = &v7.upgraded("Resize");
  REQUIRE(node->inputs.size() == 3);
  CHECK(node->inputs[1] == kNoValue);
  CHECK(v7.scalar(2) == 1);
  CHECK(node->getString("coordinate_transformation_mode", "") == "asymmetric");
  CHECK(node->getString("nearest_mode", "") == "floor");
  CHECK_FALSE(node->has("scales"));

  for (const char *op : {"Upsample", "Resize"}) {
    OldNode m(op[0] == 'U' ? 9 : 10, op, {"s"});
    m.floats("s", {4}, {1, 1, 0.5f, 0.5f});
    m.node.s("mode", "linear");
    node = &m.upgraded("Resize");
    CHECK(node->getString("mode", "") == "linear");
    CHECK(node->getString("nearest_mode", "") == "ceil");
    CHECK(m.scalar(2) == 1);
  }
  contains(OldNode(9, "Upsample").error(), "no scales");

  OldNode v11(11, "Resize", {"none", "none", "sizes"});
  v11.floats("none", {0}, {});
  v11.ModelBuilder::ints("sizes", {2, 3, 8, 10});
  node = &v11.upgraded("Resize");
  CHECK(node->inputs[1] == kNoValue);
  CHECK(node->inputs[2] == kNoValue);
  CHECK_FALSE(node->has("nearest_mode"));
}

TEST_CASE("normalisations", "[upgrade]") {
  OldNode batch(7, "BatchNormalization", {"x", "x", "x", "x"}, 1);
  batch.node.i("spatial", 1).f("epsilon", 0.5f);
  batch.node.proto.add_output("mean");
  const Node &node = batch.upgraded("BatchNormalization");
  CHECK(node.outputs.size() == 1);
  CHECK_FALSE(node.has("spatial"));
  CHECK(node.getFloat("epsilon", 0) == 0.5f);
  OldNode bad(7, "BatchNormalization", {"x", "x", "x", "x"});
  bad.node.i("spatial", 0);
  contains(bad.error(), "'spatial' = 0 is not supported");

  ModelBuilder group(18);
  group.input("x", {1, 4, 5});
  group.floats("s", {2}, {1, 2});
  group.floats("b", {2}, {3, 4});
  group.node("GroupNormalization", {"x", "s", "b"}, {"y"}).i("num_groups", 2);
  group.output("y");
  Model model = group.prepared();
  REQUIRE(operators(model.graph) == "GroupNormalization");
  auto values = [&](size_t i) {
    return listOf<float>(*model.graph.constant(model.graph.nodes[0].inputs[i]));
  };
  CHECK(values(1) == std::vector<float>{1, 1, 2, 2});
  CHECK(values(2) == std::vector<float>{3, 3, 4, 4});
}

TEST_CASE("renamed operators and attributes", "[upgrade]") {
  CHECK(OldNode(9, "Scatter", {"x", "x"}).upgraded("ScatterElements").inputs.size() == 3);
  CHECK(OldNode(16, "GridSample", {"x"}).upgraded("GridSample").getString("mode", "") == "linear");
  OldNode cubic(16, "GridSample", {"x"});
  cubic.node.s("mode", "bicubic");
  CHECK(cubic.upgraded("GridSample").getString("mode", "") == "cubic");
  CHECK(OldNode(10, "RoiAlign", {"x", "x"})
            .upgraded("RoiAlign")
            .getString("coordinate_transformation_mode", "") == "output_half_pixel");
  OldNode dft(17, "DFT");
  dft.node.i("axis", 2);
  CHECK_FALSE(dft.upgraded("DFT").has("axis"));
  CHECK(dft.ints(2) == std::vector<int64_t>{2});
  contains(OldNode(8, "Scan").error(), "attribute 'body' is missing");
  OldNode dropout(7, "Dropout");
  dropout.node.f("ratio", 0.3f);
  CHECK_FALSE(dropout.upgraded("Dropout").has("ratio"));
}

TEST_CASE("forms of the first opsets", "[upgrade]") {
  SECTION("Cast") {
    OldNode m(5, "Cast");
    m.node.s("to", "INT32");
    CHECK(m.upgraded("Cast").getInt("to", 0) == 6);
    CHECK_THAT(OldNode(1, "Cast").error(), Catch::Contains("names no type"));
  }
  SECTION("Concat") { CHECK(OldNode(3, "Concat").upgraded("Concat").getInt("axis", 0) == 1); }
  SECTION("LpPool") {
    OldNode m(1, "LpPool"), half(1, "LpPool");
    m.node.f("p", 3);
    CHECK(m.upgraded("LpPool").getInt("p", 0) == 3);
    half.node.f("p", 0.5f);
    CHECK_THAT(half.error(), Catch::Contains("not a whole number"));
  }
  SECTION("Pad") {
    OldNode m(1, "Pad");
    m.node.ints("paddings", {0, 0, 1, 0, 0, 0, 0, 1});
    CHECK(m.upgraded("Pad").attributes.empty());
    CHECK(m.ints(1) == std::vector<int64_t>{0, 0, 1, 0, 0, 0, 0, 1});
  }
  SECTION("Reshape") {
    OldNode m(4, "Reshape");
    m.node.ints("shape", {6, -1});
    CHECK(m.upgraded("Reshape").attributes.empty());
    CHECK(m.ints(1) == std::vector<int64_t>{6, -1});
  }
  SECTION("Selu") {
    CHECK(OldNode(5, "Selu").upgraded("Selu").getFloat("alpha", 0) == 1.6732f);
    CHECK_FALSE(OldNode(6, "Selu").upgraded("Selu").has("alpha"));
  }
  SECTION("Tile") {
    CHECK_THAT(OldNode(1, "Tile").error(), Catch::Contains("version 1 is not supported"));
  }
}

TEST_CASE("operands broadcast by axis", "[upgrade]") {
  ModelBuilder m(6);
  m.input("x", {2, 3, 4, 5});
  m.floats("b", {3}, {1, 2, 3});
  m.floats("last", {4, 5}, std::vector<float>(20));
  m.node("Add", {"x", "b"}, {"s"}).i("broadcast", 1).i("axis", 1);
  m.node("Mul", {"s", "last"}, {"p"}).i("broadcast", 1);
  m.node("PRelu", {"p", "b"}, {"q"});
  m.node("Sub", {"q", "q"}, {"y"});
  m.output("y");
  Model model = m.prepared();
  REQUIRE(operators(model.graph) == "Add Mul PRelu Sub");
  auto shape = [&](size_t node) {
    return shapeOf(*model.graph.constant(model.graph.nodes[node].inputs[1]));
  };
  CHECK(shape(0) == std::vector<int64_t>{3, 1, 1});
  CHECK(shape(1) == std::vector<int64_t>{4, 5});
  CHECK(shape(2) == std::vector<int64_t>{3, 1, 1});
  CHECK_FALSE(model.graph.nodes[0].has("axis"));
  CHECK_FALSE(model.graph.nodes[0].has("broadcast"));
}
