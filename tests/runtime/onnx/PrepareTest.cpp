//===- PrepareTest.cpp - Binding, inference, folding --------------------------===//

#include "tests/runtime/onnx/ModelBuilder.h"

using namespace npucc;
using namespace npucc::test;

namespace {

using Ints = std::vector<int64_t>;

Bindings batchOf(int64_t batch) {
  Bindings result;
  result.batch = batch;
  return result;
}

Ints inputShape(const Model &model, size_t i = 0) {
  Shape shape = model.graph.values[model.graph.inputs[i]].shape();
  return {shape.begin(), shape.end()};
}

/// x -> Relu -> y.
struct ReluModel : ModelBuilder {
  explicit ReluModel(const std::vector<TestDim> &dims) {
    input("x", dims);
    node("Relu", {"x"}, {"y"}, "relu");
    output("y");
  }
};

} // namespace

TEST_CASE("symbolic dimensions are bound", "[prepare]") {
  ReluModel m({"batch", 3, "height", ""});
  SECTION("all that is unbound is listed") {
    std::string error = m.prepareError();
    contains(error, "'height' (input 'x', dimension 2), unnamed (input 'x', dimension 3)");
    CHECK(error.find("'batch'") == std::string::npos);
  }
  SECTION("by name and by shape") {
    Bindings b;
    b.dims["height"] = 8;
    b.inputShapes["x"] = {2, 3, 8, 9};
    Model model = m.prepared(b);
    CHECK(inputShape(model) == Ints{2, 3, 8, 9});
    CHECK(outputShape(model.graph) == Ints{2, 3, 8, 9});
    b.dims["height"] = 7;
    contains(m.prepareError(b),
             "dimension 'height' is 7 by --dim, but the shape given for input 'x' "
             "makes it 8");
  }
  SECTION("a batch of one is the default") {
    Bindings b;
    b.inputShapes["x"] = {1, 3, 8, 9};
    CHECK(inputShape(m.prepared(b)) == Ints{1, 3, 8, 9});
    b = {};
    b.dims["height"] = 8;
    contains(m.prepareError(b), "unnamed (input 'x', dimension 3)");
  }
  SECTION("wrong names and shapes") {
    Bindings b;
    b.dims["width"] = 3;
    contains(m.prepareError(b), "no dimension 'width'; symbolic dimensions: 'batch', 'height'");
    b = {};
    b.inputShapes["z"] = {1};
    contains(m.prepareError(b), "no input 'z'; inputs: 'x'");
    b = {};
    b.inputShapes["x"] = {1, 3};
    contains(m.prepareError(b), "has 4 dimensions, but the shape given has 2");
    b.inputShapes["x"] = {1, 4, 8, 8};
    contains(m.prepareError(b), "dimension 1 is 3 in the file");
    b.inputShapes["x"] = {1, 3, -8, 8};
    contains(m.prepareError(b), "cannot have a dimension of -8");
    b = {};
    b.dims["height"] = -1;
    contains(m.prepareError(b), "dimension 'height' cannot be -1");
    b = {};
    b.inputShapes["x"] = {1, 3, int64_t(1) << 30, int64_t(1) << 30};
    contains(m.prepareError(b), "too large");
  }
}

TEST_CASE("which leading dimensions are a batch", "[prepare]") {
  for (const char *symbol : {"batch_size", "N", "n", "", "unk__7", "None"})
    CHECK(inputShape(ReluModel({symbol, 2}).prepared()) == Ints{1, 2});
  contains(ReluModel({"sequence", 2}).prepareError(), "'sequence'");
  CHECK(inputShape(ReluModel({"sequence", 2}).prepared(batchOf(5))) == Ints{5, 2});
}

TEST_CASE("sums of symbols", "[prepare]") {
  ModelBuilder m;
  m.input("x", {"batch", "past"});
  m.input("mask", {"batch", "past + sequence + 1"});
  m.input("ids", {"batch", "sequence"});
  m.node("Concat", {"x", "mask", "ids"}, {"y"}).i("axis", 1);
  m.output("y");
  Bindings b;
  b.dims = {{"past", 4}, {"sequence", 2}};
  CHECK(outputShape(m.prepared(b).graph) == Ints{1, 13});
  b.dims = {{"past", 4}};
  contains(m.prepareError(b), "'past + sequence + 1'");
}

