//===- MicrosoftTest.cpp - ONNX Runtime's operators, and attention --------===//

#include "tests/runtime/ops/Ops.h"

#include <cmath>

using namespace npucc;
using namespace npucc::test;

namespace {

constexpr const char *kMicrosoft = "com.microsoft";

void checkClose(const Tensor &a, const Tensor &b) {
  REQUIRE(shapeOf(a) == shapeOf(b));
  for (int64_t i = 0; i < a.size(); ++i)
    CHECK(a.asDouble(i) == Approx(b.asDouble(i)).margin(1e-5));
}

/// Positions [first, last) of [B, S, ...].
Tensor steps(const Tensor &x, int64_t first, int64_t last) {
  return Op("Slice").run({x, i64({first}), i64({last}), i64({1})});
}

} // namespace

TEST_CASE("Attention equals its parts", "[ops][attention]") {
  Tensor q = randomTensor(ElementType::Float32, {2, 3, 4, 8}, 1);
  Tensor k = randomTensor(ElementType::Float32, {2, 3, 5, 8}, 2);
  Tensor v = randomTensor(ElementType::Float32, {2, 3, 5, 6}, 3);
  Tensor mask = randomTensor(ElementType::Float32, {4, 5}, 4);
  Tensor scores = Op("MatMul").run({q, Op("Transpose").ints("perm", {0, 1, 3, 2}).run({k})});
  Tensor scaled = Op("Add").run({Op("Mul").run({scores, f32({}, {0.25f})}), mask});
  Tensor expected = Op("MatMul").run({Op("Softmax").run({scaled}), v});
  Op attention("Attention", "", 3);
  attention.f("scale", 0.25f);
  checkClose(attention.run({q, k, v, mask}), expected);
  CHECK(check(attention.infer({q, k, v, mask}))[0].shape() == Shape{2, 3, 4, 6});
  CHECK(attention.error({q, v, v}) ==
        "Q [2, 3, 4, 8], K [2, 3, 5, 6] and V [2, 3, 5, 6] do not fit");
}

TEST_CASE("GroupQueryAttention step by step equals the whole prompt", "[ops][attention]") {
  Tensor q = randomTensor(ElementType::Float32, {1, 4, 4 * 8}, 1);
  Tensor k = randomTensor(ElementType::Float32, {1, 4, 2 * 8}, 2);
  Tensor v = randomTensor(ElementType::Float32, {1, 4, 2 * 8}, 3);
  Tensor angles = randomTensor(ElementType::Float32, {16, 4}, 4);
  Tensor cosine = Op("Cos").run({angles}), sine = Op("Sin").run({angles});
  Op gqa("GroupQueryAttention", kMicrosoft, 3);
  gqa.i("num_heads", 4).i("kv_num_heads", 2).i("do_rotary", 1);
  Tensors whole =
      gqa.runAll({q, k, v, Tensor(), Tensor(), i32({1}, {3}), i32({}, {4}), cosine, sine});
  Tensor pastK, pastV;
  for (int64_t t = 0; t < 4; ++t) {
    auto at = [&](const Tensor &x) { return steps(x, t, t + 1); };
    std::vector<Tensor> inputs = {
        at(q),  at(k), at(v), pastK, pastV, i32({1}, {int32_t(t)}), i32({}, {int32_t(t + 1)}),
        cosine, sine};
    Tensors step = gqa.runAll(inputs);
    checkClose(step[0], at(whole[0]));
    auto rule = check(gqa.infer(inputs));
    CHECK(rule[0].shape() == Shape(step[0].shape()));
    CHECK(rule[1].shape() == Shape(step[1].shape()));
    pastK = step[1];
    pastV = step[2];
  }
  checkClose(pastK, whole[1]);
}

TEST_CASE("RotaryEmbedding turns pairs", "[ops][attention]") {
  Tensor x = f32({1, 1, 1, 4}, {1, 2, 3, 4});
  Tensor cosine = f32({2, 2}, {1, 1, 0, 1}), sine = f32({2, 2}, {0, 0, 1, 0});
  Op rotary("RotaryEmbedding", kMicrosoft);
  CHECK(listOf<float>(rotary.run({x, i64({1}), cosine, sine})) == Floats{-3, 2, 1, 4});
  rotary.i("interleaved", 1);
  CHECK(listOf<float>(rotary.run({x, i64({1}), cosine, sine})) == Floats{-2, 1, 3, 4});
  CHECK(rotary.error({x, i64({2}), cosine, sine}) == "position 2 is out of range for [2, 2]");
}

TEST_CASE("MatMulNBits unpacks blocks of 4 bits", "[ops][quantized]") {
  // One column, K = 3 in blocks of 2: (1 - 8, 2 - 8) * 1, (9 - 8) * 0.5.
  Op op("MatMulNBits", kMicrosoft);
  op.i("K", 3).i("N", 1).i("bits", 4).i("block_size", 2);
  Tensor a = f32({1, 3}, {1, 10, 100}), b = u8({1, 2, 1}, {0x21, 0x09});
  CHECK(listOf<float>(op.run({a, b, f32({2}, {1, 0.5f})})) == Floats{-7 - 60 + 50});
  CHECK(listOf<float>(op.run({a, b, f32({2}, {1, 0.5f}), u8({1}, {0x90})})) == Floats{21});
  CHECK(op.error({a, b, f32({1}, {1})}) ==
        "B [1, 2, 1] or scales [1] do not fit K, N and block_size");
}

TEST_CASE("QLinearAdd, QLinearConcat", "[ops][quantized]") {
  Tensor half = f32({}, {0.5f}), one = f32({}, {1});
  Tensor y = Op("QLinearAdd", kMicrosoft)
                 .run({u8({2}, {10, 12}), half, u8({}, {10}), u8({2}, {3, 4}), one, u8({}, {0}),
                       one, u8({}, {100})});
  CHECK(listOf<uint8_t>(y) == std::vector<uint8_t>{103, 105});
  Tensor c =
      Op("QLinearConcat", kMicrosoft)
          .i("axis", 0)
          .run({one, u8({}, {1}), u8({1}, {4}), half, u8({}, {0}), u8({1}, {5}), one, u8({}, {0})});
  CHECK(listOf<uint8_t>(c) == std::vector<uint8_t>{3, 6});
}

TEST_CASE("SkipSimplifiedLayerNormalization also gives the sum", "[ops]") {
  Tensors y = Op("SkipSimplifiedLayerNormalization", kMicrosoft, 4)
                  .f("epsilon", 0)
                  .runAll({f32({1, 2}, {1, 1}), f32({1, 2}, {2, 3}), f32({2}, {1, 1})});
  CHECK(listOf<float>(y[3]) == Floats{3, 4});
  CHECK(y[0].asDouble(0) == Approx(3 / std::sqrt(12.5)));
}
