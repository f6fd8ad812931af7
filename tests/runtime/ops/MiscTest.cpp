//===- MiscTest.cpp - Elementwise, reductions, Resize, control, random ----===//

#include "tests/runtime/ops/Ops.h"

#include <cmath>
#include <set>

using namespace npucc;
using namespace npucc::test;

TEST_CASE("Elementwise broadcasting in every layout", "[ops][elementwise]") {
  for (auto [a, b] : std::vector<std::pair<Ints, Ints>>{{{2, 3}, {2, 3}},
                                                        {{2, 3}, {}},
                                                        {{}, {2, 3}},
                                                        {{2, 3}, {3}},
                                                        {{2, 1}, {1, 3}},
                                                        {{2, 1, 4}, {3, 1}},
                                                        {{0, 3}, {1}}}) {
    Tensor x = counting(a), y = counting(b), z = Op("Sub").run({x, y});
    auto at = [&](const Tensor &t, int64_t flat) { // index of a flat result position
      int64_t offset = 0, scale = 1;
      for (int64_t d = z.rank(), k = t.rank(); d-- > 0; flat /= z.shape()[d])
        if (--k >= 0) {
          offset += t.shape()[k] == 1 ? 0 : flat % z.shape()[d] * scale;
          scale *= t.shape()[k];
        }
      return t.asDouble(offset);
    };
    for (int64_t i = 0; i < z.size(); ++i)
      CHECK(z.asDouble(i) == at(x, i) - at(y, i));
  }
  CHECK(Op("Add").error({counting({2}), counting({3})}) == "shapes [2] and [3] do not broadcast");
  CHECK(Op("Add").error({counting({2}), i64({1, 2})}) ==
        "inputs have different types: fp32 and int64");
}

TEST_CASE("Integer arithmetic never traps", "[ops][elementwise]") {
  Tensor low = i32({2}, {INT32_MIN, 7});
  CHECK(listOf<int32_t>(Op("Div").run({low, i32({2}, {-1, 0})})) ==
        std::vector<int32_t>{INT32_MIN, 0});
  CHECK(listOf<int32_t>(Op("Mod").run({i32({3}, {-7, 7, 1}), i32({3}, {3, -3, 0})})) ==
        std::vector<int32_t>{2, -2, 0});
  CHECK(listOf<int32_t>(Op("Mod").i("fmod", 1).run({i32({2}, {-7, 7}), i32({2}, {3, -3})})) ==
        std::vector<int32_t>{-1, 1});
  CHECK(listOf<int32_t>(Op("Abs").run({low})) == std::vector<int32_t>{INT32_MIN, 7});
  CHECK(listOf<uint8_t>(Op("Add").run({u8({1}, {250}), u8({1}, {10})})) == std::vector<uint8_t>{4});
  CHECK(listOf<uint8_t>(
            Op("BitShift").s("direction", "LEFT").run({u8({2}, {1, 1}), u8({2}, {3, 200})})) ==
        std::vector<uint8_t>{8, 0});
  CHECK(Op("Mod").error({counting({1}), counting({1})}) ==
        "fmod must be 1 for floating-point inputs");
}

TEST_CASE("Clip, Round, Pow, Where", "[ops][elementwise]") {
  Tensor x = f32({4}, {-1.5f, -0.5f, 0.5f, INFINITY});
  CHECK(listOf<float>(Op("Clip").run({x, f32({}, {0})})) == Floats{0, 0, 0.5f, INFINITY});
  CHECK(listOf<float>(Op("Clip").run({x, Tensor(), f32({}, {0})})) == Floats{-1.5f, -0.5f, 0, 0});
  CHECK(listOf<float>(Op("Round").run({f32({3}, {0.5f, 1.5f, -2.5f})})) == Floats{0, 2, -2});
  CHECK(listOf<float>(Op("Pow").run({f32({2}, {3, 4}), i64({2}, {2, -1})})) == Floats{9, 0.25f});
  CHECK(listOf<float>(Op("Where").run(
            {Tensor::of<uint8_t>(ElementType::Bool, {2, 1}, {uint8_t(1), uint8_t(0)}),
             counting({2}), f32({}, {9})})) == Floats{1, 2, 9, 9});
}

