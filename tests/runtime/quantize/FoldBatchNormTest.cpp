//===- FoldBatchNormTest.cpp ----------------------------------------------===//
#include "tests/runtime/quantize/Build.h"

#include "runtime/onnx/Loader.h"
#include "runtime/quantize/FoldBatchNorm.h"

#include "llvm/Support/FileSystem.h"

using namespace npucc;
using namespace npucc::test;

namespace {

ValueId batchNorm(Builder &b, ValueId x, int64_t channels, Shape shape) {
  return b.node("BatchNormalization",
                {x, b.constant({channels}, 1, 2), b.constant({channels}),
                 b.constant({channels}), b.positive({channels})},
                shape, {{"epsilon", Attribute{1e-3f}}});
}

/// Folds, and checks that `gone` nodes vanish and the result stays.
void checkFold(Model &model, size_t gone, int64_t limit) {
  Tensor before = run(model.graph);
  std::vector<std::string> folded = take(foldBatchNorm(model, limit));
  CHECK(folded.size() == gone);
  CHECK(worstDifference(before, run(model.graph)) < 2e-5 * (1 + largest(before)));
}

} // namespace

TEST_CASE("fold: BatchNormalization into Conv, at once and lazily", "[quantize]") {
  for (int64_t limit : {0, 4096}) {
    Builder b;
    ValueId x = b.input({1, 3, 6, 6});
    ValueId y = b.node("Conv", {x, b.constant({4, 3, 3, 3}), b.constant({4})}, {1, 4, 4, 4});
    y = b.node("Relu", {batchNorm(b, y, 4, {1, 4, 4, 4})}, {1, 4, 4, 4});
    Model &model = b.finish({y});
    checkFold(model, 1, limit);
    CHECK(count(model.graph, "BatchNormalization") == 0);
    // At once: only Conv and Relu are left. Lazily: the weights are an expression.
    CHECK((model.graph.nodes.size() == 2) == (limit > 0));
    CHECK(writer(model.graph, find(model.graph, "Conv")->inputs[1]) == (limit ? "" : "Mul"));
  }
}

TEST_CASE("fold: a Conv without bias gets one", "[quantize]") {
  Builder b;
  ValueId y = b.node("Conv", {b.input({2, 4, 5, 5}), b.constant({4, 1, 3, 3})}, {2, 4, 3, 3},
                     {{"group", integer(4)}});
  Model &model = b.finish({batchNorm(b, y, 4, {2, 4, 3, 3})});
  checkFold(model, 1, 4096);
  CHECK(find(model.graph, "Conv")->inputs.size() == 3);
}

TEST_CASE("fold: ConvTranspose with and without groups", "[quantize]") {
  for (int64_t groups : {1, 2}) {
    Builder b;
    ValueId y = b.node("ConvTranspose",
                       {b.input({1, 4, 3, 3}), b.constant({4, 6 / groups, 2, 2})}, {1, 6, 4, 4},
                       {{"group", integer(groups)}});
    checkFold(b.finish({batchNorm(b, y, 6, {1, 6, 4, 4})}), 1, 0);
  }
}

TEST_CASE("fold: Gemm with transposed weights and a scaled bias", "[quantize]") {
  for (int64_t transposed : {0, 1}) {
    Builder b;
    ValueId y = b.node("Gemm",
                       {b.input({2, 5}), b.constant(transposed ? Shape{3, 5} : Shape{5, 3}),
                        b.constant({1, 3})},
                       {2, 3},
                       {{"transB", integer(transposed)},
                        {"beta", Attribute{0.5f}},
                        {"alpha", Attribute{2.0f}}});
    checkFold(b.finish({batchNorm(b, y, 3, {2, 3})}), 1, 4096);
  }
}

TEST_CASE("fold: Mul, Div, Add and Sub by unsqueezed per-channel constants", "[quantize]") {
  Builder b;
  Shape shape = {1, 4, 4, 4};
  ValueId y = b.node("Conv", {b.input({1, 3, 6, 6}), b.constant({4, 3, 3, 3})}, shape);
  ValueId factor = b.node("Unsqueeze", {b.constant({4}), b.ints({1, 2})}, {4, 1, 1});
  y = b.node("Mul", {factor, y}, shape);
  y = b.node("Add", {y, b.constant({1, 4, 1, 1})}, shape);
  y = b.node("Div", {y, b.constant({}, 0, 3)}, shape);
  y = b.node("Sub", {y, b.constant({1})}, shape);
  checkFold(b.finish({y}), 4, 4096);
}

TEST_CASE("fold: MatMul takes factors, not offsets", "[quantize]") {
  Builder b;
  ValueId y = b.node("MatMul", {b.input({2, 3, 5}), b.constant({5, 4})}, {2, 3, 4});
  y = b.node("Mul", {y, b.constant({4})}, {2, 3, 4});
  y = b.node("Add", {y, b.constant({4})}, {2, 3, 4});
  checkFold(b.finish({y}), 1, 4096);
}

TEST_CASE("fold: what must stay", "[quantize]") {
  Builder b;
  Shape shape = {1, 4, 4, 4};
  ValueId x = b.input({1, 3, 6, 6});
  auto conv = [&] { return b.node("Conv", {x, b.constant({4, 3, 3, 3})}, shape); };
  ValueId twice = conv(), seen = conv(), wide = conv(), rows = conv();
  std::vector<ValueId> outputs = {
      b.node("Add", {batchNorm(b, twice, 4, shape), twice}, shape), // two readers
      batchNorm(b, seen, 4, shape), seen,                           // a graph output itself
      b.node("Mul", {wide, b.constant({2, 1, 1, 1})}, {2, 4, 4, 4}), // broadcasts
      b.node("Mul", {rows, b.constant({4})}, shape),                 // along the last axis
      batchNorm(b, x, 3, {1, 3, 6, 6}),                              // nothing before it
  };
  checkFold(b.finish(outputs), 0, 4096);
}

TEST_CASE("fold: all 35 of a real network", "[quantize]") {
  std::string path = NPUCC_SHARED_DIR "/models/ultraface_rfb320/model.onnx";
  if (!llvm::sys::fs::exists(path)) {
    WARN("skipped: " << path << " is absent");
    return;
  }
  Model model = take(loadModel(path));
  REQUIRE(!prepare(model, {}));
  Tensor before = run(model.graph);
  CHECK(take(foldBatchNorm(model)).size() == 35);
  CHECK(count(model.graph, "BatchNormalization") == 0);
  CHECK(worstDifference(before, run(model.graph)) < 1e-3);
}