TEST_CASE("the batch", "[prepare]") {
  SECTION("symbolic") {
    CHECK(inputShape(ReluModel({"N", 2}).prepared(batchOf(4))) == Ints{4, 2});
    CHECK(inputShape(ReluModel({"", 2}).prepared(batchOf(4))) == Ints{4, 2});
  }
  SECTION("fixed 1") {
    CHECK(inputShape(ReluModel({1, 2}).prepared(batchOf(4))) == Ints{4, 2});
    CHECK(inputShape(ReluModel({4, 2}).prepared(batchOf(4))) == Ints{4, 2});
    contains(ReluModel({2, 2}).prepareError(batchOf(4)), "no batch dimension");
    contains(ReluModel({1}).prepareError(batchOf(4)), "no batch dimension");
    contains(ReluModel({1, 2}).prepareError(batchOf(0)), "the batch cannot be 0");
  }
  SECTION("a symbol beside a fixed 1") {
    ModelBuilder m;
    m.input("x", {"batch", 2});
    m.input("mask", {1, 2});
    m.node("Add", {"x", "mask"}, {"y"});
    m.output("y");
    Model model = m.prepared(batchOf(3));
    CHECK(inputShape(model, 0) == Ints{3, 2});
    CHECK(inputShape(model, 1) == Ints{1, 2});
  }
  SECTION("a symbol that does not lead") {
    ModelBuilder m;
    m.input("h", {2, "batch"});
    m.node("Relu", {"h"}, {"y"});
    m.output("y");
    CHECK(inputShape(m.prepared(batchOf(3))) == Ints{2, 3});
  }
}

TEST_CASE("constant shapes made for a batch of one are adapted", "[prepare]") {
  struct Case {
    std::vector<TestDim> input;
    Ints target, output;
  };
  for (const Case &c : {Case{{1, 6, 4}, {1, 24}, {3, 24}},           //
                        Case{{1, 6, 4}, {1, -1, 8}, {3, 3, 8}},      //
                        Case{{1, 6, 4}, {-1, 24}, {3, 24}},          //
                        Case{{1, 6, 4}, {0, 24}, {3, 24}},           //
                        Case{{1, 6, 4}, {2, 3, 4}, {6, 3, 4}},       //
                        Case{{1, 6, 4}, {2, -1, 4}, {6, 3, 4}},      //
                        Case{{1, 6, 4}, {1, 1, 6, 4}, {3, 1, 6, 4}}, //
                        Case{{1, 6, 4}, {24}, {72}}}) {
    ModelBuilder m;
    m.input("x", c.input);
    m.ints("shape", c.target);
    m.node("Reshape", {"x", "shape"}, {"y"});
    m.output("y");
    CHECK(outputShape(m.prepared(batchOf(3)).graph) == c.output);
  }
  SECTION("the batch is not in front") {
    ModelBuilder m;
    m.input("x", {1, 5, 8});
    m.node("Transpose", {"x"}, {"t"}).ints("perm", {1, 0, 2}); // [5, N, 8]
    m.ints("shape", {5, 2, 4});
    m.node("Reshape", {"t", "shape"}, {"y"}); // [5, 2N, 4]
    m.output("y");
    CHECK(outputShape(m.prepared(batchOf(3)).graph) == Ints{5, 6, 4});
  }
  SECTION("shapes that are computed need no change") {
    ModelBuilder m;
    m.input("x", {1, 6, 4});
    m.node("Shape", {"x"}, {"s"});
    m.ints("zero", {0});
    m.ints("rest", {-1});
    m.node("Gather", {"s", "zero"}, {"n"});
    m.node("Concat", {"n", "rest"}, {"shape"}).i("axis", 0);
    m.node("Reshape", {"x", "shape"}, {"y"});
    m.output("y");
    Model model = m.prepared(batchOf(3));
    CHECK(outputShape(model.graph) == Ints{3, 24});
    CHECK(operators(model.graph) == "Reshape");
  }
  SECTION("what cannot be adapted is an error that says why") {
    ModelBuilder m;
    m.input("x", {1, 6});
    m.input("state", {2, 6});
    m.node("Concat", {"x", "state"}, {"y"}, "join").i("axis", 1);
    m.output("y");
    m.proto.mutable_input(1)
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape()
        ->mutable_dim(0)
        ->set_dim_value(1);
    CHECK(outputShape(m.prepared(batchOf(3)).graph) == Ints{3, 12});
    ModelBuilder fixed;
    fixed.input("x", {1, 6});
    fixed.input("state", {2, 6});
    fixed.node("Slice", {"state", "zero", "one"}, {"first"});
    fixed.ints("zero", {0});
    fixed.ints("one", {1});
    fixed.node("Concat", {"x", "first"}, {"y"}, "join").i("axis", 1);
    fixed.output("y");
    contains(fixed.prepareError(batchOf(3)),
             "a batch of 3 does not fit this file, made for batch 1: node 'join' (Concat): ");
  }
}