TEST_CASE("Reductions over any axes", "[ops][reduce]") {
  Tensor x = counting({2, 3, 4});
  CHECK(listOf<float>(Op("ReduceSum").run({x, i64({0, 2})})) == Floats{68, 100, 132});
  CHECK(listOf<float>(Op("ReduceMean").i("keepdims", 0).run({x, i64({1})})) ==
        Floats{5, 6, 7, 8, 17, 18, 19, 20});
  CHECK(shapeOf(Op("ReduceMax").i("keepdims", 0).run({x})) == Ints{});
  CHECK(listOf<float>(Op("ReduceSum").i("noop_with_empty_axes", 1).run({x})) == listOf<float>(x));
  CHECK(Op("ReduceSum").error({x, i64({3})}) == "axis 3 is out of range for rank 3");
  CHECK(listOf<float>(Op("ReduceLogSumExp").run({f32({2}, {1000, 1000})})) ==
        Floats{1000 + std::log(2.0f)});
  CHECK(listOf<int64_t>(Op("ArgMax").i("select_last_index", 1).run({f32({3}, {5, 1, 5})})) ==
        Ints{2});
  CHECK(listOf<float>(
            Op("CumSum").i("exclusive", 1).i("reverse", 1).run({counting({3}), i64({}, {0})})) ==
        Floats{5, 3, 0});
}

TEST_CASE("TopK orders ties and NaN", "[ops][reduce]") {
  Tensors y = Op("TopK", "", 2).runAll({f32({4}, {1, NAN, 3, 3}), i64({3})});
  CHECK(listOf<int64_t>(y[1]) == Ints{1, 2, 3});
  Tensors small = Op("TopK", "", 2).i("largest", 0).runAll({f32({4}, {1, NAN, 3, 3}), i64({2})});
  CHECK(listOf<int64_t>(small[1]) == Ints{0, 2});
  CHECK(Op("TopK").error({counting({2}), i64({3})}) == "k 3 exceeds dimension 2");
}

TEST_CASE("Softmax and normalizations", "[ops][reduce]") {
  Tensor y = Op("Softmax").i("axis", 0).run({f32({2, 2}, {0, 1000, 0, 1000})});
  CHECK(listOf<float>(y) == Floats{0.5f, 0.5f, 0.5f, 0.5f});
  Tensor norm = Op("LayerNormalization")
                    .f("epsilon", 0)
                    .run({f32({1, 2}, {1, 3}), f32({2}, {2, 2}), f32({2}, {0, 1})});
  CHECK(listOf<float>(norm) == Floats{-2, 3});
  Tensor rms = Op("RMSNormalization").f("epsilon", 0).run({f32({1, 2}, {3, 4}), f32({2}, {1, 1})});
  CHECK(rms.asDouble(0) == Approx(3 / std::sqrt(12.5)));
  CHECK(Op("GroupNormalization")
            .i("num_groups", 3)
            .error({counting({1, 4, 2}), counting({4}), counting({4})}) ==
        "num_groups 3 does not divide 4 channels");
}

TEST_CASE("Resize modes", "[ops][resize]") {
  Tensor x = f32({1, 1, 1, 2}, {1, 3});
  auto resize = [&](const char *mode, const char *coordinates, std::vector<int64_t> sizes) {
    return listOf<float>(Op("Resize")
                             .s("mode", mode)
                             .s("coordinate_transformation_mode", coordinates)
                             .run({x, Tensor(), Tensor(), i64(sizes)}));
  };
  CHECK(resize("nearest", "asymmetric", {1, 1, 2, 4}) == Floats{1, 1, 3, 3, 1, 1, 3, 3});
  CHECK(resize("linear", "half_pixel", {1, 1, 1, 4}) == Floats{1, 1.5f, 2.5f, 3});
  CHECK(resize("linear", "align_corners", {1, 1, 1, 3}) == Floats{1, 2, 3});
  CHECK(resize("linear", "asymmetric", {1, 1, 1, 4}) == Floats{1, 2, 3, 3});
  Tensor axes = Op("Resize").ints("axes", {3}).run({x, Tensor(), f32({1}, {2})});
  CHECK(shapeOf(axes) == Ints{1, 1, 1, 4});
  CHECK(Op("Resize").error({x}) == "needs either scales or sizes");
  CHECK(Op("Resize").error({x, Tensor(), f32({4}, {1, 1, 1, NAN})}) ==
        "size or scale of dimension 3 is out of range");
  CHECK(Op("Resize").error({x, Tensor(), f32({4}, {1, 1, 1e9f, 1e9f})}) ==
        "result shape [1, 1, 1000000000, 2000000000] needs more than 8192 MiB");
}

