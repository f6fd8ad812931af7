//===- MistakesTest.cpp - What is said about operands that do not fit ---------===//

#include "tests/runtime/onnx/ModelBuilder.h"

#include <functional>

using namespace npucc;
using namespace npucc::test;

namespace {

std::vector<float> ones(size_t count) { return std::vector<float>(count, 1); }

/// A convolution of [1, 3, 8, 8] with four kernels of 3 x 3, called conv1.
struct ConvBuilder : ModelBuilder {
  explicit ConvBuilder(std::vector<std::string> inputs = {"x", "w"})
      : node1(convolution(std::move(inputs))) {}
  NodeBuilder node1;

private:
  NodeBuilder convolution(std::vector<std::string> inputs) {
    input("x", {1, 3, 8, 8});
    floats("w", {4, 3, 3, 3}, ones(108));
    output("y");
    return node("Conv", inputs, {"y"}, "conv1");
  }
};

} // namespace

TEST_CASE("operands of the wrong type or size are named", "[loader][prepare]") {
  {
    ConvBuilder m({"x", "w", "b"});
    m.ints("b", {1, 2, 3, 4});
    contains(m.prepareError(), "node 'conv1' (Conv): inputs are fp32 and int64");
  }
  {
    ConvBuilder m({"x", "w", "b"});
    m.floats("b", {7}, ones(7));
    contains(m.prepareError(), "node 'conv1' (Conv): bias [7] should have 4 elements");
  }
  {
    ModelBuilder m;
    m.input("x", {2, 3});
    m.ints("w", {1, 2, 3});
    m.node("MatMul", {"x", "w"}, {"y"}, "product");
    m.output("y");
    contains(m.prepareError(), "node 'product' (MatMul): inputs are fp32 and int64");
  }
  {
    ModelBuilder m;
    m.input("x", {2, 3});
    m.floats("w", {3, 4}, ones(12));
    m.floats("c", {5}, ones(5));
    m.node("Gemm", {"x", "w", "c"}, {"y"}, "product");
    m.output("y");
    contains(m.prepareError(), "node 'product' (Gemm): C [5] does not broadcast to [2, 4]");
  }
  {
    ModelBuilder m;
    m.input("x", {5, 1, 3});
    m.floats("W", {1, 16, 2}, ones(32));
    m.floats("R", {1, 16, 4}, ones(64));
    m.node("LSTM", {"x", "W", "R"}, {"y"}, "cell").i("hidden_size", 4);
    m.output("y");
    contains(m.prepareError(), "node 'cell' (LSTM): W [1, 16, 2] should have 48 elements");
  }
  {
    ModelBuilder m;
    m.input("x", {5, 1, 3});
    m.floats("W", {1, 16, 3}, ones(48));
    m.floats("R", {1, 16, 4}, ones(64));
    NodeBuilder cell = m.node("LSTM", {"x", "W", "R"}, {"y"}, "cell");
    for (const char *name : {"Evil", "Tanh", "Tanh"})
      (cell.proto.attribute_size() ? *cell.proto.mutable_attribute(0)
                                   : cell.add("activations", onnx::AttributeProto::STRINGS))
          .add_strings(name);
    m.output("y");
    contains(m.prepareError(), "node 'cell' (LSTM): activation 'Evil' is not known");
  }
}

TEST_CASE("constant indices are checked before anything runs", "[loader][prepare]") {
  {
    ModelBuilder m;
    m.input("x", {2, 3});
    m.ints("rows", {0, 99});
    m.node("Gather", {"x", "rows"}, {"y"}, "rows_of");
    m.output("y");
    contains(m.prepareError(), "node 'rows_of' (Gather): index 99 is out of range for dimension 2");
  }
  {
    ModelBuilder m;
    m.input("x", {3}, ElementType::Int64);
    m.ints("depth", {-4});
    m.floats("values", {2}, {0, 1});
    m.node("OneHot", {"x", "depth", "values"}, {"y"}, "hot");
    m.output("y");
    contains(m.prepareError(), "node 'hot' (OneHot): depth must be one number");
  }
}

TEST_CASE("an attribute of the wrong kind is an error", "[loader]") {
  {
    ConvBuilder m;
    m.node1.s("strides", "fast");
    contains(m.error(), "node 'conv1' (Conv): attribute 'strides': must be a list of integers, not "
                        "a string");
  }
  {
    ConvBuilder m;
    m.node1.f("group", 1);
    contains(m.error(), "attribute 'group': must be an integer, not a float");
  }
  {
    ConvBuilder m; // names that nobody knows are nobody's business
    m.node1.s("comment", "fast").ints("strides", {1, 1});
    m.prepared();
  }
}

TEST_CASE("shapes of nothing and of very many dimensions", "[loader][prepare]") {
  {
    ModelBuilder m;
    m.input("x", {int64_t(0), int64_t(1) << 40, 2});
    m.node("Relu", {"x"}, {"y"});
    m.output("y");
    contains(m.error(), "'x' is too large");
  }
  {
    ModelBuilder m;
    m.input("x", std::vector<TestDim>(65, int64_t(1)));
    m.node("Relu", {"x"}, {"y"});
    m.output("y");
    contains(m.error(), "'x' is too large");
  }
  {
    ModelBuilder m;
    m.input("x", {1});
    m.ints("shape", std::vector<int64_t>(1000, 1));
    m.node("Reshape", {"x", "shape"}, {"y"}, "wide");
    m.output("y");
    contains(m.prepareError(), "node 'wide' (Reshape): more than 64 dimensions");
  }
}

TEST_CASE("nodes without results are left out", "[prepare]") {
  ModelBuilder m;
  m.input("x", {3});
  m.input("flags", {3}, ElementType::Bool);
  m.node("Where", {"flags", "x", "x"}, {});
  m.node("CastLike", {"x", "flags"}, {""});
  m.node("Relu", {"x"}, {"y"});
  m.output("y");
  CHECK(operators(m.prepared().graph) == "Relu");
}

TEST_CASE("loops within loops are prepared in little time", "[prepare]") {
  // Each level's state grows, so that every level is tried several times.
  std::function<void(GraphFiller, int)> fill = [&](GraphFiller body, int depth) {
    body.input("n", {}, ElementType::Int64);
    body.input("again", {}, ElementType::Bool);
    auto *state = body.proto.add_input();
    state->set_name("s");
    state->mutable_type()->mutable_tensor_type()->set_elem_type(1);
    if (depth)
      fill({body.node("Loop", {"trips", "go", "k"}, {"t" + std::to_string(depth)}).graph("body")},
           depth - 1);
    body.node("Concat", {"s", "s"}, {"next"}).i("axis", depth % 3);
    body.output("again");
    body.output("next");
  };
  ModelBuilder m;
  m.input("x", {1, 1, 1});
  m.input("k", {1, 1, 1});
  m.input("go", {}, ElementType::Bool);
  m.ints("trips", {3});
  fill({m.node("Loop", {"trips", "go", "x"}, {"y"}).graph("body")}, 30);
  m.output("y");
  Model prepared = m.prepared();
  CHECK(prepared.graph.nodes.size() == 1);
}