TEST_CASE("shape arithmetic is folded", "[prepare]") {
  ModelBuilder m;
  m.input("x", {"batch", 3, 4, 5});
  m.node("Shape", {"x"}, {"s"}).i("start", -2);
  m.node("Size", {"x"}, {"count"});
  m.ints("two", {2});
  m.node("Mul", {"s", "two"}, {"doubled"});
  m.node("Relu", {"x"}, {"unused"});
  m.output("s");
  m.output("doubled");
  m.output("count");
  Model model = m.prepared();
  CHECK(model.graph.nodes.empty());
  auto value = [&](size_t i) {
    return listOf<int64_t>(*model.graph.constant(model.graph.outputs[i]));
  };
  CHECK(value(0) == Ints{4, 5});
  CHECK(value(1) == Ints{8, 10});
  CHECK(value(2) == Ints{60});
  CHECK(model.graph.inputs.size() == 1);
}

TEST_CASE("large constant expressions stay nodes, views of any size do not", "[prepare]") {
  ModelBuilder m;
  m.input("x", {4097});
  m.ints("small", {4096});
  m.ints("large", {4097});
  m.ints("huge", {int64_t(1) << 40});
  m.node("ConstantOfShape", {"small"}, {"a"});
  m.node("ConstantOfShape", {"large"}, {"b"});
  m.node("ConstantOfShape", {"huge"}, {"c"});
  m.initializer("w", ElementType::Float32, {1, 4097}).set_raw_data(std::string(4 * 4097, '\0'));
  m.node("Reshape", {"w", "large"}, {"v"});
  m.node("Add", {"x", "v"}, {"d"});
  for (const char *name : {"a", "b", "c", "d"})
    m.output(name);
  Model model = m.prepared();
  CHECK(operators(model.graph) == "ConstantOfShape ConstantOfShape Add");
  CHECK(model.graph.constant(model.graph.outputs[0])->size() == 4096);
  CHECK(outputShape(model.graph, 2) == Ints{int64_t(1) << 40});
}

TEST_CASE("tensors too large to count are errors", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2});
  m.ints("huge", {int64_t(1) << 40, int64_t(1) << 40});
  m.node("ConstantOfShape", {"huge"}, {"a"}, "n");
  m.output("a");
  contains(m.prepareError(), "node 'n' (ConstantOfShape): ");
}

TEST_CASE("quantised constants stay quantised", "[prepare]") {
  ModelBuilder m;
  m.input("x", {4});
  m.initializer("w", ElementType::Int8, {4}).set_raw_data("abcd");
  m.floats("scale", {}, {0.5f});
  m.node("DequantizeLinear", {"w", "scale"}, {"d"});
  m.node("Add", {"x", "d"}, {"y"});
  m.output("y");
  CHECK(operators(m.prepared().graph) == "DequantizeLinear Add");
}