TEST_CASE("NonMaxSuppression", "[ops][detection]") {
  Tensor boxes = f32({1, 3, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 5, 5, 6, 6});
  Tensor scores = f32({1, 1, 3}, {0.8f, 0.9f, 0.1f});
  Tensor y = Op("NonMaxSuppression").run({boxes, scores, i64({}, {3}), f32({}, {0.5f})});
  CHECK(listOf<int64_t>(y) == Ints{0, 0, 1, 0, 0, 2});
  Tensor filtered =
      Op("NonMaxSuppression").run({boxes, scores, i64({}, {3}), f32({}, {0.5f}), f32({}, {0.5f})});
  CHECK(listOf<int64_t>(filtered) == Ints{0, 0, 1});
}

TEST_CASE("Random tensors are the same everywhere", "[reference]") {
  Tensor x = randomTensor(ElementType::Float32, {10000}, 7);
  double sum = 0, squares = 0;
  for (float v : x.values<float>()) {
    sum += v;
    squares += v * v;
  }
  CHECK(std::abs(sum / 1e4) < 0.03);
  CHECK(squares / 1e4 == Approx(1).margin(0.05));
  // Longer tensors begin like shorter ones.
  CHECK(x.values<float>()[0] == randomTensor(ElementType::Float32, {1}, 7).values<float>()[0]);
  CHECK(listOf<int64_t>(randomTensor(ElementType::Int64, {6}, 1)) !=
        listOf<int64_t>(randomTensor(ElementType::Int64, {6}, 2)));
  std::set<int64_t> seen;
  Tensor bytes = randomTensor(ElementType::Int8, {4096}, 1);
  for (int64_t i = 0; i < bytes.size(); ++i)
    seen.insert(bytes.asInt(i));
  CHECK(seen.size() == 256);
}

TEST_CASE("A Loop with a captured value, a state and a scan output", "[reference]") {
  // body(i, cond, s): s' = s + outer; outputs cond, s', s'
  auto body = std::make_shared<Graph>();
  body->values.resize(5);
  body->inputs = {0, 1, 2};
  body->captures = {{3, 0}};
  Node add;
  add.opType = "Add";
  add.name = "add";
  add.inputs = {2, 3};
  add.outputs = {4};
  body->nodes = {add};
  body->outputs = {1, 4, 4};
  Graph graph;
  graph.values.resize(5);
  graph.inputs = {0, 1, 2};
  Node loop;
  loop.opType = "Loop";
  loop.name = "loop";
  loop.inputs = {1, kNoValue, 2};
  loop.outputs = {3, 4};
  loop.attributes["body"].value = body;
  graph.nodes = {loop};
  graph.outputs = {3, 4};
  auto outputs = check(evaluate(graph, {f32({}, {2}), i64({}, {3}), f32({}, {1})}));
  CHECK(outputs[0].asDouble(0) == 7);
  CHECK(listOf<float>(outputs[1]) == Floats{3, 5, 7});
  CHECK(errorOf(evaluate(graph, {f32({}, {2}), f32({}, {3}), f32({}, {1})})) ==
        "node 'loop' (Loop): the trip count must be one integer");
  // On its own, the node takes what it captures behind its inputs.
  Tensors alone = check(evaluateNode(loop, {i64({}, {3}), Tensor(), f32({}, {1}), f32({}, {2})}));
  CHECK(alone[0].asDouble(0) == 7);
  CHECK(errorOf(evaluateNode(loop, {})) ==
        "its graphs use 1 values from outside, which are not given");
}

TEST_CASE("Every operator refuses inputs that are not there", "[ops]") {
  for (const OpInfo *info : allOps()) {
    Op op(info->name, info->domain, 3);
    INFO(info->domain << " " << info->name);
    if (info->kernel) {
      std::string error = op.error({});
      CHECK(error.find('\n') == std::string::npos);
      // Wrong in rank, type and number, one after the other: errors, never a crash.
      for (const Tensor &t :
           {f32({}, {1}), i64({}, {-1}), counting({2, 3}), f32({0}, {}), counting({1, 2, 3, 4}),
            Tensor::strings({1}, {"a"}), u8({2, 2}, {1, 2, 3, 4})})
        for (size_t count = 1; count <= 9; ++count) {
          std::vector<Tensor> inputs(count, t);
          if (auto result = op.evaluate(inputs); !result)
            llvm::consumeError(result.takeError());
          if (auto result = op.infer(inputs); !result)
            llvm::consumeError(result.takeError());
        }
    }
  }
}