TEST_CASE("Identity and Dropout go, names of outputs stay", "[prepare]") {
  ModelBuilder m(13);
  m.input("x", {2});
  m.node("Identity", {"x"}, {"a"});
  m.node("Relu", {"a"}, {"b"});
  m.node("Dropout", {"b"}, {"c", "mask"});
  m.node("Identity", {"c"}, {"y"});
  m.output("y");
  SECTION("chain") {
    Model model = m.prepared();
    CHECK(operators(model.graph) == "Relu");
    CHECK(model.graph.values[model.graph.outputs[0]].name == "y");
    CHECK(model.graph.nodes[0].inputs[0] == model.graph.inputs[0]);
  }
  SECTION("one value under two output names") {
    m.node("Identity", {"c"}, {"z"});
    m.output("z");
    Model model = m.prepared();
    CHECK(operators(model.graph) == "Relu Identity");
    CHECK(model.graph.values[model.graph.outputs[0]].name == "y");
    CHECK(model.graph.values[model.graph.outputs[1]].name == "z");
  }
  SECTION("an input as output") {
    m.node("Identity", {"x"}, {"z"});
    m.output("z");
    CHECK(operators(m.prepared().graph) == "Relu Identity");
  }
  SECTION("the mask of Dropout is true") {
    m.output("mask");
    Model model = m.prepared();
    const Tensor *mask = model.graph.constant(model.graph.outputs[1]);
    REQUIRE(mask);
    CHECK(mask->type() == ElementType::Bool);
    CHECK(listOf<uint8_t>(*mask) == std::vector<uint8_t>{1, 1});
  }
  SECTION("training is left alone") {
    m.proto.mutable_node(2)->add_input("ratio");
    m.proto.mutable_node(2)->add_input("training");
    m.floats("ratio", {}, {0.5f});
    m.initializer("training", ElementType::Bool, {}).add_int32_data(1);
    CHECK(operators(m.prepared().graph) == "Relu Dropout");
  }
}

TEST_CASE("Softmax on matrices becomes one Softmax where it can", "[prepare]") {
  struct Case {
    std::vector<TestDim> dims;
    int64_t axis, expected; ///< -1: stays three nodes
  };
  for (const Case &c : {Case{{2, 3, 4}, 2, 2}, Case{{2, 3, 4}, -1, 2}, Case{{2, 3, 1, 1}, 1, 1},
                        Case{{1, 10}, 1, 1}, Case{{2, 1, 4}, 1, 2}, Case{{2, 3, 4}, 1, -1},
                        Case{{2, 3}, 0, -1}, Case{{1, 1}, 0, 1}}) {
    ModelBuilder m(11);
    m.input("x", c.dims);
    m.node("Softmax", {"x"}, {"y"}, "soft").i("axis", c.axis);
    m.output("y");
    Model model = m.prepared();
    if (c.expected < 0) {
      CHECK(operators(model.graph) == "Flatten Softmax Reshape");
      continue;
    }
    REQUIRE(operators(model.graph) == "Softmax");
    CHECK(model.graph.nodes[0].getInt("axis", -9) == c.expected);
    CHECK(model.graph.nodes[0].name == "soft");
    CHECK(model.graph.values[model.graph.outputs[0]].name == "y");
  }
}

TEST_CASE("a known condition takes its branch", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2, 3});
  m.node("Shape", {"x"}, {"s"});
  m.node("Size", {"s"}, {"rank"});
  m.node("Constant", {}, {"two"}).i("value_int", 2);
  m.node("Equal", {"rank", "two"}, {"flat"});
  auto node = m.node("If", {"flat"}, {"y"}, "if");
  GraphFiller yes{node.graph("then_branch")}, no{node.graph("else_branch")};
  yes.floats("w", {3}, {1, 2, 3});
  yes.node("Add", {"x", "w"}, {"r"}, "add");
  yes.output("r");
  no.node("MatMul", {"x", "x"}, {"q"}); // would not fit
  no.output("q");
  m.node("Relu", {"y"}, {"z"});
  m.output("z");
  Model model = m.prepared();
  CHECK(operators(model.graph) == "Add Relu");
  CHECK(outputShape(model.graph) == Ints{2, 3});
  // The loaded model can be prepared again: nothing shared was changed.
  Model again = m.loaded(), copy = again;
  check(prepare(again, {}));
  check(prepare(copy, {}));
  CHECK(operators(copy.graph) == "Add Relu");
}

TEST_CASE("an unknown condition keeps both branches", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2, 3});
  m.input("c", {}, ElementType::Bool);
  m.node("Shape", {"x"}, {"s"});
  auto node = m.node("If", {"c"}, {"y"}, "if");
  GraphFiller yes{node.graph("then_branch")}, no{node.graph("else_branch")};
  yes.node("Reshape", {"x", "s"}, {"r"});
  yes.output("r");
  no.node("MatMul", {"x", "x"}, {"q"}); // does not fit: only this branch must not be taken
  no.output("q");
  m.output("y");
  Model model = m.prepared();
  REQUIRE(operators(model.graph) == "If");
  auto branch = model.graph.nodes[0].getGraph("then_branch");
  REQUIRE(branch->captures.size() == 1); // the shape is a constant inside
  CHECK(model.graph.values[branch->captures[0].second].name == "x");
  CHECK(branch->constant(branch->nodes[0].inputs[1]));
  CHECK(outputShape(*branch) == Ints{2, 3});
}

TEST_CASE("loops know what stays the same", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2, 3});
  m.input("n", {}, ElementType::Int64);
  auto node = m.node("Loop", {"n", "", "x", "x"}, {"a", "b"}, "loop");
  GraphFiller body{node.graph("body")};
  body.proto.add_input()->set_name("i");
  body.proto.add_input()->set_name("go");
  body.proto.add_input()->set_name("same");
  body.proto.add_input()->set_name("grows");
  body.node("Identity", {"go"}, {"on"});
  body.node("Relu", {"same"}, {"same1"});
  body.node("Concat", {"grows", "same"}, {"grows1"}).i("axis", 0);
  for (const char *name : {"on", "same1", "grows1"})
    body.output(name);
  m.output("a");
  m.output("b");
  Model model = m.prepared();
  auto prepared = model.graph.nodes[0].getGraph("body");
  REQUIRE(prepared);
  CHECK(outputShape(*prepared, 1) == Ints{2, 3});
  const Value &grows = prepared->values[prepared->inputs[3]];
  REQUIRE(grows.dims);
  CHECK((*grows.dims)[0].size == -1);
  CHECK((*grows.dims)[1].size == 3);
  CHECK(prepared->values[prepared->inputs[0]].type == ElementType::Int64);
}

TEST_CASE("operators that nobody knows do not stop the preparation", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2});
  m.node("Mystery", {"x"}, {"a"}).proto.set_domain("far.away");
  m.node("Relu", {"a"}, {"y"});
  m.output("y");
  CHECK(operators(m.prepared().graph) == "Mystery Relu");
  auto *info = m.proto.add_value_info();
  info->set_name("a");
  setType(*info, ElementType::Float32, {2});
  CHECK(outputShape(m.prepared().graph) == Ints{2});
}

TEST_CASE("what does not fit is an error that names the node", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2, 3});
  m.node("MatMul", {"x", "x"}, {"y"}, "product");
  m.output("y");
  contains(m.prepareError(), "model.onnx: node 'product' (MatMul): ");
}

TEST_CASE("multiply-accumulates are counted", "[prepare]") {
  ModelBuilder m;
  m.input("x", {2, 3});
  m.floats("w", {3, 5}, std::vector<float>(15));
  m.node("MatMul", {"x", "w"}, {"y"});
  m.output("y");
  CHECK(countMacs(m.prepared().graph) == 30);
  CHECK(countMacs(m.prepared(batchOf(1)).graph) == 30);
}

TEST_CASE("the shared models are prepared", "[prepare]") {
  std::string folder = sharedFolder();
  if (folder.empty())
    return;
  struct Case {
    const char *name;
    double mmacs; ///< outside subgraphs
    std::map<std::string, int64_t> dims;
  };
  for (const Case &c : {Case{"resnet8_fp32", 12.50, {}}, Case{"resnet8_qdq", 12.50, {}},
                        Case{"kws_dscnn_qlinear", 2.66, {}}, Case{"squeezenet_fp16", 349.15, {}},
                        Case{"yolox_nano", 522.55, {}}, Case{"yolox_nano_qdq", 522.55, {}},
                        Case{"ultraface_rfb320", 100.42, {}}, Case{"dtln_1", 0.36, {}},
                        Case{"gtcrn_simple", 0.50, {}}, Case{"magika_v3_3", 366.72, {}},
                        Case{"basic_pitch", 524.08, {}}, Case{"super_resolution", 2984.87, {}},
                        Case{"ppocrv4_rec", 702.47, {{"p2o.DynamicDimension.1", 320}}},
                        Case{"tinybert_cls", 169.90, {{"batch", 2}, {"seq", 96}}},
                        Case{"charllama", 11.29, {{"seq", 15}, {"past", 0}}}}) {
    INFO(c.name);
    Model model = check(loadModel(folder + "/models/" + c.name + "/model.onnx"));
    Bindings bindings;
    bindings.dims = c.dims;
    check(prepare(model, bindings));
    for (const Node &node : model.graph.nodes)
      for (ValueId id : node.outputs)
        if (id != kNoValue && !model.graph.values[id].isStatic())
          FAIL_CHECK("no static shape: " << node.name << " " << node.opType);
    CHECK(static_cast<double>(countMacs(model.graph)) / 1e6 == Approx(c.mmacs).epsilon(0.01));
  }
}

TEST_CASE("tensors without elements leave the graph", "[prepare]") {
  ModelBuilder m;
  m.input("past", {2, "past"});
  m.input("new", {2, 3});
  m.node("Neg", {"past"}, {"turned"}, "neg");
  m.node("Concat", {"turned", "new"}, {"present"}, "concat").i("axis", 1);
  m.node("Relu", {"present"}, {"y"}, "relu");
  m.node("Concat", {"new", "past", "y"}, {"z"}, "three").i("axis", 1);
  m.output("y");
  m.output("z");
  Bindings bindings;

  SECTION("operands of Concat") {
    bindings.dims["past"] = 0;
    Model model = m.prepared(bindings);
    CHECK(operators(model.graph) == "Concat Relu Concat"); // what Neg gives is constant
    removeEmpty(model.graph);
    CHECK(operators(model.graph) == "Relu Concat");
    REQUIRE(model.graph.inputs.size() == 1);
    CHECK(model.graph.values[model.graph.inputs[0]].name == "new");
    CHECK(model.graph.nodes[0].inputs == model.graph.inputs);
    CHECK(model.graph.nodes[1].inputs.size() == 2);
    CHECK(outputShape(model.graph, 1) == std::vector<int64_t>{2, 6});
  }
  SECTION("an output keeps its name") {
    m.output("present");
    bindings.dims["past"] = 0;
    Model model = m.prepared(bindings);
    removeEmpty(model.graph);
    CHECK(operators(model.graph) == "Identity Relu Concat");
    CHECK(model.graph.values[model.graph.outputs[2]].name == "present");
  }
  SECTION("what others need stays") {
    m.node("ReduceSum", {"past"}, {"sum"}, "sum");
    m.output("sum");
    bindings.dims["past"] = 0;
    Model model = m.prepared(bindings);
    removeEmpty(model.graph);
    CHECK(operators(model.graph) == "Relu Concat ReduceSum");
    CHECK(model.graph.inputs.size() == 2);
  }
  SECTION("with elements nothing changes") {
    bindings.dims["past"] = 4;
    Model model = m.prepared(bindings);
    removeEmpty(model.graph);
    CHECK(operators(model.graph) == "Neg Concat Relu Concat");
    CHECK(model.graph.inputs.size() == 2);
  }
}
